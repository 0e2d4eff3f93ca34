"""All slopes of a variant that decide, together: of many, some lie beyond flat by chance.

One slope that grows makes a variant grow, so what is said of one must hold among all of them. A
line is the slopes of one statistic of one tensor: its steps see the same weights again, so that
they count once. With m lines a cell keeps *grows*, *shrinks* or *not as theory says* if it departs
at the error of its confidence shared among them, (1 - confidence) / m, by Bonferroni's inequality.

What that asks of few seeds is only fair with a fair error. The errors of single cells come from
few seeds, and of many cells some have seeds that happen to agree. So the variance here is a mean
of the cell's own, with its S - 1 degrees of freedom, and of that of its like (same axis, kind and
statistic), with four; together it has S + 3. With two seeds nearly all comes from the like, with
five half, with many little. What departs less surely is open: *inconclusive*, and neither with
theory nor against it.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable

from scipy.special import stdtrit

from muscope.verdicts.statements import place
from muscope.verdicts.student import standard_error
from muscope.verdicts.types import Cell
from muscope.vocabulary import CellVerdict

DEPARTING = (CellVerdict.GROWS, CellVerdict.SHRINKS)
OF_ITS_LIKE = 4
"""Degrees of freedom that the variance of its like counts for: as many as five seeds have."""


class Family:
    """The slopes that decide on one variant's word, and how sure one must be among them."""

    def __init__(self, cells: Iterable[Cell], confidence: float) -> None:
        self.confidence = confidence
        fitted = [cell for cell in cells if cell.decides and cell.low is not None]
        self.lines = len({(place(cell), cell.statistic) for cell in fitted})
        variances: defaultdict[Hashable, list[float]] = defaultdict(list)
        for cell in fitted:
            variances[_like(cell)].append(self._variance(cell))
        self.noise = {like: math.fsum(own) / len(own) for like, own in variances.items()}

    def told(self, cell: Cell) -> Cell:
        """The cell with the words that hold among all of the family."""
        if not cell.decides or cell.low is None or _like(cell) not in self.noise:
            return cell
        found: dict[str, object] = {}
        if cell.counts and cell.verdict in DEPARTING and not self._is_sure(cell, of=0.0):
            found["verdict"] = CellVerdict.INCONCLUSIVE
        if cell.as_expected is False and not self._is_sure(cell, of=cell.expected or 0.0):
            found["as_expected"] = None
        return cell.model_copy(update=found) if found else cell

    def _is_sure(self, cell: Cell, *, of: float) -> bool:
        """Whether a slope lies farther from an exponent than the tolerance, for sure."""
        beyond = abs((cell.slope or 0.0) - of) - cell.tolerance
        shared = 1 - (1 - self.confidence) / (2 * self.lines)
        own = max(cell.seeds - 1, 1)
        freedom = own + OF_ITS_LIKE
        like = self.noise[_like(cell)]
        variance = (own * self._variance(cell) + OF_ITS_LIKE * like) / freedom
        return beyond > float(stdtrit(freedom, shared)) * math.sqrt(variance)

    def _variance(self, cell: Cell) -> float:
        """The squared standard error that its interval was made of."""
        if cell.low is None or cell.high is None:
            return 0.0
        confidence = self.confidence
        error = standard_error(cell.low, cell.high, seeds=cell.seeds, confidence=confidence)
        return error**2


def _like(cell: Cell) -> Hashable:
    return (cell.axis, cell.kind, cell.statistic)
