"""Measurements: written once per key under a lease, read as what counts."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

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

from muscope.records import Measurement, Progress, Sample, StepRecord
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
    "variant", "width", "depth", "seed", "step", "tensor", "role", "kind", "l1", "rms", "change",
)  # fmt: skip

_L1, _RMS, _CHANGE = map(nonfinite.MEASUREMENT_COLUMNS.index, ("l1", "rms", "change"))
_TRAIN_LOSS = nonfinite.PROGRESS_COLUMNS.index("train_loss")
_MEASURED = ("l1", "rms", "change", "nonfinite")
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
    measured = [_measured(claim, record.step, entry) for entry in record.measurements]
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


def samples(conn: Connection, study_id: str, *, variant: str | None = None) -> list[Sample]:
    """What readers see: the rows of accepted attempts, and of live ones while they run."""
    return [_sample(row) for row in conn.execute(_shown(study_id, variant))]


def csv_rows(conn: Connection, study_id: str) -> Iterator[tuple[str | int | float | None, ...]]:
    """The samples as rows under CSV_HEADER, streamed."""
    query = _shown(study_id, None).execution_options(yield_per=2_000)
    for row in conn.execute(query):
        coordinates = (row.variant, row.width, row.depth, row.seed, row.step)
        yield (*coordinates, row.tensor, row.role, row.kind, *_statistics(row))


def tallies(conn: Connection, attempt_id: int, run_ids: Iterable[int]) -> dict[int, RunDigest]:
    """Count and digest of the rows that an attempt left in the database, by run."""
    found = {run_id: RunDigest() for run_id in run_ids}
    columns = (measurement.c[name] for name in ("run_id", "step", "kind", *_MEASURED))
    query = (
        select(*columns, tensor.c.name.label("tensor"))
        .join(tensor, tensor.c.id == measurement.c.tensor_id)
        .where(measurement.c.run_id.in_(found), measurement.c.attempt_id == attempt_id)
        .execution_options(yield_per=2_000)
    )
    for row in conn.execute(query):
        l1, rms, change = _statistics(row)
        kind = TensorKind(row.kind)
        found[row.run_id].add(row.step, row.tensor, kind, l1, rms, change)
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


def _shown(study_id: str, variant: str | None) -> Select[*tuple[object, ...]]:
    grid = (run.c.variant, run.c.width, run.c.depth, run.c.seed)
    numbers = (measurement.c[name] for name in ("step", "kind", *_MEASURED))
    query: Select[*tuple[object, ...]] = (
        select(*grid, *numbers, tensor.c.name.label("tensor"), tensor.c.role)
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
    return query if variant is None else query.where(run.c.variant == variant)


def _sample(row: Row[*tuple[object, ...]]) -> Sample:
    l1, rms, change = _statistics(row)
    return Sample(
        variant=row.variant,
        width=row.width,
        depth=row.depth,
        seed=row.seed,
        step=row.step,
        tensor=row.tensor,
        role=Role(row.role),
        kind=TensorKind(row.kind),
        l1=l1,
        rms=rms,
        change=change,
    )


def _statistics(row: Row[*tuple[object, ...]]) -> tuple[float, float, float | None]:
    if not row.nonfinite:
        return row.l1, row.rms, row.change
    l1 = nonfinite.restored(row.l1, row.nonfinite, _L1)
    rms = nonfinite.restored(row.rms, row.nonfinite, _RMS)
    assert l1 is not None  # the columns are written together
    assert rms is not None
    return l1, rms, nonfinite.restored(row.change, row.nonfinite, _CHANGE)


def _measured(claim: Claim, step: int, entry: Measurement) -> NewRow:
    if entry.tensor not in claim.tensor_ids:
        known = ", ".join(claim.tensor_ids)
        raise ValueError(f"tensor {entry.tensor!r} is not in the plan, which has: {known}")
    pairs = ((_L1, entry.l1), (_RMS, entry.rms), (_CHANGE, entry.change))
    return {
        "run_id": claim.members[entry.member].run_id,
        "attempt_id": claim.attempt_id,
        "step": step,
        "tensor_id": claim.tensor_ids[entry.tensor],
        "kind": entry.kind.value,
        "l1": nonfinite.stored(entry.l1),
        "rms": nonfinite.stored(entry.rms),
        "change": nonfinite.stored(entry.change),
        "nonfinite": nonfinite.flags(pairs),
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
        if row[name] != before:
            where = ", ".join(f"{key} {row[key]}" for key in ("run_id", "step", *target.keys[1:]))
            raise MeasurementConflict(
                f"{target.table.name} {where} of attempt {row['attempt_id']} is already stored "
                f"with {name} = {before!r}, now {row[name]!r} came in"
            )
    return False
