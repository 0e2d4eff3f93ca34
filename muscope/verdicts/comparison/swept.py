"""The losses of one variant over its grid, with what each of its pairs asks of them again."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from muscope.verdicts.transfer.losses import Curve, mean_curve
from muscope.verdicts.transfer.optimum import best, optimum, spacing_unknown
from muscope.verdicts.transfer.places import Place
from muscope.vocabulary import Axis

Seeds: TypeAlias = Mapping[int, Curve]
Line: TypeAlias = tuple[Place, ...]
"""Places that differ on one axis alone, the small ones first."""


class Swept:
    """Curves of some seeds by place; a number that was asked for once is kept."""

    def __init__(self, curves: Mapping[Place, Seeds]) -> None:
        self.curves = curves
        self._means: dict[Place, Curve] = {}
        self._drifts: dict[tuple[Line, Axis], tuple[float | None, dict[int, float]]] = {}

    def mean(self, place: Place) -> Curve:
        """The mean over seeds."""
        if place not in self._means:
            self._means[place] = mean_curve(self.curves[place])
        return self._means[place]

    def best(self, place: Place) -> float | None:
        """The rate of the least mean loss."""
        return best(self.mean(place))

    def losses(self, place: Place, rate: float) -> dict[int, float]:
        """Of every seed, at a rate that each has."""
        return {seed: curve[rate] for seed, curve in self.curves[place].items()}

    def drift(self, line: Line, axis: Axis) -> float | None:
        """The slope of the optimum of the mean losses on log2 of the axis."""
        return self._drift(line, axis)[0]

    def drifts(self, line: Line, axis: Axis) -> dict[int, float]:
        """That of every seed that has an optimum of its own everywhere."""
        return self._drift(line, axis)[1]

    def is_beside_a_diverged_rate(self, line: Line) -> bool:
        """Whether the optimum of any mean is, so that it is known to a spacing of the grid only."""
        return any(spacing_unknown(self.mean(place)) for place in line)

    def _drift(self, line: Line, axis: Axis) -> tuple[float | None, dict[int, float]]:
        if (line, axis) not in self._drifts:
            x = [math.log2(getattr(place, axis.value)) for place in line]
            centre = _slope(x, [optimum(self.mean(place)) for place in line])
            seeds = sorted({seed for place in line for seed in self.curves[place]})
            own = {
                seed: _slope(x, [optimum(self.curves[place].get(seed, {})) for place in line])
                for seed in seeds
            }
            known = {seed: slope for seed, slope in own.items() if slope is not None}
            self._drifts[line, axis] = centre, known
        return self._drifts[line, axis]


def _slope(x: Sequence[float], optima: Sequence[float | None]) -> float | None:
    known = [one for one in optima if one is not None]
    if len(known) < len(optima):
        return None
    return statistics.linear_regression(x, known).slope
