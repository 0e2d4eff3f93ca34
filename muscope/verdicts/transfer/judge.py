"""Losses become judgements: the optimum at every width, and whether it stays where it is.

The optimum of a width is that of the mean loss over seeds. Its interval is Student's t on the
optima of the single seeds, centred on it; so is that of the drift, the least-squares slope of the
optimum on log2(width). A drift *transfers* when its interval lies within the tolerance, it *drifts*
when the interval lies beyond, else it is *inconclusive*; where any width has no bracketed optimum
it is *not bracketed*, however alike the best cells look.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scipy.special import stdtrit

from muscope.spec import StudySpec, Variant
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.transfer import metrics
from muscope.verdicts.transfer.losses import Curve, Place, Trial, curves, mean_curve, starts
from muscope.verdicts.transfer.optimum import best, optimum
from muscope.verdicts.transfer.types import Drift, RateCell, TransferJudgement, WidthOptimum
from muscope.vocabulary import TransferVerdict

TOLERANCE = 0.25
"""Octaves per doubling of width: a quarter of what SP with Adam drifts (facts 7.1)."""

FROM_BEST_TO_WORST = (
    TransferVerdict.TRANSFERS,
    TransferVerdict.INCONCLUSIVE,
    TransferVerdict.NOT_BRACKETED,
    TransferVerdict.DRIFTS,
)

Seeds = Mapping[int, Curve]


def judge(
    spec: StudySpec, trials: Iterable[Trial], *, runs_judged: Mapping[str, int], final: bool
) -> tuple[TransferJudgement, ...]:
    """Judge every variant of a learning-rate study on the losses there are."""
    known = tuple(trials)
    found, untrained = curves(known), starts(known)
    return tuple(
        _judge_variant(
            spec, variant, found, untrained, runs_judged.get(variant.key, 0), final=final
        )
        for variant in spec.variants
    )


def _judge_variant(
    spec: StudySpec,
    variant: Variant,
    found: Mapping[Place, Seeds],
    untrained: Mapping[Place, float],
    runs_judged: int,
    *,
    final: bool,
) -> TransferJudgement:
    places = [(variant.key, width, depth) for depth in spec.depths for width in spec.widths]
    drifts = tuple(_drift(spec, variant, depth, found) for depth in spec.depths)
    return TransferJudgement(
        variant=variant.key,
        label=variant.label,
        learning_rate=variant.optimizer.learning_rate,
        verdict=max((drift.verdict for drift in drifts), key=FROM_BEST_TO_WORST.index),
        final=final,
        runs_judged=runs_judged,
        runs_planned=spec.run_count // len(spec.variants),
        optima=tuple(
            _width_optimum(place, found[place], untrained.get(place))
            for place in places
            if place in found
        ),
        drifts=drifts,
    )


def _width_optimum(place: Place, seeds: Seeds, untrained: float | None) -> WidthOptimum:
    _, width, depth = place
    mean = mean_curve(seeds)
    centre = optimum(mean)
    half_width = _half_width([optimum(curve) for curve in seeds.values()])
    low, high = _interval(centre, half_width)
    return WidthOptimum(
        width=width,
        depth=depth,
        cells=tuple(_cells(seeds)),
        best=best(mean),
        optimum=centre,
        low=low,
        high=high,
        seeds=len(seeds),
        plateau=metrics.plateau(mean),
        sensitivity=metrics.sensitivity(mean, untrained),
    )


def _cells(seeds: Seeds) -> Iterator[RateCell]:
    for octave in sorted({octave for curve in seeds.values() for octave in curve}):
        losses = [curve[octave] for curve in seeds.values() if octave in curve]
        diverged = sum(not math.isfinite(loss) for loss in losses)
        yield RateCell(
            octave=octave,
            loss=None if diverged else statistics.fmean(losses),
            seeds=len(losses),
            diverged=diverged,
        )


def _drift(spec: StudySpec, variant: Variant, depth: int, found: Mapping[Place, Seeds]) -> Drift:
    at = {width: found.get((variant.key, width, depth), {}) for width in spec.widths}
    means = {width: mean_curve(seeds) for width, seeds in at.items() if seeds}
    slope = _slope(spec.widths, [optimum(means.get(width, {})) for width in spec.widths])
    numbers = sorted({seed for seeds in at.values() for seed in seeds})
    half_width = _half_width(
        [
            _slope(spec.widths, [optimum(at[width].get(seed, {})) for width in spec.widths])
            for seed in numbers
        ]
    )
    low, high = _interval(slope, half_width)
    small, large = means.get(spec.widths[0], {}), means.get(spec.widths[-1], {})
    return Drift(
        depth=depth,
        verdict=_verdict(slope, low, high),
        slope=slope,
        low=low,
        high=high,
        tolerance=TOLERANCE,
        regret=metrics.regret(small, large),
        cells=metrics.drift_of_cells(small, large),
        vertices=metrics.drift_of_vertices(small, large),
        same_cell=metrics.same_cell([means.get(width, {}) for width in spec.widths]),
        worse_when_wider=metrics.worse_when_wider(means),
    )


def _verdict(slope: float | None, low: float | None, high: float | None) -> TransferVerdict:
    if slope is None:
        return TransferVerdict.NOT_BRACKETED
    if low is None or high is None:
        return TransferVerdict.INCONCLUSIVE
    if low >= -TOLERANCE and high <= TOLERANCE:
        return TransferVerdict.TRANSFERS
    if low > TOLERANCE or high < -TOLERANCE:
        return TransferVerdict.DRIFTS
    return TransferVerdict.INCONCLUSIVE


def _slope(widths: Sequence[int], optima: Sequence[float | None]) -> float | None:
    """Octaves per doubling; None when any width lacks its optimum."""
    known = [one for one in optima if one is not None]
    if len(known) < len(widths):
        return None
    return statistics.linear_regression([math.log2(width) for width in widths], known).slope


def _half_width(values: Sequence[float | None]) -> float | None:
    """t s / sqrt(n) over what is known; None with fewer than two."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    t = float(stdtrit(len(known) - 1, 0.5 + CONFIDENCE / 2))
    return t * statistics.stdev(known) / math.sqrt(len(known))


def _interval(
    centre: float | None, half_width: float | None
) -> tuple[float, float] | tuple[None, None]:
    if centre is None or half_width is None:
        return (None, None)
    return (centre - half_width, centre + half_width)
