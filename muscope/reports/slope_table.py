"""The slope table: tensor × step for one statistic, with notes on what is excused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from muscope.reports.sparkline import Sparkline, sparkline
from muscope.verdicts.types import DECIDING, Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, Role, Statistic, TensorKind

Order: TypeAlias = Literal["model", "role", "slope"]
"""Rows as the model has its tensors, role by role, or the largest slope first."""

Place: TypeAlias = tuple[str, int, int | None, int | None]
"""A tensor at a depth, and at a width and batch size where these were held."""

HARMLESS = (CellVerdict.FLAT, CellVerdict.ZERO)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the table: a cell with the number of its note, or nothing measured."""

    cell: Cell | None
    note: int | None
    decides: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor at one depth: its own verdict, what decided it, and its slope at every step.

    `held` says where the slope was taken, if there are several such places.
    """

    tensor: str
    role: Role
    held: str
    verdict: CellVerdict | None
    decided_by: str
    slots: tuple[Slot, ...]
    trace: Sparkline | None

    @property
    def largest(self) -> float:
        """The largest |slope| that is not excused."""
        cells = (slot.cell for slot in self.slots)
        return max((abs(c.slope or 0.0) for c in cells if c and c.counts), default=0.0)


@dataclass(frozen=True, slots=True)
class SlopeTable:
    """What a page and a report print; `notes` are numbered from one.

    `columns` are what its steps are called; over steps there is one, of all of them.
    """

    variant: str
    label: str
    kind: TensorKind
    statistic: Statistic
    steps: tuple[int, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    standing: str
    axis: Axis
    confidence: float

    @property
    def deciding(self) -> tuple[Statistic, ...]:
        """The statistics that its tensors are judged by; of some kinds and axes by none."""
        judges = self.axis is Axis.WIDTH or any(row.verdict for row in self.rows)
        return DECIDING.get(self.kind, ()) if judges else ()

    @property
    def flat_is_right(self) -> bool:
        """Whether a departure from flat is a fault; a weight, say, may well shrink with width.

        Over another axis than width only of the rows that have a verdict.
        """
        sizes = (Statistic.L1, Statistic.RMS)
        is_size = self.kind is TensorKind.ACTIVATION and self.statistic in sizes
        return is_size or self.statistic in self.deciding


def slope_table(
    verdict: VariantVerdict,
    statistic: Statistic,
    kind: TensorKind = TensorKind.ACTIVATION,
    *,
    standing: str = "",
    axis: Axis = Axis.WIDTH,
    order: Order = "model",
) -> SlopeTable:
    """The cells of one statistic by tensor, verdicts unchanged; `standing` is what they lack."""
    own = [cell for cell in verdict.cells_on(axis) if cell.kind is kind]
    cells = {(_place(cell), cell.step): cell for cell in own if cell.statistic is statistic}
    steps = tuple(sorted({step for _, step in cells}))
    notes = tuple(dict.fromkeys(c.exception for c in cells.values() if c.exception))
    judged = {_place(t): t for t in verdict.tensors_on(axis) if t.kind is kind}
    places = {_place(cell): cell for cell in own}
    rows = tuple(
        _row(
            cell,
            judged.get(place),
            [cells.get((place, step)) for step in steps],
            held=_held(cell, places.values()),
            notes=notes,
        )
        for place, cell in places.items()
    )
    return SlopeTable(
        variant=verdict.variant,
        label=verdict.label,
        kind=kind,
        statistic=statistic,
        steps=steps,
        columns=_columns(axis, steps, cells.values()),
        rows=_ordered(rows, order),
        notes=notes,
        standing=standing,
        axis=axis,
        confidence=verdict.confidence,
    )


def _columns(axis: Axis, steps: Sequence[int], cells: Iterable[Cell]) -> tuple[str, ...]:
    if axis is not Axis.STEP:
        return tuple(f"step {step}" for step in steps)
    first = min((cell.widths[0] for cell in cells), default=0)
    return tuple(f"steps {first} to {step}" for step in steps)


def _place(of: Cell | TensorVerdict) -> Place:
    return (of.tensor, of.depth, of.width, of.batch_size)


def _held(cell: Cell, others: Iterable[Cell]) -> str:
    """`depth 4`, `width 256`: what was held, of which other rows hold another."""
    fields = {"depth": "depth", "width": "width", "batch_size": "batch size"}
    several = [
        f"{words} {getattr(cell, name)}"
        for name, words in fields.items()
        if len({getattr(other, name) for other in others}) > 1
    ]
    return ", ".join(several)


def _ordered(rows: tuple[Row, ...], order: Order) -> tuple[Row, ...]:
    match order:
        case "model":
            return rows
        case "role":
            roles = list(Role)
            return tuple(sorted(rows, key=lambda row: roles.index(row.role)))
        case "slope":
            return tuple(sorted(rows, key=lambda row: -row.largest))
        case _:
            assert_never(order)


def _row(
    place: Cell,
    judged: TensorVerdict | None,
    found: Sequence[Cell | None],
    *,
    held: str,
    notes: Sequence[str],
) -> Row:
    """The tensor of any of its cells, which are `found` step by step, with its own verdict."""
    deciding = _deciding(judged) if judged else None
    return Row(
        tensor=place.tensor,
        role=place.role,
        held=held,
        verdict=judged.verdict if judged else None,
        decided_by=_decided_by(deciding),
        slots=tuple(_slot(cell, notes, deciding) for cell in found),
        trace=sparkline([cell.slope if cell else None for cell in found], place.tolerance),
    )


def _deciding(tensor: TensorVerdict) -> Cell | None:
    """The cell that made the verdict; where all is well, none did."""
    return None if tensor.verdict in HARMLESS else tensor.worst


def _decided_by(cell: Cell | None) -> str:
    return f"{cell.statistic}, step {cell.step}" if cell else ""


def _slot(cell: Cell | None, notes: Sequence[str], deciding: Cell | None) -> Slot:
    note = notes.index(cell.exception) + 1 if cell and cell.exception else None
    return Slot(cell, note, decides=cell is not None and cell == deciding)
