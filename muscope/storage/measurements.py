"""Measurements: written once per key under a lease, read as what counts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from muscope.records import Sample, Values
from muscope.storage import nonfinite
from muscope.storage.digest import RunDigest
from muscope.storage.holders import holder
from muscope.storage.tables import attempt, measurement, run, tensor
from muscope.storage.writing import BITS, MeasurementConflict, write
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
    "variant", "width", "depth", "batch_size", "seed", "step", "tensor", "role", "kind",
    *Values._fields,
)  # fmt: skip

_COORDINATES = len(CSV_HEADER) - len(Values._fields)
_MEASURED = (*Values._fields, "nonfinite")


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
        coordinates = cast(tuple[str | int | None, ...], row[:_COORDINATES])
        yield (*coordinates, *_values(row))


def tallies(
    conn: Connection,
    attempt_id: int,
    run_ids: Iterable[int],
    *,
    also: Iterable[int] = (),
    until: int | None = None,
) -> dict[int, RunDigest]:
    """Count and digest of the rows that an attempt left in the database, by run.

    With `also` those of other attempts count too, with `until` those up to a step.
    """
    found = {run_id: RunDigest() for run_id in run_ids}
    columns = (measurement.c[name] for name in ("run_id", "step", "kind"))
    query = (
        select(*columns, tensor.c.name.label("tensor"), *_numbers())
        .join(tensor, tensor.c.id == measurement.c.tensor_id)
        .where(measurement.c.run_id.in_(found), measurement.c.attempt_id.in_((attempt_id, *also)))
        .execution_options(yield_per=2_000)
    )
    if until is not None:
        query = query.where(measurement.c.step <= until)
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
    grid = (run.c.variant, run.c.width, run.c.depth, run.c.batch_size, run.c.seed)
    place = (measurement.c.step, tensor.c.name.label("tensor"), tensor.c.role, measurement.c.kind)
    query: Select[*tuple[object, ...]] = (
        select(*grid, *place, *_numbers())
        .join_from(
            run,
            measurement,
            and_(
                measurement.c.run_id == holder(),
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
    pairs = zip(values, BITS, strict=True)
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
        batch_size=row.batch_size,
    )
