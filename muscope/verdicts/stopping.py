"""When a look is enough: a variant whose word more seeds would hardly change needs none.

*Flat* is enough as it is: every cell that counts lies within the tolerance, and all of them at
once. One cell makes a variant *grow*, and of many noisy cells one may seem to; so growth stops a
variant only if it would be found in a cell with the error of the look shared among all cells.
*Shrinks* is asked the same, and that no cell is left open, because that might yet grow.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never

from muscope.verdicts.slopes import quantile_of_seeds
from muscope.verdicts.types import Cell
from muscope.vocabulary import CellVerdict


def is_decided(verdict: CellVerdict, cells: Iterable[Cell], confidence: float) -> bool:
    """Whether a variant's verdict, over its cells that decide, is worth no more seeds."""
    deciding = [cell for cell in cells if cell.decides]
    match verdict:
        case CellVerdict.FLAT | CellVerdict.DIVERGED:
            return True
        case CellVerdict.GROWS:
            return _departs_for_sure(verdict, deciding, confidence)
        case CellVerdict.SHRINKS:
            return not _any_open(deciding) and _departs_for_sure(verdict, deciding, confidence)
        case CellVerdict.INCONCLUSIVE | CellVerdict.ZERO:
            return False
        case _:
            assert_never(verdict)


def _any_open(cells: Sequence[Cell]) -> bool:
    return any(cell.counts and cell.verdict is CellVerdict.INCONCLUSIVE for cell in cells)


def _departs_for_sure(verdict: CellVerdict, cells: Sequence[Cell], confidence: float) -> bool:
    """Whether any cell that has this word keeps it with the error shared among all cells."""
    shared = 1 - (1 - confidence) / len(cells)
    own = (cell for cell in cells if cell.verdict is verdict and cell.counts)
    return any(_lies_beyond(cell, confidence, shared) for cell in own)


def _lies_beyond(cell: Cell, confidence: float, shared: float) -> bool:
    """Whether the interval lies beyond the tolerance when it is as wide as `shared` asks."""
    if cell.slope is None or cell.low is None or cell.high is None:
        return False
    wider = float(quantile_of_seeds(cell.seeds, shared) / quantile_of_seeds(cell.seeds, confidence))
    return abs(cell.slope) - (cell.high - cell.low) / 2 * wider > cell.tolerance
