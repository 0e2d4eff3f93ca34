"""The slope table: tensor × step for one statistic, with notes on what is excused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muscope.verdicts.types import DECIDING, Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind

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
    kind: TensorKind
    statistic: Statistic
    steps: tuple[int, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    several_depths: bool
    standing: str
    confidence: float

    @property
    def deciding(self) -> tuple[Statistic, ...]:
        """The statistics that a tensor of this kind is judged by; of some kinds by none."""
        return DECIDING.get(self.kind, ())

    @property
    def flat_is_right(self) -> bool:
        """Whether a departure from flat is a fault; a weight, say, may well shrink with width."""
        sizes = (Statistic.L1, Statistic.RMS)
        is_size = self.kind is TensorKind.ACTIVATION and self.statistic in sizes
        return is_size or self.statistic in self.deciding


def slope_table(
    verdict: VariantVerdict,
    statistic: Statistic,
    kind: TensorKind = TensorKind.ACTIVATION,
    *,
    standing: str = "",
) -> SlopeTable:
    """The cells of one statistic by tensor, verdicts unchanged; `standing` is what they lack."""
    own = [cell for cell in verdict.cells if cell.kind is kind]
    cells = {(c.tensor, c.depth, c.step): c for c in own if c.statistic is statistic}
    steps = tuple(sorted({step for _, _, step in cells}))
    notes = tuple(dict.fromkeys(c.exception for c in cells.values() if c.exception))
    judged = {(t.tensor, t.depth): t for t in verdict.tensors if t.kind is kind}
    rows = tuple(
        _row(place, judged.get((place.tensor, place.depth)), cells, steps, notes)
        for place in {(cell.tensor, cell.depth): cell for cell in own}.values()
    )
    return SlopeTable(
        variant=verdict.variant,
        label=verdict.label,
        kind=kind,
        statistic=statistic,
        steps=steps,
        rows=rows,
        notes=notes,
        several_depths=len({row.depth for row in rows}) > 1,
        standing=standing,
        confidence=verdict.confidence,
    )


def _row(
    place: Cell,
    judged: TensorVerdict | None,
    cells: Mapping[tuple[str, int, int], Cell],
    steps: Sequence[int],
    notes: Sequence[str],
) -> Row:
    """The tensor of any of its cells, with its own verdict if it has one."""
    deciding = _deciding(judged) if judged else None
    found = (cells.get((place.tensor, place.depth, step)) for step in steps)
    return Row(
        tensor=place.tensor,
        role=place.role,
        depth=place.depth,
        verdict=judged.verdict if judged else None,
        decided_by=_decided_by(deciding),
        slots=tuple(_slot(cell, notes, deciding) for cell in found),
    )


def _deciding(tensor: TensorVerdict) -> Cell | None:
    """The cell that made the verdict; where all is well, none did."""
    return None if tensor.verdict in HARMLESS else tensor.worst


def _decided_by(cell: Cell | None) -> str:
    return f"{cell.statistic}, step {cell.step}" if cell else ""


def _slot(cell: Cell | None, notes: Sequence[str], deciding: Cell | None) -> Slot:
    note = notes.index(cell.exception) + 1 if cell and cell.exception else None
    return Slot(cell, note, decides=cell is not None and cell == deciding)
