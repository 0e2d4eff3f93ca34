"""Two ways in: reading sees one moment and changes nothing, writing is all or nothing."""

import threading
import time
from contextlib import suppress

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from muscope.settings import Settings
from muscope.storage import database as storage_database
from muscope.storage import events, studies
from muscope.storage.database import Database, clock
from muscope.storage.tables import study
from tests.storage import world


def test_the_clock_is_this_moment_in_utc(database: Database) -> None:
    with database.read() as conn:
        assert abs(clock(conn) - time.time()) < 5  # one machine; seconds, not hours


def test_a_reader_sees_one_moment(database: Database) -> None:
    world.submit(database)
    with database.read() as conn:
        before = studies.count(conn)
        world.submit(database)
        assert studies.count(conn) == before


def test_a_reader_cannot_write(database: Database) -> None:
    study_id = world.submit(database)
    with pytest.raises(DBAPIError, match="read"), database.read() as conn:
        events.append(conn, study_id, "stray")


def test_an_error_takes_the_whole_batch_back(database: Database) -> None:
    study_id = world.submit(database)
    with suppress(RuntimeError), database.write() as conn:
        events.append(conn, study_id, "stray")
        raise RuntimeError
    with database.read() as conn:
        assert "stray" not in {event.kind for event in events.since(conn, study_id, 0)}


def test_writers_at_once_give_dense_numbers(database: Database) -> None:
    """Each reads before it writes: what fails on SQLite when the lock is taken late."""
    study_id = world.submit(database)

    def work() -> None:
        for _ in range(25):
            with database.write() as conn:
                conn.execute(select(study)).all()
                events.append(conn, study_id, "tick")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as conn:
        seen = events.since(conn, study_id, 0, limit=1_000)
    assert [event.kind for event in seen].count("tick") == 100
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://h/d", "must start with sqlite:/// or postgresql"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Database(url)


def test_a_password_is_not_shown() -> None:
    db = Database("postgresql+psycopg://me:secret@host/name")
    assert "secret" not in db.name
    db.close()


def test_a_postgres_that_has_gone_is_noticed_within_half_a_lease(quick_postgres_url: str) -> None:
    db = Database(quick_postgres_url)
    with db.read() as conn:
        assert conn.connection.dbapi_connection is not None
        given = conn.connection.dbapi_connection.info.get_parameters()  # type: ignore[attr-defined]
    db.close()
    silence_s = sum(
        int(given[name]) * times
        for name, times in (("keepalives_idle", 1), ("keepalives_interval", 3))
    )
    assert given["keepalives_count"] == "3"
    assert max(silence_s, int(given["tcp_user_timeout"]) / 1000) <= Settings().lease_s / 2


def test_who_gets_no_connection_hears_so_soon(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_database, "CONNECTIONS", 2)
    monkeypatch.setattr(storage_database, "POOL_TIMEOUT_S", 0.1)
    db = Database(sqlite_url)
    with db.read(), db.read(), pytest.raises(PoolExhausted), db.read():
        pytest.fail("there is no third connection")
    db.close()
