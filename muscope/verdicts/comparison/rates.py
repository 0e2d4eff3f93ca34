"""Two learning-rate variants: losses at each one's best rate and at equal rates, drift, regret."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from muscope.verdicts.comparison.found import Found
from muscope.verdicts.comparison.intervals import BySeed, estimate
from muscope.verdicts.comparison.types import Place, Quantity
from muscope.verdicts.transfer import places
from muscope.verdicts.transfer.losses import Curve, mean_curve
from muscope.verdicts.transfer.optimum import best, optimum, spacing_unknown
from muscope.vocabulary import Axis

LOSS_TOLERANCE = 0.01
"""In the unit of the loss: what still counts as alike, as on a plateau."""
DRIFT_TOLERANCE = 0.25
"""Octaves per doubling: within it an optimum transfers."""
NAMES = ("the first", "the second")

Seeds: TypeAlias = Mapping[int, Curve]
Curves: TypeAlias = Mapping[places.Place, Seeds]
Line: TypeAlias = Mapping[int, Seeds]
"""By the place on an axis, the small ones first."""


def differences(first: Curves, second: Curves, axis: Axis, *, paired: bool) -> Iterator[Found]:
    """Everything that can be said of the places that both have."""
    shared = [place for place in first if place in second]
    for place in shared:
        yield _at_best(_at(place), first[place], second[place], paired=paired)
        yield from _at_equal_rates(place, first[place], second[place], paired=paired)
    for own in _lines(shared, axis):
        if len(own) > 1:
            ends = [getattr(place, axis.value) for place in own]
            of_first = dict(zip(ends, (first[place] for place in own), strict=True))
            of_second = dict(zip(ends, (second[place] for place in own), strict=True))
            at = _at(own[-1], axis=axis)
            yield _drift(at, of_first, of_second, paired=paired)
            yield _regret(at, of_first, of_second, paired=paired)


def _at(place: places.Place, **where: float | Axis) -> Place:
    held = {name: value for name, value in place._asdict().items() if name != "variant"}
    return Place.model_validate(held | where)


def _lines(shared: Sequence[places.Place], axis: Axis) -> list[list[places.Place]]:
    """Places that differ on one axis alone, the small ones first."""
    found: dict[tuple[object, ...], list[places.Place]] = defaultdict(list)
    for place in sorted(shared, key=lambda place: int(getattr(place, axis.value) or 0)):
        held = {name: value for name, value in place._asdict().items() if name != axis.value}
        found[tuple(held.values())].append(place)
    return list(found.values())


def _at_best(at: Place, first: Seeds, second: Seeds, *, paired: bool) -> Found:
    rates = [best(mean_curve(seeds)) for seeds in (first, second)]
    for name, rate in zip(NAMES, rates, strict=True):
        if rate is None:
            reason = f"{name} has no finite loss that all its seeds have"
            return Found(Quantity.BEST_LOSS, at, LOSS_TOLERANCE, reason=reason)
    values = [_losses(seeds, rate) for seeds, rate in zip((first, second), rates, strict=True)]
    return Found(
        Quantity.BEST_LOSS,
        at,
        LOSS_TOLERANCE,
        first=statistics.fmean(values[0].values()),
        second=statistics.fmean(values[1].values()),
        first_rate=rates[0],
        second_rate=rates[1],
        estimate=estimate(values[0], values[1], paired=paired),
    )


def _at_equal_rates(
    place: places.Place, first: Seeds, second: Seeds, *, paired: bool
) -> Iterator[Found]:
    means = mean_curve(first), mean_curve(second)
    for rate in sorted(means[0].keys() & means[1].keys()):
        at = _at(place, rate=rate)
        lost = [
            name for name, mean in zip(NAMES, means, strict=True) if not math.isfinite(mean[rate])
        ]
        if lost:
            reason = f"{' and '.join(lost)} diverged, or was stopped early, there"
            yield Found(Quantity.EQUAL_RATE, at, LOSS_TOLERANCE, reason=reason)
            continue
        yield Found(
            Quantity.EQUAL_RATE,
            at,
            LOSS_TOLERANCE,
            first=means[0][rate],
            second=means[1][rate],
            first_rate=rate,
            second_rate=rate,
            estimate=estimate(_losses(first, rate), _losses(second, rate), paired=paired),
        )


def _losses(seeds: Seeds, rate: float | None) -> BySeed:
    return {seed: curve[rate] for seed, curve in seeds.items() if rate is not None}


def _drift(at: Place, first: Line, second: Line, *, paired: bool) -> Found:
    """The slope of the optimum on log2 of the axis, centred on that of the mean losses."""
    centres = [
        _slope({place: optimum(mean_curve(seeds)) for place, seeds in of.items()})
        for of in (first, second)
    ]
    for name, centre in zip(NAMES, centres, strict=True):
        if centre is None:
            reason = f"{name} has no bracketed optimum at every place that both have"
            return Found(Quantity.DRIFT, at, DRIFT_TOLERANCE, reason=reason)
    for name, of in zip(NAMES, (first, second), strict=True):
        if any(spacing_unknown(mean_curve(seeds)) for seeds in of.values()):
            reason = f"{name} has an optimum beside a diverged rate, known to a spacing of the grid"
            return Found(Quantity.DRIFT, at, DRIFT_TOLERANCE, reason=reason)
    found = estimate(_slopes(first), _slopes(second), paired=paired)
    difference = (centres[0] or 0.0) - (centres[1] or 0.0)
    return Found(
        Quantity.DRIFT,
        at,
        DRIFT_TOLERANCE,
        first=centres[0],
        second=centres[1],
        estimate=found and found._replace(difference=difference),
        reason="" if found else "too few seeds have an optimum of their own at every place",
    )


def _slopes(of: Line) -> BySeed:
    """The drift of every seed that has an optimum of its own everywhere."""
    seeds = sorted({seed for curves in of.values() for seed in curves})
    found = {
        seed: _slope({place: optimum(curves.get(seed, {})) for place, curves in of.items()})
        for seed in seeds
    }
    return {seed: slope for seed, slope in found.items() if slope is not None}


def _slope(optima: Mapping[int, float | None]) -> float | None:
    known = [one for one in optima.values() if one is not None]
    if len(known) < len(optima):
        return None
    return statistics.linear_regression([math.log2(place) for place in optima], known).slope


def _regret(at: Place, first: Line, second: Line, *, paired: bool) -> Found:
    """What the largest place that both have loses at the best rate of the smallest."""
    values: list[BySeed] = []
    for name, of in zip(NAMES, (first, second), strict=True):
        lost = _lost(of[min(of)], of[max(of)])
        if not lost:
            reason = f"{name} was not trained, or diverged, at the best rate of the smallest"
            return Found(Quantity.REGRET, at, LOSS_TOLERANCE, reason=reason)
        values.append(lost)
    return Found(
        Quantity.REGRET,
        at,
        LOSS_TOLERANCE,
        first=statistics.fmean(values[0].values()),
        second=statistics.fmean(values[1].values()),
        estimate=estimate(values[0], values[1], paired=paired),
    )


def _lost(small: Seeds, large: Seeds) -> BySeed:
    """Per seed, at rates that the mean losses choose; nothing where that is not finite."""
    mean = mean_curve(large)
    transferred, own = best(mean_curve(small)), best(mean)
    if transferred is None or own is None or not math.isfinite(mean.get(transferred, math.inf)):
        return {}
    return {seed: curve[transferred] - curve[own] for seed, curve in large.items()}
