"""A full disk has a name, takes nothing halfway, and is over when there is room again."""

import subprocess
import sys
from collections import namedtuple

import pytest
from sqlalchemy import event, make_url, text

from muscope.storage import disk, studies
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from tests.storage import world

GROWS_BEYOND_ITS_LIMIT = """
import resource, sys
from muscope.storage.database import Database
from tests.storage import world
db = Database(sys.argv[1])
world.submit(db)
resource.setrlimit(resource.RLIMIT_FSIZE, (db.file.stat().st_size + 100_000,) * 2)
for _ in range(100):
    world.submit(db)
"""


def full(db: Database) -> None:
    """From now on the file cannot grow by a single page."""

    @event.listens_for(db._writer, "begin")
    def limit(conn: object) -> None:
        conn.exec_driver_sql("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]


def roomy(db: Database) -> None:
    """There is room again."""

    @event.listens_for(db._writer, "begin")
    def unlimit(conn: object) -> None:
        conn.exec_driver_sql("PRAGMA max_page_count = 1000000")  # type: ignore[attr-defined]


def fill(db: Database) -> None:
    """Write until it is too much: some rows find room on the pages there are."""
    for _ in range(100):
        world.submit(db)


def test_a_full_disk_says_so_and_takes_nothing_halfway(sqlite_database: Database) -> None:
    world.submit(sqlite_database)
    full(sqlite_database)
    with pytest.raises(DiskFull, match="E_DISK_FULL"):
        fill(sqlite_database)
    with sqlite_database.read() as conn:
        count = studies.count(conn)
        assert [study.runs for study in studies.page(conn)] == [8] * count
        assert conn.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    roomy(sqlite_database)
    world.submit(sqlite_database)


def test_a_limit_of_the_process_is_a_full_disk_too(sqlite_url: str) -> None:
    command = [sys.executable, "-c", GROWS_BEYOND_ITS_LIMIT, sqlite_url]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "muscope.storage.disk.DiskFull" in done.stderr, done.stderr


def test_a_full_disk_of_postgres_has_the_same_name(quick_postgres_url: str) -> None:
    db = Database(quick_postgres_url)
    with pytest.raises(DiskFull), db.write() as conn:
        conn.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$"))
    db.close()


def test_little_room_is_seen_before_anything_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    url = make_url("sqlite:////tmp/muscope.db")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage(disk.SPARE_BYTES))
    assert disk.shortage(url) is None
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage(disk.SPARE_BYTES - 1))
    assert disk.shortage(url) == disk.SENTENCE
    assert disk.shortage(make_url("postgresql://elsewhere/muscope")) is None
