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
from muscope.verdicts.transfer.words import doubling, noun
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
LARGEST_SCATTER = 6.0
"""Of seeds, over what is assumed: two seeds are farther apart once in a billion studies."""
PARTS = 200
"""Of that; twice as many change the fifth digit."""
MOST_SEEDS = 16
MOST_DOUBLINGS = 2


@dataclass(frozen=True, slots=True)
class GridPower:
    """Of one grid: the half-width of the drift's interval, in octaves per doubling.

    `stays` is how likely an optimum that stays is told to. Both are None with one seed. The
    `addition` is the cheapest one found that would be enough, with its cost over that of the study
    as it is; nothing where the grid is enough, or no addition is.
    """

    half_width: float | None
    scatter: float
    stays: float | None = None
    addition: str = ""
    cost: float | None = None
    axis: Axis = Axis.WIDTH

    @property
    def detectable(self) -> float | None:
        """The smallest drift that would be called one, half of the time."""
        return None if self.half_width is None else TOLERANCE + self.half_width

    def sentence(self) -> str:
        """What the grid can tell, and what would help if that is too little."""
        if self.stays is None or self.detectable is None:
            told = "one seed gives no interval, so neither transfer nor drift can be told"
        else:
            told = (
                f"if optima of seeds scatter by {self.scatter:.2f} octaves (sharp curves 0.1, flat "
                f"ones 0.5), at least half of all studies tell a drift beyond "
                f"±{self.detectable:.2f} octaves per {doubling(self.axis)}, and "
                f"{100 * self.stays:.0f} % that an optimum stays"
            )
        return told + self._advice()

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
    stays = None if half_width is None else _stays(half_width, spec.seeds)
    if half_width is not None and half_width <= ENOUGH:
        return GridPower(half_width, scatter, stays, axis=axis)
    found = min(_additions(spec, axis, scatter), default=None)
    if found is None:
        return GridPower(half_width, scatter, stays, axis=axis)
    cost, words = found
    return GridPower(half_width, scatter, stays, words, cost, axis)


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


def _stays(half_width: float, seeds: int) -> float:
    """How likely the whole interval of a drift that is none lies within the tolerance.

    |b| + h v <= tolerance for a slope b ~ N(0, e²), e = h / t, and v² ~ chi²(f) / f, what the
    scatter of f + 1 seeds is of the assumed one: the mean over v, by the midpoint rule.
    """
    f, last = seeds - 1, min(TOLERANCE / half_width, LARGEST_SCATTER)
    error = half_width / quantile(f, CONFIDENCE)
    level = math.log(2) + f / 2 * math.log(f / 2) - math.lgamma(f / 2)
    total = 0.0
    for number in range(PARTS):
        v = (number + 0.5) / PARTS * last
        density = math.exp(level + (f - 1) * math.log(v) - f * v * v / 2)
        total += density * math.erf((TOLERANCE - half_width * v) / error / math.sqrt(2))
    return total * last / PARTS


def _additions(spec: StudySpec, axis: Axis, scatter: float) -> Iterator[tuple[float, str]]:
    """Cost and words of every addition that is enough: seeds, and doublings of the largest."""
    before = _cost(spec)
    grid = tuple(getattr(spec, TRANSFER_AXES[axis]))
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
        grown = None if seeds is None else _grown(spec, axis, wider, seeds)
        if grown is not None:
            yield _cost(grown) / before, _words(spec, grown, axis, doublings)


def _grown(spec: StudySpec, axis: Axis, grid: tuple[int, ...], seeds: int) -> StudySpec | None:
    """The study with an addition; None where there can be no such study."""
    longest = {"steps": grid[-1]} if axis is Axis.STEPS else {}
    changes = {TRANSFER_AXES[axis]: grid, "seeds": seeds, **longest}
    try:
        return StudySpec.model_validate({**dict(spec), **changes})
    except ValueError:
        return None


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
