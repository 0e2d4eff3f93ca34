"""One number's whole way with real processes: SQLite with files as broker, Postgres with Redis."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from muscope.settings import Settings
from muscope.storage import measurements, studies, verdicts, workers
from muscope.storage.database import Database
from muscope.vocabulary import RunState, StudyState
from tests.e2e import house
from tests.worker.studies import tiny

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Place:
    """A database and a broker, with the settings that lead to them."""

    settings: Settings
    db: Database

    @property
    def env(self) -> dict[str, str]:
        return {
            **house.IMPATIENT,
            "MUSCOPE_DATA_DIR": str(self.settings.data_dir),
            "MUSCOPE_DATABASE_URL": self.settings.database,
            "MUSCOPE_BROKER_URL": self.settings.broker,
        }


@pytest.fixture(params=["embedded", "postgres-redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The two places where the same code must work."""
    urls = {}
    if request.param == "embedded":
        urls["database_url"] = request.getfixturevalue("sqlite_url")
    else:
        urls["database_url"] = request.getfixturevalue("postgres_url")
        urls["broker_url"] = request.getfixturevalue("redis_url")
    settings = Settings(data_dir=tmp_path, **urls)
    db = Database(settings.database)
    yield Place(settings, db)
    db.close()


def test_a_study_travels_from_the_queue_to_its_verdict(place: Place) -> None:
    spec, small = tiny(widths=(16, 32, 64, 128)), tiny()
    nowhere = place.settings.model_copy(
        update={"data_dir": place.settings.data_dir / "nowhere", "broker_url": ""}
    )

    with house.command("worker", env=place.env) as worker:
        study_id = house.submit(place.db, place.settings, spec)
        runs = house.finished(place.db, study_id, within_s=60)
        without_message = house.submit(place.db, nowhere, small)
        house.finished(place.db, without_message, within_s=30)
        with place.db.read() as conn:
            (row,) = workers.alive(conn, within_s=60)
        worker.process.send_signal(signal.SIGTERM)
        worker.end(within_s=20)

    assert {run.state for run in runs} == {RunState.FINISHED}
    assert [run.digest for run in runs] == house.reference(spec)
    assert "torch" in row.versions
    with place.db.read() as conn:
        assert len(measurements.samples(conn, study_id)) == 16 * 3 * 3  # runs, steps, tensors
        assert all(verdict.final for verdict in verdicts.of_study(conn, study_id))


def test_a_running_study_is_cancelled_and_a_stopping_worker_hands_back(place: Place) -> None:
    spec = tiny(steps=1000)

    with house.command("worker", env=place.env) as worker:
        cancelled = house.submit(place.db, place.settings, spec)
        house.until(lambda: house.training(place.db), within_s=60, what="training")
        with place.db.write() as conn:
            studies.cancel(conn, cancelled)
        runs = house.finished(place.db, cancelled, within_s=10)

        handed_back = house.submit(place.db, place.settings, spec)
        house.until(lambda: house.training(place.db), within_s=20, what="training")
        worker.process.send_signal(signal.SIGTERM)
        worker.end(within_s=10)

    assert {run.state for run in runs} == {RunState.CANCELLED}
    assert any(run.row_count for run in runs)
    with place.db.read() as conn:
        study = studies.get(conn, handed_back)
        assert study is not None
        assert study.state is StudyState.QUEUED
