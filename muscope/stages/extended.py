"""The full grid that grows by itself: rates beyond its end, where the best one lies there.

The first stage is the grid of the spec. After it, at every place whose best rate has no worse one
on a side, that of the mean over seeds or that of a seed, the rates up to an octave further there
are trained, and again, as far as the spec allows: an interval needs the optimum of every seed.
Where all diverged, lower rates are. At places whose best rates are bracketed nothing is added, and
what has been run, even without a result, is not asked for again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from muscope import plan
from muscope.spec import RunSpec, StudySpec
from muscope.verdicts.transfer.losses import Trial, curves, mean_curve, placed
from muscope.verdicts.transfer.optimum import best
from muscope.verdicts.transfer.places import Place, place_of

STEP = 1.0
"""Octaves that are added at a time."""


def next_runs(spec: StudySpec, trials: Iterable[Trial]) -> tuple[RunSpec, ...]:
    """The runs of the next stage, in the order of the grid; none when the study is over."""
    known: dict[Place, list[Trial]] = defaultdict(list)
    for trial in placed(spec, trials):
        known[trial.place].append(trial)
    added = {place: _added(spec, own) for place, own in known.items()}
    first = set() if known else set(spec.octaves)
    return tuple(
        run for run in plan.runs(spec) if run.octave in added.get(place_of(spec, run), first)
    )


def _added(spec: StudySpec, trials: Sequence[Trial]) -> set[float]:
    """The octaves to be tried next at one place."""
    seeds = next(iter(curves(trials).values()), {})
    known = [curve for curve in (mean_curve(seeds), *seeds.values()) if curve]
    low, high = min(trial.octave for trial in trials), max(trial.octave for trial in trials)
    found: set[float] = set()
    for curve in known:
        centre, octaves = best(curve), sorted(curve)
        if centre is None or centre == octaves[0]:
            found |= _next([octave for octave in spec.reachable_octaves if octave < low], low)
        if centre == octaves[-1]:
            found |= _next([octave for octave in spec.reachable_octaves if octave > high], high)
    return found


def _next(further: Sequence[float], end: float) -> set[float]:
    """All within an octave of the end, and at least the nearest."""
    reach = max(STEP, min((abs(octave - end) for octave in further), default=0.0))
    return {octave for octave in further if abs(octave - end) <= reach}
