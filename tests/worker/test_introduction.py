"""A worker says what it runs on, even when it could not say so at first."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from sqlalchemy import Connection

from muscope.lab import calibration, environment
from muscope.storage import disk, workers
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope_worker import introduction
from tests.core.machines import ROUND
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


def greet(db: Database, name: str) -> None:
    with db.write() as conn:
        workers.beat(conn, introduction.of_parent(f"{name}@here"))


def test_workers_of_one_host_share_its_cores(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "cores", lambda: 8)
    shares = []
    for name in ("one", "two", "three", *(f"more{number}" for number in range(9))):
        greet(db, name)
        shares.append(introduction.share_of_cores(db))
    assert shares[:4] == [8, 4, 2, 2]
    assert shares[-1] == 1


def test_a_setting_is_not_shared(db: Database) -> None:
    greet(db, "one")
    greet(db, "two")
    introduction.set_threads(db, "one@here", threads=1)
    assert environment.describe().threads == 1


def test_with_other_threads_the_machine_is_measured_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([ROUND.model_copy(update={"draws": 1.0}), ROUND])
    monkeypatch.setattr(calibration, "calibrate", lambda: next(measured))
    greet(db, "one")
    introduction.set_threads(db, "one@here", threads=1)
    with db.write() as conn:
        assert workers.machine(conn, "one@here") is None, "the warm-up comes first"
        workers.note_machine(conn, "one@here", ROUND.model_copy(update={"threads": 64}))
    introduction.set_threads(db, "one@here", threads=1)
    with db.read() as conn:
        found = workers.machine(conn, "one@here")
    assert found
    assert found.draws == 1.0
