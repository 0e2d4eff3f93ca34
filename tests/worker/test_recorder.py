"""The recorder repeats what may not have arrived, and nothing is stored twice."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from muscope import in_process
from muscope.lab import engine
from muscope.plan import plan
from muscope.records import Progress, Sample, StepRecord
from muscope.storage import bundles, disk, doctor, measurements
from muscope.storage.bundles import Claim, Outcome
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope.storage.measurements import MeasurementConflict
from muscope.storage.tables import progress
from muscope.vocabulary import RunState, TensorKind
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.recorder import Recorder, Tally, persist
from tests.worker.studies import submit, tiny

NAN = float("nan")


class Unreliable:
    """A database whose first commits are not acknowledged, whether they happened or not."""

    def __init__(self, db: Database, *, failures: int) -> None:
        self._db, self._failures = db, failures

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A real transaction, after which the connection is said to be gone."""
        with self._db.write() as conn:
            yield conn
        if self._failures > 0:
            self._failures -= 1
            raise locked()


def recorded(db: Database, claim: Claim, records: Iterable[StepRecord]) -> list[Outcome]:
    """Record all of them, as a worker does."""
    with Recorder(db, claim, patience_s=10.0) as recorder:
        for record in records:
            recorder.write(record)
        return recorder.outcomes()


def locked() -> OperationalError:
    """What SQLAlchemy raises when SQLite is busy."""
    return OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked"))


def held(db: Database) -> Claim:
    """The first bundle of a tiny study, claimed."""
    submit(db, tiny())
    with db.write() as conn:
        claim = bundles.claim(conn, worker_id="test@here", pid=1, code_version="0", lease_s=60)
    assert claim is not None
    return claim


def trained(claim: Claim) -> list[StepRecord]:
    """All that the lab yields for it."""
    return list(engine.train([member.spec for member in claim.members]))


def stored(db: Database, claim: Claim) -> list[Sample]:
    """What readers see of its study."""
    with db.read() as conn:
        return measurements.samples(conn, claim.study_id)


def test_a_commit_that_nobody_saw_is_repeated_without_harm(database: Database) -> None:
    claim = held(database)
    unreliable = Unreliable(database, failures=2)

    outcomes = recorded(unreliable, claim, trained(claim))  # type: ignore[arg-type]
    with database.write() as conn:
        bundles.finish(conn, claim, bundles.count(conn, claim, outcomes))

    assert len(stored(database, claim)) == 4 * 3 * 3
    with database.read() as conn:
        assert doctor.violations(conn) == []


def test_when_the_recorder_is_left_every_step_is_stored(database: Database) -> None:
    claim = held(database)
    records = trained(claim)

    def stopping() -> Iterator[StepRecord]:
        yield from records
        raise RuntimeError("training stopped")

    with pytest.raises(RuntimeError, match="training stopped"):
        recorded(database, claim, stopping())

    assert len(stored(database, claim)) == sum(len(record.measurements) for record in records)


def test_another_value_than_the_stored_one_is_heard_of_at_the_end(database: Database) -> None:
    claim = held(database)
    first, *others = trained(claim)
    row, *rows = first.measurements
    with database.write() as conn:
        changed = replace(row, values=row.values._replace(l1=666.0))
        measurements.write(conn, claim, replace(first, measurements=(changed, *rows)))

    with pytest.raises(MeasurementConflict, match=r"with l1 = 666\.0"):
        recorded(database, claim, (first, *others))

    assert {sample.step for sample in stored(database, claim)} == {0}


def test_a_full_disk_is_heard_of_by_who_trains(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = held(database)
    records = trained(claim)

    def full(self: Database) -> None:
        raise DiskFull(disk.SENTENCE)

    monkeypatch.setattr(Database, "write", full)
    with pytest.raises(DiskFull):
        recorded(database, claim, records)

    assert stored(database, claim) == []


@pytest.mark.parametrize("steps", [2, 40])
def test_all_kinds_are_stored_counted_and_read_as_the_lab_gave_them(
    process: TrainingProcess, steps: int
) -> None:
    """Steps 9, 10, 12 … of a long run leave a loss and no measurement."""
    spec = tiny(widths=(16, 32), steps=steps).model_copy(update={"record": "full"})
    study_id = submit(process.db, spec)
    while next_bundle(process):
        pass
    with process.db.read() as conn:
        found = measurements.samples(conn, study_id)
        assert doctor.violations(conn) == []
        losses = conn.execute(select(func.count()).select_from(progress)).scalar_one()
    samples = [s for arrival in in_process.train(plan(spec).bundles) for s in arrival.samples]
    assert {sample.kind for sample in found} == set(TensorKind)
    assert sorted(map(str, found)) == sorted(map(str, samples))
    assert len(found) == plan(spec).measurement_rows
    assert losses == spec.run_count * (steps + 1)


@pytest.mark.parametrize(
    ("name", "entry"),
    [("train_loss", Progress(0, NAN, 2.0)), ("eval_loss", Progress(0, 1.0, NAN))],
)
def test_a_loss_that_is_no_number_ends_a_run_as_diverged(name: str, entry: Progress) -> None:
    tally = Tally()
    tally.add_losses(0, Progress(0, 1.0, 2.0))
    assert tally.outcome(1).state is RunState.FINISHED
    tally.add_losses(1, entry)
    found = tally.outcome(1)
    assert found.state is RunState.DIVERGED
    assert (found.first_nonfinite_step, found.first_nonfinite_tensor) == (1, name)


def test_a_database_that_stays_away_is_reported_in_the_end() -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise locked()

    with pytest.raises(OperationalError):
        persist(fail, patience_s=0.2)
    assert len(calls) > 1


def test_a_lost_lease_is_not_repeated(database: Database) -> None:
    claim = held(database)
    with database.write() as conn:
        bundles.lost(conn, claim.attempt_id, reason="in this test", counts_as_loss=False)

    with pytest.raises(bundles.LeaseLost):
        recorded(database, claim, trained(claim))
