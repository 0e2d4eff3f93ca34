"""A worker says what it runs on, even when it could not say so at first."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from sqlalchemy import Connection

from muscope.storage import disk, workers
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope_worker import introduction
from tests.worker.test_recorder import locked


class Recovering:
    """A database that is locked, then full, then there again."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._faults = [DiskFull(disk.SENTENCE), locked()]

    def write(self) -> AbstractContextManager[Connection]:
        return self._fault() if self._faults else self._db.write()

    @contextmanager
    def _fault(self) -> Iterator[Connection]:
        raise self._faults.pop()
        yield


def test_the_device_is_written_as_soon_as_it_can_be(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introduction, "AGAIN_S", 0.0)
    parent = introduction.of_parent("test@here")
    row = introduction.with_device(parent, "H200", memory=7, torch_version="2")

    introduction.complete(Recovering(db), row)  # type: ignore[arg-type]

    with db.read() as conn:
        (found,) = workers.all_workers(conn)
    assert (found.device, found.memory) == ("H200", 7)
