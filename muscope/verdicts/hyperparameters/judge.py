"""Losses of sets become a judgement: which to take, and whether a small width names it.

Sets are compared seed by seed: at a seed all of them start from the same draws and see the same
data, so that their difference varies less than either. Its interval is Student's t, 90 %. The
choice of the smallest width *holds* when its regret at the largest is less than the tolerance with
its whole interval, it *loses* when it is more. Regret is against the best set that was tried there,
so it is never negative, and a little of it is luck of that one; its ends are taken against every
other set. The upper one is the largest of their upper ends: where one of them is truly better by
more, that one says so, so that *holds* is wrong no more often than one interval allows. The lower
one is the largest of their lower ends, with the error shared among them (Bonferroni): of many sets
one looks better by luck.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations

from scipy.special import ndtri
from scipy.stats import rankdata

from muscope.spec import StudySpec, Variant
from muscope.tuning import FEWEST_RANKED, RATE, Point
from muscope.verdicts import student
from muscope.verdicts.hyperparameters.trials import (
    SetTrial,
    Tried,
    by_loss,
    by_steadiness,
    tried,
)
from muscope.verdicts.hyperparameters.types import (
    Agreement,
    HyperparameterSet,
    JudgedSet,
    SearchJudgement,
    SetAtWidth,
    TransferError,
)
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.transfer.metrics import PLATEAU
from muscope.vocabulary import SearchVerdict

TOLERANCE = PLATEAU
"""Nats that still count as good."""

Sets = Mapping[Point, Tried]


def judge(
    spec: StudySpec, trials: Iterable[SetTrial], *, runs_judged: Mapping[str, int], final: bool
) -> tuple[SearchJudgement, ...]:
    """Judge every variant of a search on the losses there are."""
    known = tuple(trials)
    return tuple(
        _judge_variant(
            spec,
            variant,
            tried(trial for trial in known if trial.variant == variant.key),
            runs_judged.get(variant.key, 0),
            final=final,
        )
        for variant in spec.variants
    )


def _judge_variant(
    spec: StudySpec,
    variant: Variant,
    known: Mapping[int, Sets],
    runs_judged: int,
    *,
    final: bool,
) -> SearchJudgement:
    assert spec.tuning is not None  # a search has one, by its spec
    names = (RATE, *spec.tuned_names(variant))
    proxy = known.get(spec.widths[0], {})
    numbers = {point: number for number, point in enumerate(proxy, start=1)}
    best = by_loss(proxy.values())
    agreements = tuple(
        _agreement(width, proxy, known[width]) for width in spec.widths[1:] if width in known
    )
    last = max(known, default=0)
    ranked = by_steadiness(known.get(last, {}).values())
    return SearchJudgement(
        variant=variant.key,
        label=variant.label,
        method=spec.tuning.method,
        names=names,
        learning_rate=variant.optimizer.learning_rate,
        verdict=_verdict(ranked, agreements),
        final=final,
        runs_judged=runs_judged,
        runs_planned=(spec.sets_at_most(variant) + sum(spec.tuning.keep)) * spec.seeds,
        tolerance=TOLERANCE,
        sets=tuple(
            _judged_set(number, of, variant, names, known) for of, number in numbers.items()
        ),
        chosen=numbers[best[0].point] if best else None,
        winner=numbers[ranked[0].point] if ranked else None,
        agreements=agreements,
        transfer_errors=tuple(_transfer_errors(names, proxy)),
        at_edge=tuple(_at_edge(names, ranked[0].point, proxy, spec)) if ranked else (),
    )


def _verdict(ranked: Sequence[Tried], agreements: Sequence[Agreement]) -> SearchVerdict:
    if ranked and not ranked[0].is_steady:
        return SearchVerdict.NONE_STEADY
    if agreements and agreements[-1].diverged:
        return SearchVerdict.LOSES
    if not agreements or agreements[-1].regret is None:
        return SearchVerdict.INCONCLUSIVE
    low, high = agreements[-1].regret_low, agreements[-1].regret_high
    if low is None or high is None:
        return SearchVerdict.INCONCLUSIVE
    if high <= TOLERANCE:
        return SearchVerdict.HOLDS
    return SearchVerdict.LOSES if low > TOLERANCE else SearchVerdict.INCONCLUSIVE


def _judged_set(
    number: int, of: Point, variant: Variant, names: Sequence[str], known: Mapping[int, Sets]
) -> JudgedSet:
    given = variant.parametrization
    options = given.moved(dict(of.tuned)).complete
    return JudgedSet(
        number=number,
        hyperparameters=HyperparameterSet(
            learning_rate=variant.optimizer.learning_rate * math.exp2(of.octave),
            multipliers={name: float(options[name]) for name in names if name != RATE},
            octaves={name: of.at(name) for name in names},
        ),
        widths=tuple(
            _at_width(width, known[width][of], known[width])
            for width in sorted(known)
            if of in known[width]
        ),
    )


def _at_width(width: int, own: Tried, sets: Sets) -> SetAtWidth:
    ranked = by_steadiness(sets.values())
    best = by_loss(sets.values())
    low, high = _interval(list(own.losses.values())) if own.loss is not None else (None, None)
    behind, behind_low, behind_high = _behind(own, best[0]) if best else (None, None, None)
    return SetAtWidth(
        width=width,
        rank=ranked.index(own) + 1 if own in ranked else None,
        loss=own.loss,
        low=low,
        high=high,
        behind=behind,
        behind_low=behind_low,
        behind_high=behind_high,
        seeds=len(own.losses),
        diverged=own.diverged,
        spikes=own.spikes,
        growth=own.growth,
        is_steady=own.is_steady,
    )


def _behind(
    own: Tried, other: Tried, confidence: float = CONFIDENCE
) -> tuple[float | None, float | None, float | None]:
    """How much more a set loses than another, over the seeds of both, with its interval."""
    if own.loss is None:
        return (None, None, None)
    gaps = [loss - other.losses[seed] for seed, loss in own.losses.items() if seed in other.losses]
    if not gaps:
        return (None, None, None)
    return (statistics.fmean(gaps), *_interval(gaps, confidence))


def _regret(own: Tried, sets: Sequence[Tried]) -> tuple[float | None, float | None, float | None]:
    """How much more a set loses than the best of those with a loss, which come first in order.

    The ends are None where nothing else was tried, or an interval is lacking.
    """
    others = [other for other in sets if other is not own]
    shared = 1 - (1 - CONFIDENCE) / max(len(others), 1)
    lows = [_behind(own, other, shared)[1] for other in others]
    highs = [_behind(own, other)[2] for other in others]
    known_lows, known_highs = ([end for end in ends if end is not None] for ends in (lows, highs))
    is_whole = bool(others) and len(known_lows) == len(known_highs) == len(others)
    ends = (max(0.0, *known_lows), max(known_highs)) if is_whole else (None, None)
    return (_behind(own, sets[0])[0], *ends)


def _at_edge(names: Sequence[str], winner: Point, proxy: Sets, spec: StudySpec) -> Iterator[str]:
    """What of the winner is the least or the most that was tried of it.

    No sample lies at the very end of its range: there it is the last tenth.
    """
    assert spec.tuning is not None  # as above
    for name in names:
        octaves = [of.at(name) for of in proxy]
        low, high = min(octaves), max(octaves)
        if spec.tuning.is_sampled:
            low, high = (
                (spec.octaves[0], spec.octaves[-1]) if name == RATE else (spec.tuning.ranges[name])
            )
        margin = (high - low) / 10 if spec.tuning.is_sampled else 0.0
        if low < high and not low + margin < winner.at(name) < high - margin:
            yield name


def _agreement(width: int, proxy: Sets, large: Sets) -> Agreement:
    both = [
        (small.loss, large[point].loss)
        for point, small in proxy.items()
        if point in large and small.loss is not None and large[point].loss is not None
    ]
    pairs = [(a, b) for a, b in both if a is not None and b is not None]
    correlation = _spearman(pairs)
    low, high = _of_correlation(correlation, len(pairs))
    chosen, best = by_loss(proxy.values()), by_loss(large.values())
    own = large.get(chosen[0].point) if chosen else None
    regret = _regret(own, best) if own and best else (None, None, None)
    return Agreement(
        width=width,
        sets=len(pairs),
        correlation=correlation,
        low=low,
        high=high,
        regret=regret[0],
        regret_low=regret[1],
        regret_high=regret[2],
        diverged=bool(own and own.diverged),
    )


def _spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """The correlation of the ranks; None of fewer than three sets, or where all are equal."""
    if len(pairs) < 3:
        return None
    small, large = (rankdata(values).tolist() for values in zip(*pairs, strict=True))
    if len(set(small)) == 1 or len(set(large)) == 1:
        return None
    return statistics.correlation(small, large)


def _of_correlation(
    correlation: float | None, sets: int
) -> tuple[float, float] | tuple[None, None]:
    """Fisher's z with the error of ranks, sqrt((1 + r²/2) / (n - 3)) (Bonett and Wright 2000)."""
    if correlation is None or sets < FEWEST_RANKED:
        return (None, None)
    if abs(correlation) >= 1 - 1e-12:  # the transform is infinite there, and few sets say little
        return (None, None)
    error = math.sqrt((1 + correlation**2 / 2) / (sets - 3))
    reach = float(ndtri(0.5 + CONFIDENCE / 2)) * error
    centre = math.atanh(correlation)
    return (math.tanh(centre - reach), math.tanh(centre + reach))


def _transfer_errors(names: Sequence[str], proxy: Sets) -> Iterator[TransferError]:
    """Of every two hyperparameters that were tried at all of their values together."""
    for fixed, of in permutations(names, 2):
        own = [one for one in proxy.values() if _lies_in(one.point, (fixed, of), names)]
        grid = {(one.point.at(fixed), one.point.at(of)): one for one in own}
        rows, columns = (sorted({place[axis] for place in grid}) for axis in (0, 1))
        if min(len(rows), len(columns)) < 2 or len(grid) < len(rows) * len(columns):
            continue
        mean = {place: _finite(one.loss) for place, one in grid.items()}
        error = _transfer_error(mean, rows, columns)
        if error is None:
            continue
        seeds = sorted({seed for one in own for seed in one.losses})
        each = [
            _transfer_error(
                {place: _finite(one.losses.get(seed)) for place, one in grid.items()}, rows, columns
            )
            for seed in seeds
        ]
        low, high = _around(error, [value for value in each if value is not None])
        yield TransferError(fixed=fixed, of=of, error=error, low=low, high=high, values=len(rows))


def _around(error: float, values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """The interval of an error, which no choice makes negative, as wide as seeds scatter."""
    low, high = _interval(values)
    if low is None or high is None:
        return (None, None)
    half_width = (high - low) / 2
    return (max(error - half_width, 0.0), error + half_width)


def _transfer_error(
    loss: Mapping[tuple[float, float], float], rows: Sequence[float], columns: Sequence[float]
) -> float | None:
    """mean over f of L(f, t*(f_best)) - L(f, t*(f)) (facts 7.1); None where any is not finite.

    Rows where everything diverged say nothing of t, and are left out.
    """
    best_of = {f: min(columns, key=lambda t: (loss[f, t], t)) for f in rows}
    left = [f for f in rows if math.isfinite(loss[f, best_of[f]])]
    if len(left) < 2:
        return None
    f_best = min(left, key=lambda f: loss[f, best_of[f]])
    lost = [loss[f, best_of[f_best]] - loss[f, best_of[f]] for f in left]
    return statistics.fmean(lost) if all(map(math.isfinite, lost)) else None


def _lies_in(point: Point, plane: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a set differs from the given one in these two only."""
    return all(point.at(name) == 0.0 for name in names if name not in plane)


def _finite(loss: float | None) -> float:
    return math.inf if loss is None else loss


def _interval(
    values: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float] | tuple[None, None]:
    """mean -+ t s / sqrt(n); None of fewer than two, or where one is not finite."""
    half_width = student.half_width(values, confidence) if all(map(math.isfinite, values)) else None
    if half_width is None:
        return (None, None)
    centre = statistics.fmean(values)
    return (centre - half_width, centre + half_width)
