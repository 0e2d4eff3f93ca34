"""Whether a training went steadily: spikes of its loss, and growth of its gradient.

A configuration with a very low loss may owe it to luck where its training is unsteady; the Cerebras
guide advises to take the second or third best then. Neither number has a published limit: these are
ours, and stand beside the numbers wherever they are shown.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import NamedTuple

from muscope.tuning import SPIKE_WINDOW

SPIKE = 7.0
"""Standard deviations above the line through the 32 steps before it.

The spike score of OLMo 2 takes seven above the mean of 1000 steps; while the loss still falls, a
line sees what the mean does not. With normal noise one step in ten million is so far out.
"""
LEAST_SPIKE = 0.01
"""And this part of the loss, so that one that hardly varies has no spikes of no size."""
PARTS = 8
"""Into so many parts a training is cut to see its gradient grow; the first is warm-up."""
MOST_GROWTH = 2.0
"""Octaves: a gradient that ends four times as large as it was once is said to explode."""


class Stability(NamedTuple):
    """Spikes of the loss, and the octaves by which the gradient's norm grew; None if unknown."""

    spikes: int
    growth: float | None

    @property
    def is_steady(self) -> bool:
        """Whether nothing of it is a reason to take another set."""
        return self.spikes == 0 and (self.growth is None or self.growth <= MOST_GROWTH)


def stability(losses: Sequence[float], norms: Sequence[float]) -> Stability:
    """That of one training, from the loss and the gradient's norm of every step."""
    return Stability(spikes(losses), growth(norms))


def spikes(losses: Sequence[float]) -> int:
    """How often the loss left the line of the steps before it; what is not finite leaves it too."""
    finite = list(takewhile(math.isfinite, losses))
    is_out = [False, *_are_out(finite)]
    return sum(now and not before for before, now in pairwise(is_out)) + (len(finite) < len(losses))


def _are_out(losses: Sequence[float]) -> Iterator[bool]:
    """Of every step with a whole window before it.

    The line of least squares through x_0 ... x_{n-1} has the slope b = sum (i - c) x_i / s, with
    c = (n-1)/2 and s = n (n²-1) / 12; sums of a window come from running ones.
    """
    n, c = SPIKE_WINDOW, (SPIKE_WINDOW - 1) / 2
    s = n * (n * n - 1) / 12
    level = statistics.fmean(losses) if losses else 0.0
    x = [loss - level for loss in losses]
    sums = [0.0, *accumulate(x)]
    squares = [0.0, *accumulate(value * value for value in x)]
    moments = [0.0, *accumulate(step * value for step, value in enumerate(x))]
    for step in range(n, len(x)):
        first = step - n
        total = sums[step] - sums[first]
        b = (moments[step] - moments[first] - (first + c) * total) / s
        line = total / n + b * (n - c)
        left = squares[step] - squares[first] - total * total / n - b * b * s
        deviation = math.sqrt(max(left, 0.0) / (n - 2))
        yield x[step] - line > max(SPIKE * deviation, LEAST_SPIKE * abs(line + level))


def growth(norms: Sequence[float]) -> float | None:
    """Octaves from the calmest part of a training after its first to its last, at least 0.

    Of each of eight parts the median counts, so that a single spike is none of it. None of fewer
    than two steps a part, and where the gradient vanishes.
    """
    size = len(norms) // PARTS
    if size < 2 or not all(map(math.isfinite, norms)):
        return None
    starts = range(len(norms) - (PARTS - 1) * size, len(norms), size)
    medians = [statistics.median(norms[start : start + size]) for start in starts]
    calmest = min(medians)
    return math.log2(medians[-1] / calmest) if calmest > 0 else None
