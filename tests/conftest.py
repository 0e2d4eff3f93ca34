"""What every room's tests may ask for: databases of both kinds, each test with its own, and Redis.

Ask for `database` (or `database_url`) and the test runs on SQLite and on Postgres.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from muscope.storage import schema
from muscope.storage.database import Database
from tests import services
from tests.services import Service

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of pytest-xdist share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def postgres_service(shared_folder: Path) -> Iterator[Service]:
    """A real Postgres."""
    file = shared_folder / "postgres.json"
    with services.shared(file, services.start_postgres, services.stop_postgres) as service:
        yield service


@pytest.fixture(scope="session")
def redis_service(shared_folder: Path) -> Iterator[Service]:
    """A real Redis, or Valkey."""
    file = shared_folder / "redis.json"
    with services.shared(file, services.start_redis, services.stop_redis) as service:
        yield service


@pytest.fixture
def redis_url(redis_service: Service) -> str:
    """A logical Redis database that no other test uses."""
    with redis.Redis.from_url(redis_service.address) as client:
        number = int(client.incr("databases"))
    return f"{redis_service.address}/{number}"


@pytest.fixture
def postgres_url(postgres_service: Service) -> Iterator[str]:
    """A migrated, empty Postgres database of this test's own, gone with whoever still uses it."""
    with services.postgres_database(postgres_service) as url:
        yield url


@pytest.fixture(scope="session")
def emptied_postgres(postgres_service: Service) -> Iterator[str]:
    """A migrated Postgres database that is emptied after each test: creating one takes 0.1 s."""
    with services.postgres_database(postgres_service) as url:
        yield url


@pytest.fixture
def quick_postgres_url(emptied_postgres: str) -> Iterator[str]:
    """A migrated, empty Postgres database for a test that leaves no process behind."""
    yield emptied_postgres
    services.empty(emptied_postgres)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy."""
    file = tmp_path_factory.mktemp("template") / "muscope.db"
    db = Database(f"sqlite:///{file}")
    schema.upgrade(db)
    db.close()
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite database of this test's own."""
    file = tmp_path / "muscope.db"
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database of this test's own, once of each kind."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "quick_postgres_url"}[request.param]
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    db = Database(database_url)
    yield db
    db.close()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """A migrated, empty SQLite database, for tests to which the kind does not matter."""
    db = Database(sqlite_url)
    yield db
    db.close()
