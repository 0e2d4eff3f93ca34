"""A study that does not go on says why, and what to do."""

import sqlite3

import httpx
import pytest
from sqlalchemy import delete, event

from muscope.storage import bundles, disk
from muscope.storage.database import open_database
from muscope.storage.tables import verdict
from muscope_server import urls
from tests.server import measured
from tests.server.harmless import assert_dressed
from tests.server.running import Running
from tests.server.soup import Soup
from tests.server.specs import small


def test_a_study_that_ended_and_is_not_judged_yet_says_so(server: Running) -> None:
    database = open_database(server.settings)
    study_id = measured.finished(database, measured.small())
    with server.browser() as visitor:
        assert "verdict" not in header(visitor, study_id)
        with database.write() as conn:  # as when a worker dies before it has judged
            conn.execute(delete(verdict))
        assert "a worker computes the verdict" in header(visitor, study_id)
    database.close()


def test_a_full_disk_is_said_where_one_looks_and_where_one_asks(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    database.close()
    with server.browser() as visitor:
        assert disk.CODE not in header(visitor, study_id)
        monkeypatch.setattr(disk, "SPARE_BYTES", 2**62)
        assert disk.SENTENCE in header(visitor, study_id)
    monkeypatch.setattr(disk, "_FULL_ON_SQLITE", (sqlite3.SQLITE_READONLY,))
    with server.script() as client:
        read_only = event.listens_for(server.app.state.database._writer, "begin")
        read_only(lambda conn: conn.exec_driver_sql("PRAGMA query_only = ON"))
        refused = client.post("/api/v1/studies", json=small())
    assert refused.status_code == 503
    assert refused.json()["error"] == {
        "code": "e_disk_full",
        "message": disk.SENTENCE,
        "fields": [],
    }
    assert int(refused.headers["retry-after"]) > 0
    assert_dressed(refused)


def test_a_bundle_that_found_no_room_says_so_until_it_runs_again(server: Running) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    with server.browser() as visitor, database.write() as conn:
        claim = bundles.claim(conn, worker_id="lab-1", pid=1, code_version="0", lease_s=60)
        assert claim is not None
        bundles.hand_back(conn, claim, reason=disk.SENTENCE)
        conn.commit()
        assert disk.SENTENCE in header(visitor, study_id)
    measured.train_next(database, measured.small(), study_id)
    with server.browser() as visitor:
        assert disk.CODE not in header(visitor, study_id)
    database.close()


def header(visitor: httpx.Client, study_id: str) -> str:
    return Soup(visitor.get(urls.study(study_id)).text).by_id("study-header")
