"""The slope table: tensor × step for one statistic, with notes on what is excused."""

from collections.abc import Sequence
from dataclasses import dataclass

from muscope.verdicts.types import Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, Role, Statistic

HARMLESS = (CellVerdict.FLAT, CellVerdict.ZERO)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the table: a cell with the number of its note, or nothing measured."""

    cell: Cell | None
    note: int | None
    decides: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor at one depth: its own verdict, what decided it, and its slope at every step."""

    tensor: str
    role: Role
    depth: int
    verdict: CellVerdict | None
    decided_by: str
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
    standing: str


def slope_table(verdict: VariantVerdict, statistic: Statistic, *, standing: str = "") -> SlopeTable:
    """The cells of one statistic by tensor, verdicts unchanged; `standing` is what they lack."""
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
            decided_by=_decided_by(_deciding(tensor)),
            slots=tuple(
                _slot(cells.get((tensor.tensor, tensor.depth, step)), notes, _deciding(tensor))
                for step in steps
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
        standing=standing,
    )


def _deciding(tensor: TensorVerdict) -> Cell | None:
    """The cell that made the verdict; where all is well, none did."""
    return None if tensor.verdict in HARMLESS else tensor.worst


def _decided_by(cell: Cell | None) -> str:
    return f"{cell.statistic}, step {cell.step}" if cell else ""


def _slot(cell: Cell | None, notes: Sequence[str], deciding: Cell | None) -> Slot:
    note = notes.index(cell.exception) + 1 if cell and cell.exception else None
    return Slot(cell, note, decides=cell is not None and cell == deciding)
