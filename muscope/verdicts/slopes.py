"""Slopes of log2(statistic) on log2(width), with intervals over seeds, for many cells at once.

Zeros are not hidden. A cell that is exactly zero everywhere has nothing to fit. A cell that is
zero only here and there follows no power law: a seed with a zero has no slope and is left out
of the fit, and the cell is marked `mixed`, so that nobody calls it flat. In the same way a seed
that is missing at one of the cell's widths is left out: every width then averages the same seeds.
"""

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

    def slope_of(self, cell: int) -> float | None:
        """The slope of one cell, None where there is nothing to fit."""
        return _known(self.slope[cell])

    def interval_of(self, cell: int) -> Interval | None:
        """The interval of one cell, None without one or where zeros make a power law moot."""
        slope, half_width = self.slope_of(cell), self.half_width_of(cell)
        if slope is None or half_width is None or self.mixed[cell]:
            return None
        return (slope - half_width, slope + half_width)

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
    return Fits(
        slope=_slopes(log_widths, _log2_seed_mean(values, used), fitted_widths),
        half_width=_half_width(_seed_slopes(log_widths, values, used), seeds, confidence),
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
    total = np.where(used, values, 0.0).sum(axis=2)
    count = used.sum(axis=2)
    mean: Floats = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    logs: Floats = np.log2(mean)
    return logs


def _seed_slopes(log_widths: Floats, values: Floats, used: Bools) -> Floats:
    """The slope of every single seed, (cells, seeds); nan for seeds that are not used."""
    logs: Floats = np.log2(np.where(used, values, np.nan))
    by_seed = np.moveaxis(logs, 2, 1).reshape(-1, len(log_widths))
    finite: Bools = np.isfinite(by_seed)
    slopes = _slopes(log_widths, by_seed, finite)
    return slopes.reshape(used.shape[0], used.shape[2])


def _slopes(x: Floats, y: Floats, used: Bools) -> Floats:
    """Least squares of every row of y on x over the used columns; nan with fewer than two."""
    count = used.sum(axis=1)
    enough = count >= 2
    divisor = np.maximum(count, 1)
    x_used = np.where(used, x, 0.0)
    x_centred = np.where(used, x - (x_used.sum(axis=1) / divisor)[:, None], 0.0)
    covariance = (x_centred * np.where(used, y, 0.0)).sum(axis=1)
    variance = (x_centred**2).sum(axis=1)
    slopes: Floats = np.full(len(y), np.nan)
    np.divide(covariance, variance, out=slopes, where=enough)
    return slopes


def quantile(seeds: int | Integers, confidence: float) -> Floats:
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
    half_width = quantile(seeds, confidence) * np.sqrt(variance / divisor)
    return np.where(several & known.any(axis=1), half_width, np.nan)


def _known(number: np.float64) -> float | None:
    return float(number) if np.isfinite(number) else None
