"""A training process ends itself before its lease does."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from muscope.settings import Settings
from muscope.storage import bundles, studies
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope_worker import heartbeat
from muscope_worker.heartbeat import EXIT_FENCED, Heartbeat
from tests.worker.test_recorder import locked

SHORT = Settings(lease_s=0.5, heartbeat_s=0.05)


class Ending:
    """Stands for os._exit: tells the test that the process would have ended now."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.called = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.called.set()


class Away:
    """A database that refuses."""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        raise locked()
        yield


class Silent:
    """A database that never answers, nor ever says no."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answer = threading.Event()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.asked.set()
        self.answer.wait(10.0)
        raise locked()
        yield


def beating(
    db: Database | Away | Silent, claim: Claim, end: Ending, *, age_s: float = 0.0
) -> Heartbeat:
    """A heartbeat of a lease that was asked for so long ago."""
    held_since = time.monotonic() - age_s
    return Heartbeat(db, claim, settings=SHORT, held_since=held_since, end=end)  # type: ignore[arg-type]


def test_the_process_ends_in_time_though_the_database_never_answers(claim: Claim) -> None:
    end, db = Ending(), Silent()
    began = time.monotonic()
    with beating(db, claim, end):
        assert db.asked.wait(5.0)
        assert end.called.wait(5.0)
        took_s = time.monotonic() - began
        db.answer.set()
    assert took_s < 5.0  # the lease is 0.5 s; the database would have taken 10
    assert end.codes == [EXIT_FENCED]


def test_a_lease_counts_from_when_it_was_asked_for(db: Database, claim: Claim) -> None:
    end = Ending()
    with beating(db, claim, end, age_s=2 * SHORT.lease_s):
        assert end.called.wait(5.0)


def test_the_process_ends_when_the_lease_cannot_be_renewed(claim: Claim) -> None:
    end = Ending()
    with beating(Away(), claim, end):
        assert end.called.wait(5.0)
    assert end.codes == [EXIT_FENCED]


def test_the_process_ends_when_its_parent_is_gone(
    db: Database, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, somebody_else = Ending(), os.getppid() + 1
    with beating(db, claim, end):
        monkeypatch.setattr(heartbeat.os, "getppid", lambda: somebody_else)
        assert end.called.wait(5.0)


def test_a_lost_lease_is_told_before_the_process_is_ended(
    db: Database, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LEAVE_S", 0.1)
    end = Ending()
    with db.write() as conn:
        bundles.lost(conn, claim.attempt_id, reason="in this test", counts_as_loss=False)
    with beating(db, claim, end) as heart:
        assert heart.lost.wait(5.0)
        assert end.called.wait(5.0)


def test_a_cancel_request_reaches_the_training(db: Database, claim: Claim) -> None:
    with beating(db, claim, Ending()) as heart:
        with db.write() as conn:
            studies.cancel(conn, claim.study_id)
        assert heart.cancelled.wait(5.0)
