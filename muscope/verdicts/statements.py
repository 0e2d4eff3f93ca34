"""Two statements that are not one: do sizes keep, and is that what theory says of this rule?

SP that grows is not width-stable and is as its theory says; µP with one wrong rate is neither.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable

from muscope.theory.expected import is_early
from muscope.verdicts.types import Cell
from muscope.vocabulary import Axis, CellVerdict, Role, Statistic, TensorKind

_OPEN = (CellVerdict.INCONCLUSIVE,)
_HARMLESS = (CellVerdict.FLAT, CellVerdict.ZERO)


def is_stable(verdict: CellVerdict) -> bool | None:
    """Whether sizes keep, given the worst word of an axis; None where that cannot be told."""
    if verdict in _OPEN:
        return None
    return verdict in _HARMLESS


def is_depth_stable(further: Iterable[Cell]) -> bool | None:
    """Whether the stream after the last block keeps its size and its change with depth.

    Growth counts whatever theory says of it, and what is legal to shrink does not. The steps are
    those at which theory speaks of depth. None with one depth, without a stream, without such a
    step, and where it cannot be told.
    """
    words = [_word(cell) for cell in further if _is_stream(cell) and not is_early(cell.step)]
    if not words:
        return None
    if any(word not in (*_HARMLESS, *_OPEN) for word in words):
        return False
    fitted = [word for word in words if word is not CellVerdict.ZERO]
    return True if fitted and all(word is CellVerdict.FLAT for word in fitted) else None


def _word(cell: Cell) -> CellVerdict:
    shrinks = cell.exception is not None and (cell.slope or 0.0) < 0
    return CellVerdict.FLAT if shrinks else cell.verdict


def _is_stream(cell: Cell) -> bool:
    sizes = (Statistic.L1, Statistic.CHANGE)
    is_activation = cell.kind is TensorKind.ACTIVATION and cell.statistic in sizes
    return cell.axis is Axis.DEPTH and is_activation and cell.role is Role.RESIDUAL


def as_theory(cells: Iterable[Cell]) -> bool | None:
    """Whether the slopes that decide are those that theory gives; None where none can be told.

    Excused cells say nothing against it. Neither does growth that is less than theory's: its
    exponents are those of small learning rates, and larger ones saturate (facts 5.1 and 5.3). A
    tensor departs when half of the steps at which that can be told do: of a hundred noisy cells
    one departs alone, and what is wrong stays wrong at the next step.
    """
    told: defaultdict[Hashable, list[bool]] = defaultdict(list)
    for cell in cells:
        if cell.decides and cell.as_expected is not None:
            told[place(cell), cell.statistic].append(cell.is_against_theory)
    if not told:
        return None
    return not any(2 * sum(against) >= len(against) for against in told.values())


def place(cell: Cell) -> Hashable:
    """Where a tensor stands: its cells at all steps and statistics share this."""
    return (cell.axis, cell.depth, cell.kind, cell.tensor, cell.batch_size, cell.width)
