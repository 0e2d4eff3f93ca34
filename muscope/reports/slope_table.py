"""The slope table: tensor × step for one statistic, with notes on what is excused."""

from collections.abc import Sequence
from dataclasses import dataclass

from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import CellVerdict, Role, Statistic


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the table: a cell with the number of its note, or nothing measured."""

    cell: Cell | None
    note: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor at one depth: its own verdict and its slope at every step."""

    tensor: str
    role: Role
    depth: int
    verdict: CellVerdict | None
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class SlopeTable:
    """What a page and a report print; `notes` are numbered from one."""

    variant: str
    label: str
    statistic: Statistic
    steps: tuple[int, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    several_depths: bool


def slope_table(verdict: VariantVerdict, statistic: Statistic) -> SlopeTable:
    """The cells of one statistic in the order of the tensors, worst verdict unchanged."""
    cells = {
        (cell.tensor, cell.depth, cell.step): cell
        for cell in verdict.cells
        if cell.statistic is statistic
    }
    steps = tuple(sorted({step for _, _, step in cells}))
    notes = tuple(dict.fromkeys(c.exception for c in cells.values() if c.exception))
    rows = tuple(
        Row(
            tensor=tensor.tensor,
            role=tensor.role,
            depth=tensor.depth,
            verdict=tensor.verdict,
            slots=tuple(
                _slot(cells.get((tensor.tensor, tensor.depth, step)), notes) for step in steps
            ),
        )
        for tensor in verdict.tensors
    )
    return SlopeTable(
        variant=verdict.variant,
        label=verdict.label,
        statistic=statistic,
        steps=steps,
        rows=rows,
        notes=notes,
        several_depths=len({row.depth for row in rows}) > 1,
    )


def _slot(cell: Cell | None, notes: Sequence[str]) -> Slot:
    if cell is None or cell.exception is None:
        return Slot(cell, None)
    return Slot(cell, notes.index(cell.exception) + 1)
