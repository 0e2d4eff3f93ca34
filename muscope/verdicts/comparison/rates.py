"""Two learning-rate variants: losses at each one's best rate and at equal rates, drift, regret."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

from muscope.verdicts.comparison.found import Found
from muscope.verdicts.comparison.intervals import BySeed, estimate
from muscope.verdicts.comparison.swept import Line, Swept
from muscope.verdicts.comparison.types import Place, Quantity
from muscope.verdicts.transfer import places
from muscope.vocabulary import Axis

LOSS_TOLERANCE = 0.01
"""In the unit of the loss: what still counts as alike, as on a plateau."""
DRIFT_TOLERANCE = 0.25
"""Octaves per doubling: within it an optimum transfers."""
NAMES = ("the first", "the second")


def differences(first: Swept, second: Swept, axis: Axis, *, paired: bool) -> Iterator[Found]:
    """Everything that can be said of the places that both have."""
    shared = [place for place in first.curves if place in second.curves]
    for place in shared:
        yield _at_best(place, first, second, paired=paired)
        yield from _at_equal_rates(place, first, second, paired=paired)
    for line in _lines(shared, axis):
        if len(line) > 1:
            at = _at(line[-1], axis=axis)
            yield _drift(at, line, (first, second), paired=paired)
            yield _regret(at, line, (first, second), paired=paired)


def _at(place: places.Place, **where: float | Axis) -> Place:
    held = {name: value for name, value in place._asdict().items() if name != "variant"}
    return Place.model_validate(held | where)


def _lines(shared: Sequence[places.Place], axis: Axis) -> list[Line]:
    """Places that differ on one axis alone, the small ones first."""
    found: dict[tuple[object, ...], list[places.Place]] = defaultdict(list)
    for place in sorted(shared, key=lambda place: int(getattr(place, axis.value) or 0)):
        held = {name: value for name, value in place._asdict().items() if name != axis.value}
        found[tuple(held.values())].append(place)
    return [tuple(line) for line in found.values()]


def _at_best(place: places.Place, first: Swept, second: Swept, *, paired: bool) -> Found:
    at, rates = _at(place), (first.best(place), second.best(place))
    if rates[0] is None or rates[1] is None:
        name = NAMES[rates.index(None)]
        reason = f"{name} has no finite loss that all its seeds have"
        return Found(Quantity.BEST_LOSS, at, LOSS_TOLERANCE, reason=reason)
    values = first.losses(place, rates[0]), second.losses(place, rates[1])
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
    place: places.Place, first: Swept, second: Swept, *, paired: bool
) -> Iterator[Found]:
    means = first.mean(place), second.mean(place)
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
            estimate=estimate(first.losses(place, rate), second.losses(place, rate), paired=paired),
        )


def _drift(at: Place, line: Line, both: tuple[Swept, Swept], *, paired: bool) -> Found:
    """The slope of the optimum on log2 of the axis, centred on that of the mean losses."""
    axis = at.axis or Axis.WIDTH
    centres = [of.drift(line, axis) for of in both]
    for name, centre in zip(NAMES, centres, strict=True):
        if centre is None:
            reason = f"{name} has no bracketed optimum at every place that both have"
            return Found(Quantity.DRIFT, at, DRIFT_TOLERANCE, reason=reason)
    for name, of in zip(NAMES, both, strict=True):
        if of.is_beside_a_diverged_rate(line):
            reason = f"{name} has an optimum beside a diverged rate, known to a spacing of the grid"
            return Found(Quantity.DRIFT, at, DRIFT_TOLERANCE, reason=reason)
    found = estimate(both[0].drifts(line, axis), both[1].drifts(line, axis), paired=paired)
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


def _regret(at: Place, line: Line, both: tuple[Swept, Swept], *, paired: bool) -> Found:
    """What the largest place that both have loses at the best rate of the smallest."""
    values: list[BySeed] = []
    for name, of in zip(NAMES, both, strict=True):
        lost = _lost(of, line)
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


def _lost(of: Swept, line: Line) -> BySeed:
    """Per seed, at rates that the mean losses choose; nothing where that is not finite."""
    small, large = line[0], line[-1]
    transferred, own = of.best(small), of.best(large)
    if transferred is None or own is None:
        return {}
    if not math.isfinite(of.mean(large).get(transferred, math.inf)):
        return {}
    return {seed: curve[transferred] - curve[own] for seed, curve in of.curves[large].items()}
