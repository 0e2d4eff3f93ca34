"""Slopes of log2(statistic) on log2(width), with intervals over seeds, for many cells at once.

Width stands for any axis: depth, batch size and step are fitted in the same way. Beside the slope
is the curvature, the quadratic term of the parabola through the same points, with its interval.

Zeros are not hidden. A cell that is exactly zero everywhere has nothing to fit. A cell that is
zero only here and there follows no power law: a seed with a zero has no slope and is left out
of the fit, and the cell is marked `mixed`, so that nobody calls it flat. In the same way a seed
that is missing at one of the cell's widths is left out: every width then averages the same seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from muscope.verdicts.looks import CONFIDENCE

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.intp]
Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Fits:
    """One entry per cell; nan where there is nothing to fit or, for `half_width`, no interval.

    `seeds` are those that were fitted, or, where nothing could be, those that were measured.
    """

    slope: Floats
    half_width: Floats
    seeds: Integers
    widths: Bools  # (cells, widths): which widths the cell has
    diverged: Bools
    zero: Bools
    mixed: Bools
    curvature: Floats
    curvature_half_width: Floats

    def slope_of(self, cell: int) -> float | None:
        """The slope of one cell, None where there is nothing to fit."""
        return _known(self.slope[cell])

    def interval_of(self, cell: int) -> Interval | None:
        """The interval of one cell, None without one or where zeros make a power law moot."""
        slope, half_width = self.slope_of(cell), self.half_width_of(cell)
        if slope is None or half_width is None or self.mixed[cell]:
            return None
        return (slope - half_width, slope + half_width)

    def curvature_of(self, cell: int) -> tuple[float | None, Interval | None]:
        """The quadratic term of one cell and its interval, as far as there are any."""
        value = None if self.mixed[cell] else _known(self.curvature[cell])
        half_width = _known(self.curvature_half_width[cell])
        if value is None or half_width is None:
            return value, None
        return value, (value - half_width, value + half_width)

    def half_width_of(self, cell: int) -> float | None:
        """Half the interval of one cell, None where there is none."""
        return _known(self.half_width[cell])


def fit(
    widths: Sequence[int], values: Floats, present: Bools, *, confidence: float = CONFIDENCE
) -> Fits:
    """Fit every cell of values (cells, widths, seeds); `present` says which were measured.

    The slope is that of the mean over seeds, taken before the logarithm. The interval around it
    is Student's t with n-1 degrees of freedom on the slopes of the single seeds.
    """
    finite: Bools = np.isfinite(values)
    zeros: Bools = values == 0
    nothing = present & zeros
    diverged = _any(present & ~finite, axis=(1, 2))
    zero = _any(present, axis=(1, 2)) & ~_any(present & ~zeros, axis=(1, 2))
    used = _whole_seeds(present & ~diverged[:, None, None], nothing)
    fitted_widths = _any(used, axis=2)
    seeds: Integers = _any(used, axis=1).sum(axis=1)
    log_widths: Floats = np.log2(np.array(widths, dtype=np.float64))
    line, bend = _contrasts(log_widths, fitted_widths)
    mean, single = _log2_seed_mean(values, used), _log2_single(values, used)
    return Fits(
        slope=_over_widths(line, mean),
        half_width=_half_width(_of_seeds(line, single), seeds, confidence),
        curvature=_over_widths(bend, mean),
        curvature_half_width=_half_width(_of_seeds(bend, single), seeds, confidence),
        seeds=np.where(seeds > 0, seeds, _any(present, axis=1).sum(axis=1)),
        widths=_any(present, axis=2),
        diverged=diverged,
        zero=zero,
        mixed=_any(nothing, axis=(1, 2)) & ~zero,
    )


def _any(flags: Bools, axis: int | tuple[int, int]) -> Bools:
    found: Bools = np.any(flags, axis=axis)
    return found


def _whole_seeds(present: Bools, nothing: Bools) -> Bools:
    """Keep the seeds that were measured, and are not zero, at every width of their cell."""
    no_such_width = ~_any(present, axis=2)
    lacking = ~(present & ~nothing) & ~no_such_width[:, :, None]
    return present & ~_any(lacking, axis=1)[:, None, :]


def _log2_seed_mean(values: Floats, used: Bools) -> Floats:
    """log2 of the mean over the used seeds, (cells, widths); nan where no seed is used."""
    count = used.sum(axis=2)
    # each share before the sum: the mean of finite values is finite
    shares = np.where(used, values, 0.0) / np.maximum(count, 1)[:, :, None]
    mean: Floats = np.where(count > 0, shares.sum(axis=2), np.nan)
    logs: Floats = np.log2(mean)
    return logs


def _log2_single(values: Floats, used: Bools) -> Floats:
    """log2 of every single value, (cells, widths, seeds); nan of seeds that are not used."""
    logs: Floats = np.log2(np.where(used, values, np.nan))
    return logs


def _contrasts(x: Floats, used: Bools) -> tuple[Floats, Floats]:
    """What least squares weigh the logarithms with, (cells, widths): for the slope of the line and
    for the quadratic term of the parabola; nan with fewer than two and three used widths.
    """
    count = used.sum(axis=1)
    line = _centred(np.where(used, x, 0.0), used)
    square = _centred(line**2, used)
    length = (line**2).sum(axis=1)
    share = np.divide((square * line).sum(axis=1), length, where=length > 0, out=length * 0.0)
    bend = square - share[:, None] * line
    return _unit(line, count >= 2), _unit(bend, count >= 3)


def _centred(x: Floats, used: Bools) -> Floats:
    mean = x.sum(axis=1) / np.maximum(used.sum(axis=1), 1)
    centred: Floats = np.where(used, x - mean[:, None], 0.0)
    return centred


def _unit(direction: Floats, enough: Bools) -> Floats:
    """The direction over its squared length: its product with itself is 1."""
    length = (direction**2).sum(axis=1)
    found: Floats = np.full(direction.shape, np.nan)
    np.divide(direction, length[:, None], out=found, where=(enough & (length > 0))[:, None])
    return found


def _over_widths(contrast: Floats, logs: Floats) -> Floats:
    """The fitted term of every cell, (cells,)."""
    terms: Floats = (contrast * np.where(contrast == 0, 0.0, logs)).sum(axis=1)
    return terms


def _of_seeds(contrast: Floats, logs: Floats) -> Floats:
    """The fitted term of every single seed, (cells, seeds); nan for seeds that are not used."""
    known = np.any(np.isfinite(logs), axis=1)
    terms: Floats = np.einsum("cw,cws->cs", contrast, np.where(np.isnan(logs), 0.0, logs))
    return np.where(known, terms, np.nan)


def quantile_of_seeds(seeds: int | Integers, confidence: float) -> Floats:
    """Half an interval in standard errors: Student's t of so many seeds, two-sided."""
    t: Floats = np.asarray(stdtrit(np.maximum(seeds - 1, 1), 0.5 + confidence / 2))
    return t


def _half_width(seed_slopes: Floats, seeds: Integers, confidence: float) -> Floats:
    """t * s / sqrt(n) over the n seeds of every cell; nan with fewer than two."""
    several = seeds >= 2
    divisor = np.maximum(seeds, 1)
    known = np.isfinite(seed_slopes)
    mean = np.where(known, seed_slopes, 0.0).sum(axis=1) / divisor
    squares = (np.where(known, seed_slopes - mean[:, None], 0.0) ** 2).sum(axis=1)
    variance = squares / np.maximum(seeds - 1, 1)
    half_width = quantile_of_seeds(seeds, confidence) * np.sqrt(variance / divisor)
    return np.where(several & known.any(axis=1), half_width, np.nan)


def _known(number: np.float64) -> float | None:
    return float(number) if math.isfinite(number) else None
