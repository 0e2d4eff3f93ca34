"""A training process that lives in the test's own process, on a real database."""

from pathlib import Path

import pytest

from muscope.settings import Settings
from muscope.storage import bundles
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope_worker.execute import TrainingProcess
from tests.worker.studies import submit, tiny


@pytest.fixture
def db(sqlite_database: Database) -> Database:
    """An empty database of the current schema."""
    return sqlite_database


@pytest.fixture
def process(db: Database, tmp_path: Path) -> TrainingProcess:
    """A training process that looks for cancels often."""
    settings = Settings(data_dir=tmp_path, heartbeat_s=0.1, threads=1)
    return TrainingProcess(settings, db, worker_id="test@here")


@pytest.fixture
def study_id(db: Database) -> str:
    """A tiny study that waits in the queue."""
    return submit(db, tiny())


@pytest.fixture
def claim(db: Database, study_id: str) -> Claim:
    """The first bundle of the tiny study, claimed."""
    with db.write() as conn:
        claim = bundles.claim(conn, worker_id="test@here", pid=1, code_version="0", lease_s=60)
    assert claim is not None
    return claim
