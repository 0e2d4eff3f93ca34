"""Nobody holds the locks of two studies, so nobody waits for somebody who waits for them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text, update

from muscope.storage import bundles, reap
from muscope.storage.database import Database
from muscope.storage.leases import lock_study
from muscope.storage.tables import bundle
from tests.storage import world

WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def db(quick_postgres_url: str) -> Iterator[Database]:
    """Postgres: on SQLite there is one lock for everybody."""
    database = Database(quick_postgres_url)
    yield database
    database.close()


def until_somebody_waits(db: Database) -> None:
    """Look until one connection waits for the lock of another."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with db.read() as conn:
            if conn.execute(text(WAITING)).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def claim(conn: Connection, worker: str) -> str | None:
    """The study of the bundle that was claimed."""
    found = bundles.claim(conn, worker_id=worker, pid=1, code_version="test", lease_s=60)
    return found.study_id if found else None


def test_who_loses_a_race_lets_go_of_that_study_before_it_takes_the_next(db: Database) -> None:
    first, second = world.submit(db), world.submit(db)
    with ThreadPoolExecutor(1) as another:
        with db.write() as faster:
            assert claim(faster, "faster") == first
            slower = another.submit(world.try_claim, db, worker="slower")
            until_somebody_waits(db)
            holder = db._writer.connect()
            lock_study(holder, second)
        until_somebody_waits(db)  # the slower one has lost, and wants the second study
        holder.execute(text("SET LOCAL lock_timeout = '5s'"))
        assert lock_study(holder, first) is not None  # the other way round
        holder.close()
        found = slower.result(10)
    assert found is not None
    assert found.study_id == second


def test_the_reaper_leaves_what_somebody_changes_just_now(db: Database) -> None:
    world.submit(db)
    with db.write() as holder:
        some = holder.execute(update(bundle).where(bundle.c.id == 1).values(need_memory=1))
        assert some.rowcount == 1
        assert reap.reap(db, resend_s=10) == [2]
    assert reap.reap(db, resend_s=10) == [1]
