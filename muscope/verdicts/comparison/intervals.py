"""Two lists of numbers become a difference with an interval: by seed where they may be paired.

Paired, the interval is Student's t on the differences of the seeds that both have, as every other
interval here; the luck of an initialization and of an order of the data that both share cancels.
Unpaired it is Welch's, with the degrees of freedom of Welch and Satterthwaite.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from muscope.verdicts import student
from muscope.verdicts.looks import CONFIDENCE

BySeed: TypeAlias = Mapping[int, float]


class Estimate(NamedTuple):
    """A difference with its squared standard error, None where there are too few seeds."""

    difference: float
    variance: float | None
    freedom: float
    seeds: int
    paired: bool

    def half_width(self, confidence: float = CONFIDENCE) -> float | None:
        """Half its interval."""
        if self.variance is None:
            return None
        return student.quantile(self.freedom, confidence) * math.sqrt(self.variance)


def estimate(first: BySeed, second: BySeed, *, paired: bool) -> Estimate | None:
    """The first less the second; None where one has no seed, or paired they share none."""
    if not first or not second:
        return None
    return _paired(first, second) if paired else _unpaired(first, second)


def _paired(first: BySeed, second: BySeed) -> Estimate | None:
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return None
    differences = [first[seed] - second[seed] for seed in shared]
    count = len(differences)
    variance = _variance(differences) / count if count > 1 else None
    return Estimate(statistics.fmean(differences), variance, count - 1, count, paired=True)


def _unpaired(first: BySeed, second: BySeed) -> Estimate:
    values = [list(first.values()), list(second.values())]
    difference = statistics.fmean(values[0]) - statistics.fmean(values[1])
    fewest = min(map(len, values))
    if fewest < 2:
        return Estimate(difference, None, 0, fewest, paired=False)
    errors = [_variance(of) / len(of) for of in values]
    total = math.fsum(errors)
    spread = math.fsum(error**2 / (len(of) - 1) for error, of in zip(errors, values, strict=True))
    freedom = total**2 / spread if spread else float(fewest - 1)
    return Estimate(difference, total, freedom, fewest, paired=False)


def _variance(values: Sequence[float]) -> float:
    """As `statistics.variance`, which adds fractions and takes twenty times as long."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
