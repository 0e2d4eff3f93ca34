"""After every test of this room the database must be healthy."""

from collections.abc import Iterator

import pytest

from muscope.storage import doctor
from muscope.storage.database import Database


@pytest.fixture
def db(database: Database) -> Iterator[Database]:
    """A database of each kind; whatever the test did, no invariant may be broken at its end."""
    yield database
    with database.read() as conn:
        assert doctor.violations(conn) == []
