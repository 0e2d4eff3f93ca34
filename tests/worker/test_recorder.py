"""The recorder repeats what may not have arrived, and nothing is stored twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from muscope import in_process
from muscope.lab import engine
from muscope.plan import plan
from muscope.storage import bundles, doctor, measurements
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.storage.tables import progress
from muscope.vocabulary import TensorKind
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.recorder import Recorder, persist
from tests.worker.studies import submit, tiny


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


def locked() -> OperationalError:
    """What SQLAlchemy raises when SQLite is busy."""
    return OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked"))


def test_a_commit_that_nobody_saw_is_repeated_without_harm(
    db: Database, claim: Claim, study_id: str
) -> None:
    unreliable = Unreliable(db, failures=2)
    recorder = Recorder(unreliable, claim, patience_s=10.0)  # type: ignore[arg-type]

    for record in engine.train([member.spec for member in claim.members]):
        recorder.write(record)
    with db.write() as conn:
        bundles.finish(conn, claim, bundles.count(conn, claim, recorder.outcomes()))

    with db.read() as conn:
        assert len(measurements.samples(conn, study_id)) == 4 * 3 * 3


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
        stored = measurements.samples(conn, study_id)
        assert doctor.violations(conn) == []
        losses = conn.execute(select(func.count()).select_from(progress)).scalar_one()
    trained = [s for arrival in in_process.train(plan(spec).bundles) for s in arrival.samples]
    assert {sample.kind for sample in stored} == set(TensorKind)
    assert sorted(map(str, stored)) == sorted(map(str, trained))
    assert len(stored) == plan(spec).measurement_rows
    assert losses == spec.run_count * (steps + 1)


def test_a_database_that_stays_away_is_reported_in_the_end() -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise locked()

    with pytest.raises(OperationalError):
        persist(fail, patience_s=0.2)
    assert len(calls) > 1


def test_a_lost_lease_is_not_repeated(db: Database, claim: Claim) -> None:
    with db.write() as conn:
        bundles.lost(conn, claim.attempt_id, reason="in this test", counts_as_loss=False)
    recorder = Recorder(db, claim, patience_s=10.0)
    record = next(iter(engine.train([member.spec for member in claim.members])))

    with pytest.raises(bundles.LeaseLost):
        recorder.write(record)
