"""What drift a grid can tell, before anything is trained, and the cheapest addition to it.

The optimum of one seed is taken to scatter by an assumed number of octaves; the drift of a seed is
then a slope with a known error, and its interval over seeds is Student's t, as the judge takes it.
Nothing here is measured: with a flat loss the scatter is larger, and the judge's interval says so.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from muscope import costs, plan
from muscope.spec import TRANSFER_AXES, StudySpec
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.student import quantile
from muscope.verdicts.transfer.tolerance import TOLERANCE
from muscope.verdicts.transfer.words import noun
from muscope.vocabulary import Axis

SCATTER = 0.2
"""Octaves by which the optima of seeds differ, as a standard deviation, on a fine grid.

In the middle of what was measured here: 0.02 and 0.08 of SP and µP in the transfer demo, 0.4 to
0.7 of an MLP on digits at 60 and 200 steps, whose loss hardly depends on the rate.
"""
OF_SPACING = 0.15
"""Of the spacing of rates, by which they differ on a coarse one: a best cell is off by 0.29 of it
at most, as a standard deviation, and the parabola through three cells halves that."""
ENOUGH = TOLERANCE / 2
"""Half-width of an interval with which both transfer and drift can be told."""
MOST_SEEDS = 16
MOST_DOUBLINGS = 2


@dataclass(frozen=True, slots=True)
class GridPower:
    """Of one grid: the half-width of the drift's interval, in octaves per doubling.

    None with one seed. The `addition` is the cheapest one found that would be enough, with its cost
    over that of the study as it is; nothing where the grid is enough, or no addition is.
    """

    half_width: float | None
    scatter: float
    addition: str = ""
    cost: float | None = None
    axis: Axis = Axis.WIDTH

    @property
    def detectable(self) -> float | None:
        """The smallest drift that would be called one, half of the time."""
        return None if self.half_width is None else TOLERANCE + self.half_width

    def sentence(self) -> str:
        """What the grid can tell, and what would help if that is too little."""
        if self.half_width is None or self.detectable is None:
            told = "one seed gives no interval, so neither transfer nor drift can be told"
        elif self.half_width >= TOLERANCE:
            told = f"{self._seen}; transfer cannot be shown"
        else:
            told = f"{self._seen}; one within ±{TOLERANCE - self.half_width:.2f} as transfer"
        return told + self._advice()

    @property
    def _seen(self) -> str:
        return (
            f"if optima of seeds scatter by {self.scatter:.2f} octaves (sharp curves 0.1, flat "
            f"ones 0.5), a drift beyond ±{self.detectable:.2f} octaves per doubling of "
            f"{noun(self.axis)} is told as one in at least half of all studies"
        )

    def _advice(self) -> str:
        if not self.addition:
            return ""
        cost = "" if self.cost is None else f", for {self.cost:.2g} times the cost"
        return f"; the cheapest addition for both: {self.addition}{cost}"


def of_grid(spec: StudySpec) -> GridPower | None:
    """The power of a learning-rate study; None of any other."""
    if spec.sweep is None:
        return None
    axis = spec.transfer_axes[0]
    grid = getattr(spec, TRANSFER_AXES[axis])
    scatter = _scatter(spec)
    half_width = _half_width(grid, spec.seeds, scatter)
    if half_width is not None and half_width <= ENOUGH:
        return GridPower(half_width, scatter, axis=axis)
    found = min(_additions(spec, axis, scatter), default=None)
    if found is None:
        return GridPower(half_width, scatter, axis=axis)
    cost, words = found
    return GridPower(half_width, scatter, words, cost, axis)


def sentence(spec: StudySpec) -> str:
    """The power of a grid in words; nothing where it is not one of learning rates."""
    found = of_grid(spec)
    return "" if found is None else found.sentence()


def _scatter(spec: StudySpec) -> float:
    """Noise of training, and of a vertex through cells so far apart."""
    octaves = spec.octaves
    gap = statistics.median(b - a for a, b in pairwise(octaves))
    return math.hypot(SCATTER, OF_SPACING * gap)


def _half_width(grid: Sequence[int], seeds: int, scatter: float) -> float | None:
    """t s / sqrt(n), where s is the error of a slope through one optimum per place."""
    if seeds < 2:
        return None
    x = [math.log2(value) for value in grid]
    middle = statistics.fmean(x)
    error = scatter / math.sqrt(math.fsum((value - middle) ** 2 for value in x))
    return quantile(seeds - 1, CONFIDENCE) * error / math.sqrt(seeds)


def _additions(spec: StudySpec, axis: Axis, scatter: float) -> Iterator[tuple[float, str]]:
    """Cost and words of every addition that is enough: seeds, and doublings of the largest."""
    before = _cost(spec)
    name = TRANSFER_AXES[axis]
    grid = tuple(getattr(spec, name))
    for doublings in range(MOST_DOUBLINGS + 1):
        wider = (*grid, *(grid[-1] * 2**n for n in range(1, doublings + 1)))
        seeds = next(
            (
                count
                for count in range(max(2, spec.seeds), MOST_SEEDS + 1)
                if (_half_width(wider, count, scatter) or math.inf) <= ENOUGH
            ),
            None,
        )
        if seeds is not None:
            grown = spec.model_copy(update={name: wider, "seeds": seeds})
            yield _cost(grown) / before, _words(spec, grown, axis, doublings)


def _words(spec: StudySpec, grown: StudySpec, axis: Axis, doublings: int) -> str:
    added = getattr(grown, TRANSFER_AXES[axis])[-doublings:] if doublings else ()
    listed = ", ".join(map(str, added))
    parts = [f"{noun(axis)} {listed}"] if added else []
    parts += [f"{grown.seeds} seeds in all"] if grown.seeds != spec.seeds else []
    return " and ".join(parts)


def _cost(spec: StudySpec) -> float:
    """FLOPs of its sweep, as far as they differ: of one variant at one rate, for all seeds."""
    arm = spec.arms[0]
    one = {
        "arms": (arm.model_copy(update={"optimizers": arm.optimizers[:1]}),),
        "parametrizations": spec.parametrizations[:1],
        "octaves": spec.octaves[:1],
        "extend_octaves": 0,
        "seeds": 1,
        "check": None,
    }
    runs = plan.runs(spec.model_copy(update=one))
    return spec.seeds * math.fsum(costs.flops(run) for run in runs)
