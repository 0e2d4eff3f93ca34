"""Losses become judgements: the optimum at every place, and whether it stays where it is.

A study asks over an axis: width, depth, batch size, sequence length or the number of steps. The
optimum of a place is that of the mean loss over seeds. Its interval is Student's t on the optima of
the single seeds, centred on it; so is that of the drift, the least-squares slope of the optimum on
log2 of the axis, over the seeds that all places have. Where the best rate stands beside a diverged
one all seeds may give the same place of the grid; no interval is narrower there than what the grid
leaves open. A drift *transfers* when its interval lies within the tolerance, it *drifts* when the
interval lies beyond, else it is *inconclusive*; where any place has no bracketed optimum it is *not
bracketed*, however alike the best cells look.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from muscope import catalogue
from muscope.spec import StudySpec, Variant
from muscope.theory.drifts import ExpectedDrift, expected_drift
from muscope.verdicts import student
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.transfer import metrics
from muscope.verdicts.transfer.losses import (
    Curve,
    Trial,
    curves,
    mean_curve,
    placed,
    starts,
    stops,
    train_losses,
)
from muscope.verdicts.transfer.optimum import best, optimum, spacing_unknown
from muscope.verdicts.transfer.places import Line, Place, lines
from muscope.verdicts.transfer.tolerance import TOLERANCE
from muscope.verdicts.transfer.types import Drift, RateCell, TransferJudgement, WidthOptimum
from muscope.vocabulary import Axis, TransferVerdict

LARGER_IS_BETTER = (Axis.WIDTH, Axis.DEPTH, Axis.STEPS)
"""Over these a larger loss is worth a word; larger batches and longer sequences are other data."""

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
    seen = Seen.of(placed(spec, trials))
    return tuple(
        _judge_variant(spec, variant, seen, runs_judged.get(variant.key, 0), final=final)
        for variant in spec.variants
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to judge, by place: losses, those without training, the last ones of it."""

    seeds: Mapping[Place, Seeds]
    starts: Mapping[Place, float]
    stops: Mapping[tuple[Place, float], int]
    train_losses: Mapping[Place, Curve]

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Seen":
        """All of it, from the trials of a study."""
        known = tuple(trials)
        return cls(curves(known), starts(known), stops(known), train_losses(known))


def _judge_variant(
    spec: StudySpec, variant: Variant, seen: Seen, runs_judged: int, *, final: bool
) -> TransferJudgement:
    asked, *others = spec.transfer_axes
    along = tuple(lines(spec, variant.key, asked))
    drifts = tuple(_drift(variant, line, seen.seeds) for line in along)
    return TransferJudgement(
        variant=variant.key,
        label=variant.label,
        learning_rate=variant.optimizer.learning_rate,
        verdict=max((drift.verdict for drift in drifts), key=FROM_BEST_TO_WORST.index),
        final=final,
        runs_judged=runs_judged,
        runs_planned=spec.run_count // len(spec.variants),
        optima=tuple(
            _optimum_at(place, seen)
            for line in along
            for place in line.places
            if place in seen.seeds
        ),
        drifts=drifts,
        axis=asked,
        across=tuple(
            _drift(variant, line, seen.seeds)
            for axis in others
            for line in lines(spec, variant.key, axis)
        ),
        judged_on="held_out" if spec.held_out else "training",
    )


def _optimum_at(place: Place, seen: Seen) -> WidthOptimum:
    seeds = seen.seeds[place]
    mean = mean_curve(seeds)
    centre = optimum(mean)
    half_width = _half_width([optimum(curve) for curve in seeds.values()], _of_grid([mean], [1.0]))
    low, high = _interval(centre, half_width)
    return WidthOptimum(
        width=place.width,
        depth=place.depth,
        cells=tuple(_cells(place, seen)),
        best=best(mean),
        optimum=centre,
        low=low,
        high=high,
        seeds=len(seeds),
        plateau=metrics.plateau(mean),
        sensitivity=metrics.sensitivity(mean, seen.starts.get(place)),
        batch_size=place.batch_size,
        sequence_length=place.sequence_length,
        steps=place.steps,
    )


def _cells(place: Place, seen: Seen) -> Iterator[RateCell]:
    seeds, train_losses = seen.seeds[place], seen.train_losses.get(place, {})
    for octave in sorted({octave for curve in seeds.values() for octave in curve}):
        losses = [curve[octave] for curve in seeds.values() if octave in curve]
        lost = sum(not math.isfinite(loss) for loss in losses)
        stopped = seen.stops.get((place, octave), 0)
        yield RateCell(
            octave=octave,
            loss=None if lost else statistics.fmean(losses),
            seeds=len(losses),
            diverged=lost - stopped,
            train_loss=train_losses.get(octave),
            stopped=stopped,
        )


def _drift(variant: Variant, line: Line, found: Mapping[Place, Seeds]) -> Drift:
    at = _shared([found.get(place, {}) for place in line.places])
    means = [mean_curve(seeds) if seeds else {} for seeds in at]
    slope = _slope(line.values, [optimum(mean) for mean in means])
    numbers = sorted({seed for seeds in at for seed in seeds})
    half_width = _half_width(
        [_slope(line.values, [optimum(seeds.get(seed, {})) for seeds in at]) for seed in numbers],
        _of_grid(means, _weights(line.values)),
    )
    low, high = _interval(slope, half_width)
    worse = dict(zip(line.values, at, strict=True)) if line.axis in LARGER_IS_BETTER else {}
    largest, expected = line.places[-1], _expected(variant, line.axis)
    return Drift(
        depth=largest.depth,
        verdict=_verdict(slope, low, high),
        slope=slope,
        low=low,
        high=high,
        tolerance=TOLERANCE,
        regret=metrics.regret(means[0], means[-1]),
        cells=metrics.drift_of_cells(means[0], means[-1]),
        vertices=metrics.drift_of_vertices(means[0], means[-1]),
        same_cell=metrics.same_cell(means),
        worse_when_wider=metrics.worse_when_wider(worse),
        axis=line.axis,
        values=line.values,
        width=largest.width,
        batch_size=largest.batch_size,
        sequence_length=largest.sequence_length,
        steps=largest.steps,
        expected=None if expected is None else expected.slope,
        source="" if expected is None else expected.source,
    )


def _shared(at: Sequence[Seeds]) -> Sequence[Seeds]:
    """Every place with the seeds that all places have: another would move its own place alone.

    Where there is no such seed, all that there are.
    """
    shared = set.intersection(*(set(seeds) for seeds in at))
    kept = [{seed: curve for seed, curve in seeds.items() if seed in shared} for seeds in at]
    return kept if shared else at


def _expected(variant: Variant, axis: Axis) -> ExpectedDrift | None:
    parametrization, family = (
        variant.parametrization,
        catalogue.OPTIMIZERS[variant.optimizer.name].family,
    )
    return expected_drift(axis, parametrization.name, family, parametrization.complete)


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


def _slope(values: Sequence[int], optima: Sequence[float | None]) -> float | None:
    """Octaves per doubling; None when any place lacks its optimum."""
    known = [one for one in optima if one is not None]
    if len(known) < len(values):
        return None
    return math.fsum(weight * one for weight, one in zip(_weights(values), known, strict=True))


def _weights(values: Sequence[int]) -> list[float]:
    """What every optimum counts in the slope of least squares on log2 of the axis."""
    logs = [math.log2(value) for value in values]
    middle = statistics.fmean(logs)
    squares = math.fsum((log - middle) ** 2 for log in logs)
    return [(log - middle) / squares for log in logs]


def _of_grid(means: Sequence[Curve], weights: Sequence[float]) -> float:
    """What seeds cannot show: optima beside diverged rates are even over a spacing of the grid."""
    errors = (
        weight * spacing_unknown(mean) / math.sqrt(12)
        for weight, mean in zip(weights, means, strict=True)
    )
    z = statistics.NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    return z * math.hypot(*errors)


def _half_width(values: Sequence[float | None], of_grid: float) -> float | None:
    """That over the seeds with a value, no less than what the grid leaves open."""
    known = [value for value in values if value is not None]
    of_seeds = student.half_width(known, CONFIDENCE)
    return None if of_seeds is None else max(of_seeds, of_grid)


def _interval(
    centre: float | None, half_width: float | None
) -> tuple[float, float] | tuple[None, None]:
    if centre is None or half_width is None:
        return (None, None)
    return (centre - half_width, centre + half_width)
