"""A slope with its interval becomes a cell: a word, and what it was held against.

A cell is *flat* when the interval of its slope lies within the tolerance and every planned place of
the axis is there, *grows* or *shrinks* when it lies beyond, else *inconclusive*; *zero* when there
is nothing to fit, *diverged* when a value is not finite. A departure is legal only if the whole
interval lies in the band of a legal exception; an interval that merely overlaps the band is
inconclusive. `smallest_detectable` is the tolerance plus half the interval: a smaller true slope
would usually not be told from flat on this grid. A cell is `as_expected` when theory's exponent
lies within the interval widened by the tolerance, and undecided when the interval is wider than
that. A cell that is excused never disagrees: that it is not there yet is what is legal.

A line *bends* when, over the whole interval of its curvature, the parabola's slope at an end of the
grid differs from the line's by more than the tolerance of flat: only then would the word be another
one there.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from muscope.theory import expected
from muscope.theory.expected import Coordinates, LegalException, Standard
from muscope.verdicts.grid import Grid, Place
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.slopes import Bools, Fits, Interval, fit
from muscope.verdicts.types import Cell
from muscope.vocabulary import CellVerdict, Statistic

EXCUSABLE = (CellVerdict.SHRINKS, CellVerdict.INCONCLUSIVE)
"""What a legal exception can excuse: growing with width is never excused."""

StandardOf: TypeAlias = Callable[[Place, Statistic], Standard]


def cells_of(
    grid: Grid,
    widths: Sequence[int],
    at: Callable[[Place, Statistic], Coordinates],
    confidence: float = CONFIDENCE,
) -> Iterator[Cell]:
    """Every measured cell of a grid over widths; `at` says what its expectation depends on."""
    return cells_on(grid, widths, lambda *where: expected.on_width(at(*where)), confidence)


def cells_on(
    grid: Grid, scale: Sequence[int], standard: StandardOf, confidence: float = CONFIDENCE
) -> Iterator[Cell]:
    """Every measured cell of a grid over the places on any axis."""
    cell_shape = (len(grid.places) * len(grid.statistics), *grid.values.shape[2:])
    values, present = grid.values.reshape(cell_shape), grid.present.reshape(cell_shape)
    fits = fit(scale, values, present, confidence=confidence)
    measured: Bools = np.any(fits.widths, axis=1)
    whole: Bools = np.all(fits.widths, axis=1)
    points = tuple(scale)
    keys = ((place, statistic) for place in grid.places for statistic in grid.statistics)
    for number, (place, statistic) in enumerate(keys):
        if measured[number]:
            held_against = standard(place, statistic)
            at = points if whole[number] else _some(points, fits.widths[number])
            yield _cell(held_against, (place, statistic), at, fits, number)


def _cell(
    standard: Standard,
    where: tuple[Place, Statistic],
    places: tuple[int, ...],
    fits: Fits,
    number: int,
) -> Cell:
    place, statistic = where
    interval = fits.interval_of(number)
    half_width = fits.half_width_of(number)
    curvature, bend = fits.curvature_of(number)
    theory, legal, tolerance = standard.expectation, standard.legal, standard.tolerance
    verdict = _verdict(fits, number, tolerance)
    excused = legal is not None and _is_excused(verdict, interval, legal)
    is_legal_in_part = legal is not None and not legal.growth and _overlaps(interval, legal)
    if verdict is CellVerdict.SHRINKS and is_legal_in_part and not excused:
        verdict = CellVerdict.INCONCLUSIVE
    return Cell(
        axis=place.axis,
        width=place.width,
        batch_size=place.batch_size,
        tensor=place.tensor,
        kind=place.kind,
        role=place.role,
        depth=place.depth,
        step=place.step,
        statistic=statistic,
        verdict=verdict,
        slope=fits.slope_of(number),
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        seeds=int(fits.seeds[number]),
        widths=places,
        tolerance=tolerance,
        smallest_detectable=None if half_width is None else tolerance + half_width,
        curvature=curvature,
        curvature_low=bend[0] if bend else None,
        curvature_high=bend[1] if bend else None,
        bends=_bends(bend, places, tolerance),
        exception=legal.reason if legal and excused else None,
        legal_low=legal.low if legal and math.isfinite(legal.low) else None,
        legal_high=legal.high if legal and math.isfinite(legal.high) else None,
        expected=theory.exponent,
        as_expected=_as_expected(
            theory.exponent,
            interval,
            standard.agreement,
            excused=excused and not (legal is not None and legal.growth),
        ),
        source=theory.source,
    )


def _some(points: Sequence[int], measured: Bools) -> tuple[int, ...]:
    return tuple(point for point, has in zip(points, measured, strict=True) if has)


def _verdict(fits: Fits, number: int, tolerance: float) -> CellVerdict:
    interval = fits.interval_of(number)
    if fits.diverged[number]:
        return CellVerdict.DIVERGED
    if fits.zero[number]:
        return CellVerdict.ZERO
    if interval is None:
        return CellVerdict.INCONCLUSIVE
    verdict = _of_interval(*interval, tolerance)
    lacks_widths = not fits.widths[number].all()
    return CellVerdict.INCONCLUSIVE if verdict is CellVerdict.FLAT and lacks_widths else verdict


def _of_interval(low: float, high: float, tolerance: float) -> CellVerdict:
    if low > tolerance:
        return CellVerdict.GROWS
    if high < -tolerance:
        return CellVerdict.SHRINKS
    if low >= -tolerance and high <= tolerance:
        return CellVerdict.FLAT
    return CellVerdict.INCONCLUSIVE


def _is_excused(verdict: CellVerdict, interval: Interval | None, legal: LegalException) -> bool:
    """Whether the departure is legal."""
    if legal.growth and verdict is CellVerdict.GROWS:
        return _lies_in(interval, legal)
    return verdict in EXCUSABLE and _lies_in(interval, legal)


def _lies_in(interval: Interval | None, legal: LegalException) -> bool:
    return interval is not None and legal.low <= interval[0] and interval[1] <= legal.high


def _overlaps(interval: Interval | None, legal: LegalException) -> bool:
    return interval is not None and legal.low <= interval[1] and interval[0] <= legal.high


def _bends(curvature: Interval | None, places: Sequence[int], tolerance: float) -> bool:
    """Whether the slope at an end surely differs from the line's by more than the tolerance.

    The parabola's slope changes by 2 c per octave, so by c times all octaves from the middle to an
    end.
    """
    if curvature is None or len(places) < 3:
        return False
    allowed = tolerance / math.log2(places[-1] / places[0])
    return curvature[0] > allowed or curvature[1] < -allowed


def _as_expected(
    exponent: float | None, interval: Interval | None, near: float, *, excused: bool
) -> bool | None:
    if exponent is None or interval is None:
        return None
    low, high = interval
    agrees = low - near <= exponent <= high + near
    undecided = high - low > 2 * near if agrees else excused
    return None if undecided else agrees
