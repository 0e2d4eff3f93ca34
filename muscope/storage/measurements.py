"""Measurements: written once per key under a lease, read as what counts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    func,
    insert,
    select,
    update,
)

from muscope.records import Measurement, Progress, Sample, StepRecord, Values
from muscope.storage import events, nonfinite
from muscope.storage.database import now
from muscope.storage.digest import RunDigest
from muscope.storage.leases import Claim, prove
from muscope.storage.tables import attempt, measurement, progress, run, tensor
from muscope.vocabulary import AttemptState, Role, RunState, TensorKind

__all__ = [
    "CSV_HEADER",
    "MeasurementConflict",
    "RunDigest",
    "csv_rows",
    "samples",
    "tallies",
    "write",
]

CSV_HEADER = (
    "variant", "width", "depth", "seed", "step", "tensor", "role", "kind", *Values._fields,
)  # fmt: skip

_COORDINATES = len(CSV_HEADER) - len(Values._fields)
_BITS = tuple(map(nonfinite.MEASUREMENT_COLUMNS.index, Values._fields))
"""Where the bits of each statistic are; the columns came in another order than the statistics."""
_TRAIN_LOSS = nonfinite.PROGRESS_COLUMNS.index("train_loss")
_MEASURED = (*Values._fields, "nonfinite")
_PROGRESSED = ("train_loss", "nonfinite")

Key: TypeAlias = tuple[int | float | str | None, ...]
NewRow: TypeAlias = dict[str, int | float | str | None]


class _Target(NamedTuple):
    """Rows on their way into a table, each with its key within (attempt, step)."""

    table: Table
    keys: tuple[str, ...]
    values: tuple[str, ...]
    rows: list[NewRow]


class MeasurementConflict(RuntimeError):
    """The same key with another value: two executions of one attempt disagree."""


def write(conn: Connection, claim: Claim, record: StepRecord) -> None:
    """Store one step of a bundle under its lease; the same again changes nothing.

    A commit of which nobody knows whether it happened is simply repeated.
    """
    prove(conn, claim)
    places = _recorded(record.measurements)
    measured = [_measured(claim, record.step, entry, places) for entry in record.measurements]
    progressed = [_progressed(claim, record.step, entry) for entry in record.progress]
    targets = (
        _Target(measurement, ("run_id", "tensor_id", "kind"), _MEASURED, measured),
        _Target(progress, ("run_id",), _PROGRESSED, progressed),
    )
    inserted = [_insert_unknown(conn, claim, record.step, target) for target in targets]
    if not any(inserted):
        return
    conn.execute(
        update(attempt)
        .where(attempt.c.id == claim.attempt_id)
        .values(last_step=record.step, last_step_at=now())
    )
    steps = claim.members[0].spec.steps
    data = {"bundle": claim.bundle_id, "step": record.step, "steps": steps}
    events.append(conn, claim.study_id, "step", data=data)


def samples(
    conn: Connection, study_id: str, *, variant: str | None = None, kind: TensorKind | None = None
) -> list[Sample]:
    """What readers see: the rows of accepted attempts, and of live ones while they run."""
    query = _shown(study_id)
    if variant is not None:
        query = query.where(run.c.variant == variant)
    if kind is not None:
        query = query.where(measurement.c.kind == kind)
    return [_sample(row) for row in conn.execute(query)]


def csv_rows(conn: Connection, study_id: str) -> Iterator[tuple[str | int | float | None, ...]]:
    """The samples as rows under CSV_HEADER, streamed."""
    query = _shown(study_id).execution_options(yield_per=2_000)
    for row in conn.execute(query):
        coordinates = cast(tuple[str | int, ...], row[:_COORDINATES])
        yield (*coordinates, *_values(row))


def tallies(conn: Connection, attempt_id: int, run_ids: Iterable[int]) -> dict[int, RunDigest]:
    """Count and digest of the rows that an attempt left in the database, by run."""
    found = {run_id: RunDigest() for run_id in run_ids}
    columns = (measurement.c[name] for name in ("run_id", "step", "kind"))
    query = (
        select(*columns, tensor.c.name.label("tensor"), *_numbers())
        .join(tensor, tensor.c.id == measurement.c.tensor_id)
        .where(measurement.c.run_id.in_(found), measurement.c.attempt_id == attempt_id)
        .execution_options(yield_per=2_000)
    )
    for row in conn.execute(query):
        found[row.run_id].add(row.step, row.tensor, TensorKind(row.kind), _values(row))
    return found


def shown_attempt() -> ColumnElement[int]:
    """The attempt whose rows count for a run: the accepted one, or the live one while it runs."""
    live = (
        select(attempt.c.id)
        .where(
            attempt.c.bundle_id == run.c.bundle_id,
            attempt.c.state == AttemptState.RUNNING,
            run.c.state == RunState.RUNNING,
        )
        .correlate(run)
        .scalar_subquery()
    )
    return func.coalesce(run.c.accepted_attempt, live)


def _shown(study_id: str) -> Select[*tuple[object, ...]]:
    """Coordinates in the order of CSV_HEADER, then what `_numbers` names."""
    grid = (run.c.variant, run.c.width, run.c.depth, run.c.seed)
    place = (measurement.c.step, tensor.c.name.label("tensor"), tensor.c.role, measurement.c.kind)
    query: Select[*tuple[object, ...]] = (
        select(*grid, *place, *_numbers())
        .join_from(
            run,
            measurement,
            and_(
                measurement.c.run_id == run.c.id,
                measurement.c.attempt_id == shown_attempt(),
            ),
        )
        .join(tensor, tensor.c.id == measurement.c.tensor_id)
        .where(run.c.study_id == study_id)
        .order_by(run.c.ordinal, measurement.c.step, tensor.c.ordinal, measurement.c.kind)
    )
    return query


def _numbers() -> Sequence[ColumnElement[float | None] | ColumnElement[int]]:
    """The columns that `_values` reads, as the last of a row."""
    return [measurement.c[name] for name in _MEASURED]


def _values(row: Row[*tuple[object, ...]]) -> Values:
    """The statistics of a row that ends with `_numbers`."""
    *values, bits = cast(tuple[float | None, ...], row[-len(_MEASURED) :])
    if not bits:
        return Values._make(values)
    pairs = zip(values, _BITS, strict=True)
    return Values._make(nonfinite.restored(value, int(bits), place) for value, place in pairs)


def _sample(row: Row[*tuple[object, ...]]) -> Sample:
    return Sample(
        variant=row.variant,
        width=row.width,
        depth=row.depth,
        seed=row.seed,
        step=row.step,
        tensor=row.tensor,
        role=Role(row.role),
        kind=TensorKind(row.kind),
        values=_values(row),
    )


def _recorded(measurements: Sequence[Measurement]) -> list[int]:
    """The places in Values that any of them fills; the columns of the others need no words."""
    columns = zip(*(entry.values for entry in measurements), strict=True)
    return [p for p, column in enumerate(columns) if column.count(None) < len(column)]


def _measured(claim: Claim, step: int, entry: Measurement, places: Sequence[int]) -> NewRow:
    if entry.tensor not in claim.tensor_ids:
        known = ", ".join(claim.tensor_ids)
        raise ValueError(f"tensor {entry.tensor!r} is not in the plan, which has: {known}")
    return {
        "run_id": claim.members[entry.member].run_id,
        "attempt_id": claim.attempt_id,
        "step": step,
        "tensor_id": claim.tensor_ids[entry.tensor],
        "kind": entry.kind.value,
        **{Values._fields[place]: nonfinite.stored(entry.values[place]) for place in places},
        "nonfinite": nonfinite.flags([(_BITS[place], entry.values[place]) for place in places]),
    }


def _progressed(claim: Claim, step: int, entry: Progress) -> NewRow:
    return {
        "run_id": claim.members[entry.member].run_id,
        "attempt_id": claim.attempt_id,
        "step": step,
        "train_loss": nonfinite.stored(entry.train_loss),
        "nonfinite": nonfinite.flags(((_TRAIN_LOSS, entry.train_loss),)),
    }


def _insert_unknown(conn: Connection, claim: Claim, step: int, target: _Target) -> bool:
    """Insert the rows that the database lacks; raise where it has another value."""
    table, keys, values = target.table, target.keys, target.values
    query = select(*(table.c[name] for name in (*keys, *values))).where(
        table.c.run_id.in_(member.run_id for member in claim.members),
        table.c.attempt_id == claim.attempt_id,
        table.c.step == step,
    )
    known = {tuple(row[: len(keys)]): tuple(row[len(keys) :]) for row in conn.execute(query)}
    new = [row for row in target.rows if _is_new(row, target, known)] if known else target.rows
    if new:
        conn.execute(insert(table), new)
    return bool(new)


def _is_new(row: NewRow, target: _Target, known: dict[Key, Key]) -> bool:
    stored = known.get(tuple(row[name] for name in target.keys))
    if stored is None:
        return True
    for name, before in zip(target.values, stored, strict=True):
        if row.get(name) != before:
            where = ", ".join(f"{key} {row[key]}" for key in ("run_id", "step", *target.keys[1:]))
            raise MeasurementConflict(
                f"{target.table.name} {where} of attempt {row['attempt_id']} is already stored "
                f"with {name} = {before!r}, now {row.get(name)!r} came in"
            )
    return False
