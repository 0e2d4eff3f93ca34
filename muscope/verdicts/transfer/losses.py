"""What one run of a learning-rate study gives: one loss, at one place of the grid."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

LAST_SHARE = 10
"""Without held-out data a run's loss is the mean over the last tenth of its steps,"""
FEWEST_LAST = 4
"""and over four of them at least."""


class Trial(NamedTuple):
    """A run with its loss: infinite when it diverged, None when it gave no result at all.

    `start` is its training loss before the first update, where that is known.
    """

    variant: str
    width: int
    depth: int
    octave: float
    seed: int
    loss: float | None
    start: float | None = None


Place: TypeAlias = tuple[str, int, int]
"""Variant, width and depth: what has an optimum."""

Curve: TypeAlias = Mapping[float, float]
"""The loss at each octave that was tried, in ascending order; infinite where it diverged."""


def last_steps(steps: int) -> int:
    """Of how many of its last training losses a run's loss is the mean."""
    return min(steps + 1, max(FEWEST_LAST, steps // LAST_SHARE))


def final_loss(train: Sequence[float], held_out: float | None) -> float:
    """The loss of a run from its training losses in order: held out where that was evaluated.

    What was not finite once has diverged: infinite.
    """
    if not train or not all(map(math.isfinite, train)):
        return math.inf
    if held_out is not None:
        return held_out if math.isfinite(held_out) else math.inf
    last = train[-last_steps(len(train) - 1) :]
    return math.fsum(last) / len(last)


def curves(trials: Iterable[Trial]) -> dict[Place, dict[int, Curve]]:
    """The curve of every seed at every place; runs without a result are left out."""
    found: dict[Place, dict[int, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    for trial in sorted(trials, key=lambda trial: trial.octave):
        if trial.loss is not None:
            place = (trial.variant, trial.width, trial.depth)
            found[place][trial.seed][trial.octave] = trial.loss
    return {place: dict(seeds) for place, seeds in found.items()}


def starts(trials: Iterable[Trial]) -> dict[Place, float]:
    """What an untrained model loses at every place: the mean over its runs, rates and seeds."""
    found: dict[Place, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.start is not None and math.isfinite(trial.start):
            found[trial.variant, trial.width, trial.depth].append(trial.start)
    return {place: math.fsum(values) / len(values) for place, values in found.items()}


def mean_curve(seeds: Mapping[int, Curve]) -> Curve:
    """The mean over seeds at every octave that each seed has, so that all means are alike."""
    common = [
        octave
        for octave in sorted({octave for curve in seeds.values() for octave in curve})
        if all(octave in curve for curve in seeds.values())
    ]
    return {
        octave: math.fsum(curve[octave] / len(seeds) for curve in seeds.values())
        for octave in common
    }
