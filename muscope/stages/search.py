"""The adaptive learning-rate search: which runs come next, from the losses there are.

The rule, for every variant by itself, along the axis that the study asks about, which is called
width here, and with all else the same; one width after the other, small ones first:

1. At the smallest width every learning rate about an octave from the next is tried.
2. At a larger width the optimum is predicted from those found before: from the last one on, by the
   slope of the straight line through all of them over log2(width), of an octave per doubling at
   most; with one, the same rate. Every rate within half an octave of the prediction is tried.
3. While the best rate has no worse one on a side where the grid goes on, a rate about an octave
   further there is tried.
4. Then all rates within half an octave of the best one are tried; as long as that moves the best
   rate, again.
5. What might as well be the best is treated as if it were: a rate whose loss exceeds the best by
   less than 1.5 standard errors of their difference over seeds has its neighbours tried too.

A width is done when none of these asks for more; the next one begins. The first look is at the
octaves of the spec; where it allows to extend them, the grid goes on beyond. Nothing outside of
that is ever run, and what has been run, even without a result, is not asked for again. Theory's
drift is not used: it is what the study is to test.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from muscope import plan
from muscope.spec import RunSpec, StudySpec
from muscope.verdicts.transfer.losses import Curve, Trial, curves, mean_curve, placed
from muscope.verdicts.transfer.optimum import NEAR, best, optimum
from muscope.verdicts.transfer.places import Line, Place, lines, place_of

COARSE = 1.0
"""Octaves between the rates of a first look."""
STEEPEST = 1.0
"""Octaves per doubling of width: no rule is known to drift more (facts 7.1), but noise may."""
DOUBT = 1.5
"""Standard errors by which a loss has to exceed the best one to be worse."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What is known at one width: every octave that was run, and the curves of those with losses.

    An octave without a loss failed at some seed: it is neither best nor tried again.
    """

    octaves: frozenset[float]
    seeds: Mapping[int, Curve]
    mean: Curve


def next_runs(spec: StudySpec, trials: Iterable[Trial]) -> tuple[RunSpec, ...]:
    """The runs of the next stage, in the order of the grid; none when the search is over."""
    known: dict[Place, list[Trial]] = defaultdict(list)
    for trial in placed(spec, trials):
        known[trial.place].append(trial)
    asked = spec.transfer_axes[0]
    wanted = {
        place
        for variant in spec.variants
        for line in lines(spec, variant.key, asked)
        for place in _wanted(spec, line, known)
    }
    return tuple(run for run in plan.runs(spec) if (place_of(spec, run), run.octave) in wanted)


def _wanted(
    spec: StudySpec, line: Line, trials: Mapping[Place, Sequence[Trial]]
) -> set[tuple[Place, float]]:
    """Places and octaves of what one variant is to run next, all else the same."""
    optima: dict[int, float] = {}
    for value, place in zip(line.values, line.places, strict=True):
        tried = _tried(trials.get(place, ()))
        octaves = _octaves(spec, tried, optima, value)
        if octaves:
            return {(place, octave) for octave in octaves}
        found = optimum(tried.mean)
        if found is not None:
            optima[value] = found
    return set()


def _tried(trials: Sequence[Trial]) -> Tried:
    seeds = next(iter(curves(trials).values()), {})
    return Tried(frozenset(trial.octave for trial in trials), seeds, mean_curve(seeds))


def _octaves(spec: StudySpec, tried: Tried, optima: Mapping[int, float], width: int) -> set[float]:
    """What is to be tried next at one width."""
    grid = spec.reachable_octaves
    if not tried.octaves:
        return _first_look(grid if optima else spec.octaves, optima, width)
    return _widening(grid, tried) or _refining(grid, tried)


def _first_look(grid: Sequence[float], optima: Mapping[int, float], width: int) -> set[float]:
    if not optima:
        return set(_spaced(grid))
    return _within(grid, _nearest(grid, _predicted(optima, width)), NEAR)


def first_looks(grid: Sequence[float]) -> tuple[list[float], list[float]]:
    """The octaves tried first at the smallest width; and at a larger one, around the middle."""
    middle = grid[len(grid) // 2]
    return list(_spaced(grid)), sorted(_within(grid, middle, NEAR))


def _spaced(grid: Sequence[float]) -> Iterator[float]:
    """From the middle outwards, so that both ends are equally near; the ends are not needed."""
    middle = grid[len(grid) // 2]
    last = None
    for octave in grid:
        steps = (octave - middle) / COARSE
        if abs(steps - round(steps)) * COARSE < 1e-9 or last is None or octave - last >= COARSE:
            yield octave
            last = octave


def _predicted(optima: Mapping[int, float], width: int) -> float:
    """From the last optimum on, by the slope of the straight line through all there are."""
    x = [math.log2(known) for known in optima]
    y = list(optima.values())
    slope = statistics.linear_regression(x, y).slope if len(x) > 1 else 0.0
    steep = max(-STEEPEST, min(slope, STEEPEST))
    return y[-1] + steep * (math.log2(width) - x[-1])


def _widening(grid: Sequence[float], tried: Tried) -> set[float]:
    """One coarse step beyond the best rate where nothing worse is on that side of it."""
    octaves = sorted(tried.octaves)
    centre = best(tried.mean)
    if centre is None:  # everything diverged, so lower rates are left
        lower = [octave for octave in grid if octave < octaves[0]]
        return {_nearest(lower, octaves[0] - COARSE)} if lower else set()
    worse = [octave for octave in tried.mean if octave != centre]
    sides = set()
    if not any(octave < centre for octave in worse):
        sides.add(_beyond(grid, tried, centre, -COARSE))
    if not any(octave > centre for octave in worse):
        sides.add(_beyond(grid, tried, centre, COARSE))
    return {octave for octave in sides if octave is not None}


def _beyond(grid: Sequence[float], tried: Tried, centre: float, step: float) -> float | None:
    """An untried rate about a step away, on that side."""
    there = [o for o in grid if o not in tried.octaves and (o - centre) * step > 0]
    return _nearest(there, centre + step) if there else None


def _refining(grid: Sequence[float], tried: Tried) -> set[float]:
    """The untried neighbours of the best rate, of all that might be it, and of each seed's own."""
    centre = best(tried.mean)
    if centre is None:
        return set()
    found = _within(grid, centre, NEAR)
    for octave in tried.mean:
        if abs(octave - centre) <= COARSE and _may_be_best(tried, octave, centre):
            found |= _within(grid, octave, 0.0)
    for curve in tried.seeds.values():
        own = best(curve)
        if own is not None:
            found |= _within(grid, own, 0.0)
    return found - tried.octaves


def _may_be_best(tried: Tried, octave: float, centre: float) -> bool:
    """Whether the seeds leave open which of the two is better."""
    if not math.isfinite(tried.mean[octave]) or len(tried.seeds) < 2:
        return False
    gaps = [curve[octave] - curve[centre] for curve in tried.seeds.values()]
    error = statistics.stdev(gaps) / math.sqrt(len(gaps))
    return statistics.fmean(gaps) < DOUBT * error


def _within(grid: Sequence[float], centre: float, reach: float) -> set[float]:
    """The rates within reach of one, and at least its neighbours in the grid."""
    place = grid.index(centre)
    neighbours = set(grid[max(0, place - 1) : place + 2])
    return neighbours | {octave for octave in grid if abs(octave - centre) <= reach}


def _nearest(grid: Sequence[float], octave: float) -> float:
    return min(grid, key=lambda known: abs(known - octave))
