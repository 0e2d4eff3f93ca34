"""Steps of a bundle on their way into the database: fenced, keyed, many rows per statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from typing import NamedTuple, TypeAlias

from sqlalchemy import Connection, Table, case, or_, select, update

from muscope.records import Extra, Measurement, Progress, StepRecord, Values
from muscope.storage import bulk, events, nonfinite
from muscope.storage.bulk import Value
from muscope.storage.database import now
from muscope.storage.leases import Claim, prove
from muscope.storage.tables import attempt, measurement, plugin_measurement, progress

BITS = tuple(map(nonfinite.MEASUREMENT_COLUMNS.index, Values._fields))
"""Where the bits of each statistic are; the columns came in another order than the statistics."""

_PROGRESS = ("train_loss", "eval_loss", "grad_norm")
_PROGRESS_BITS = tuple(map(nonfinite.PROGRESS_COLUMNS.index, _PROGRESS))

Columns: TypeAlias = Mapping[str, Sequence[Value]]
Row: TypeAlias = tuple[Value, ...]


class MeasurementConflict(RuntimeError):
    """The same key with another value: two executions of one attempt disagree."""


@dataclass(frozen=True, slots=True)
class Writer:
    """For whom rows are written: an attempt with the runs of its members, and tensors by name."""

    attempt_id: int
    run_ids: tuple[int, ...]
    tensor_ids: Mapping[str, int]


class _Target(NamedTuple):
    """A table, and its columns that make up the key within an attempt, and the rest."""

    table: Table
    keys: tuple[str, ...]
    values: tuple[str, ...]


_MEASUREMENT = _Target(
    measurement, ("run_id", "step", "tensor_id", "kind"), (*Values._fields, "nonfinite")
)
_EXTRA = _Target(
    plugin_measurement,
    ("run_id", "step", "tensor_id", "kind", "statistic"),
    ("value", "nonfinite"),
)
_CURVE = _Target(progress, ("run_id", "step"), (*_PROGRESS, "nonfinite"))


def write(conn: Connection, claim: Claim, *records: StepRecord) -> None:
    """Store steps of a bundle, in rising order, under its lease; the same again changes nothing.

    All of them are in one transaction, with one event. A commit of which nobody knows whether it
    happened is simply repeated.
    """
    if any(later.step <= earlier.step for earlier, later in pairwise(records)):
        raise ValueError(f"steps must rise, got {[record.step for record in records]}")
    prove(conn, claim)
    run_ids = tuple(member.run_id for member in claim.members)
    if store(conn, Writer(claim.attempt_id, run_ids, claim.tensor_ids), records):
        last, steps = records[-1].step, claim.members[0].spec.steps
        data = {"bundle": claim.bundle_id, "step": last, "steps": steps}
        events.append(conn, claim.study_id, "step", data=data)


def store(conn: Connection, writer: Writer, records: Sequence[StepRecord]) -> bool:
    """Insert what the database lacks of these steps, which rise; whether it lacked anything.

    Whoever calls has proved that the attempt goes on, and keeps its study locked.
    """
    first, last = records[0].step, records[-1].step
    rows = [(_MEASUREMENT, _measured(writer, records)), (_CURVE, _progressed(writer, records))]
    if any(record.extras for record in records):
        rows.append((_EXTRA, _extra(writer, records)))
    if first <= _reached(conn, writer):
        rows = [(target, _unknown(conn, writer, target, columns)) for target, columns in rows]
    new = [(target, columns) for target, columns in rows if columns["run_id"]]
    for target, columns in new:
        bulk.insert(conn, target.table, columns)
    if new:
        _reach(conn, writer, last)
    return bool(new)


def _reached(conn: Connection, writer: Writer) -> int:
    """A step after which nothing of this attempt can be stored.

    Whoever stores a step raises it in the same transaction, nobody lowers it, and the proof of
    the lease has waited for every transaction before; a heartbeat may have raised it further.
    """
    step = conn.execute(select(attempt.c.last_step).where(attempt.c.id == writer.attempt_id))
    reached = step.scalar_one()
    return -1 if reached is None else reached


def _reach(conn: Connection, writer: Writer, step: int) -> None:
    behind = or_(attempt.c.last_step.is_(None), attempt.c.last_step < step)
    conn.execute(
        update(attempt)
        .where(attempt.c.id == writer.attempt_id)
        .values(last_step=case((behind, step), else_=attempt.c.last_step), last_step_at=now())
    )


def _measured(writer: Writer, records: Sequence[StepRecord]) -> Columns:
    entries = [entry for record in records for entry in record.measurements]
    columns = _statistics(entries)
    positions = [BITS[place] for place in columns]
    return {
        "run_id": _run_ids(writer, entries),
        "attempt_id": [writer.attempt_id] * len(entries),
        "step": [record.step for record in records for _ in record.measurements],
        "tensor_id": _tensor_ids(writer, entries),
        "kind": [entry.kind.value for entry in entries],
        **{Values._fields[p]: nonfinite.stored_column(column) for p, column in columns.items()},
        "nonfinite": nonfinite.flag_column(
            zip(positions, columns.values(), strict=True), len(entries)
        ),
    }


def _extra(writer: Writer, records: Sequence[StepRecord]) -> Columns:
    """The numbers of plugins' statistics."""
    entries = [entry for record in records for entry in record.extras]
    values = [entry.value for entry in entries]
    return {
        "run_id": _run_ids(writer, entries),
        "attempt_id": [writer.attempt_id] * len(entries),
        "step": [record.step for record in records for _ in record.extras],
        "tensor_id": _tensor_ids(writer, entries),
        "kind": [entry.kind.value for entry in entries],
        "statistic": [entry.statistic for entry in entries],
        "value": nonfinite.stored_column(values),
        "nonfinite": nonfinite.flag_column([(0, values)], len(entries)),
    }


def _progressed(writer: Writer, records: Sequence[StepRecord]) -> Columns:
    entries = [entry for record in records for entry in record.progress]
    columns: list[Sequence[float | None]] = [
        [entry.train_loss for entry in entries],
        [entry.eval_loss for entry in entries],
    ]
    norms = [entry.grad_norm for entry in entries]
    columns += [norms] if norms.count(None) < len(norms) else []
    pairs = zip(_PROGRESS_BITS, columns, strict=False)
    return {
        "run_id": _run_ids(writer, entries),
        "attempt_id": [writer.attempt_id] * len(entries),
        "step": [record.step for record in records for _ in record.progress],
        **{name: nonfinite.stored_column(of) for name, of in zip(_PROGRESS, columns, strict=False)},
        "nonfinite": nonfinite.flag_column(pairs, len(entries)),
    }


def _statistics(entries: Sequence[Measurement]) -> dict[int, Sequence[float | None]]:
    """By place in Values, those that any entry fills; the columns of the others need no words."""
    columns = enumerate(zip(*(entry.values for entry in entries), strict=True))
    return {place: column for place, column in columns if column.count(None) < len(column)}


def _run_ids(
    writer: Writer, entries: Sequence[Measurement] | Sequence[Progress] | Sequence[Extra]
) -> list[int]:
    return [writer.run_ids[entry.member] for entry in entries]


def _tensor_ids(writer: Writer, entries: Sequence[Measurement] | Sequence[Extra]) -> list[int]:
    try:
        return [writer.tensor_ids[entry.tensor] for entry in entries]
    except KeyError as error:
        known = ", ".join(writer.tensor_ids)
        raise ValueError(
            f"tensor {error.args[0]!r} is not in the plan, which has: {known}"
        ) from error


def _unknown(conn: Connection, writer: Writer, target: _Target, columns: Columns) -> Columns:
    """The rows that the database lacks; raise where it has another value."""
    known = _known(conn, writer, target, columns)
    nothing: list[Value] = [None] * len(columns["run_id"])
    keys = zip(*(columns[name] for name in target.keys), strict=True)
    values = zip(*(columns.get(name, nothing) for name in target.values), strict=True)
    new = []
    for key, value in zip(keys, values, strict=True):
        before = known.get(key)
        new.append(before is None)
        if before is not None and before != value:
            raise _conflict(writer, target, key, before, value)
    return {name: list(compress(column, new)) for name, column in columns.items()}


def _known(conn: Connection, writer: Writer, target: _Target, columns: Columns) -> dict[Row, Row]:
    """What the database holds at these steps of these runs, by key."""
    if not columns["run_id"]:
        return {}
    table, width = target.table, len(target.keys)
    query = select(*(table.c[name] for name in (*target.keys, *target.values))).where(
        table.c.run_id.in_(set(columns["run_id"])),
        table.c.attempt_id == writer.attempt_id,
        table.c.step.between(columns["step"][0], columns["step"][-1]),
    )
    return {tuple(row[:width]): tuple(row[width:]) for row in conn.execute(query)}


def _conflict(
    writer: Writer, target: _Target, key: Row, before: Row, value: Row
) -> MeasurementConflict:
    where = ", ".join(f"{name} {part}" for name, part in zip(target.keys, key, strict=True))
    triples = zip(target.values, before, value, strict=True)
    name, old, new = next(triple for triple in triples if triple[1] != triple[2])
    return MeasurementConflict(
        f"{target.table.name} {where} of attempt {writer.attempt_id} is already stored "
        f"with {name} = {old!r}, now {new!r} came in"
    )
