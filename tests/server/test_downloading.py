"""Readers of the measurements cannot take the database from everyone else (limits.py)."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from muscope.storage.database import open_database
from muscope_server import downloading, limits, urls
from muscope_server.routes import downloads
from muscope_server.study_page import coordinate_check
from tests.server import measured
from tests.server.harmless import assert_dressed, assert_healthy
from tests.server.running import Running

WIDE = "x" * 2_000_000
"""More than the buffers of a connection hold."""


@pytest.fixture
def study_id(server: Running) -> str:
    """A study whose measurements can be read."""
    database = open_database(server.settings)
    found = measured.finished(database, measured.small())
    database.close()
    return found


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements without an end, read from the database all the same."""
    real = downloads._chunks

    def chunks(*of: object) -> Iterator[str]:
        yield from real(*of)  # type: ignore[arg-type]
        while True:
            yield WIDE

    monkeypatch.setattr(downloads, "_chunks", chunks)


def ask(server: Running, study_id: str) -> socket.socket:
    """Ask for the measurements, and read no more of them than that they come."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    head = f"GET {urls.measurements(study_id)} HTTP/1.1\r\nHost: {server.host}\r\n"
    connection.sendall(f"{head}Authorization: Bearer {server.token}\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


@pytest.mark.usefixtures("endless")
def test_one_download_too_many_is_told_when_to_come_back_and_then_works(
    server: Running, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.app.state.places, "wait_s", 0.2)
    with server.script() as client, ExitStack() as readers:
        for _ in range(limits.DOWNLOADS):
            readers.enter_context(ask(server, study_id))
        refused = client.get(urls.measurements(study_id))
        assert refused.status_code == 503
        assert "try again soon" in refused.json()["error"]["message"]
        assert int(refused.headers["retry-after"]) > 0
        assert_dressed(refused)
        assert client.get(urls.report(study_id)).status_code == 503
        assert client.get(urls.api_study(study_id)).status_code == 200
        readers.close()
        until = time.monotonic() + 5
        while client.head(urls.measurements(study_id)).status_code != 200:
            assert time.monotonic() < until, "the places were not given back"


def test_figures_wait_for_each_other_and_not_for_ever(
    server: Running, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.app.state.easels, "wait_s", 0.2)
    real, may_go_on, busy = coordinate_check.figure_info, threading.Event(), threading.Semaphore(0)

    def slowly(*of: Any) -> Any:
        busy.release()
        may_go_on.wait(10)
        return real(*of)

    monkeypatch.setattr(coordinate_check, "figure_info", slowly)
    url = urls.figure(study_id, variant=measured.small().variants[0].key)
    with server.script() as client, ThreadPoolExecutor(limits.FIGURES) as pool:
        drawn = [pool.submit(client.get, url) for _ in range(limits.FIGURES)]
        assert all(busy.acquire(timeout=10) for _ in drawn)
        refused = client.get(url)
        assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
        assert_healthy(server)
        may_go_on.set()
        assert {one.result().status_code for one in drawn} == {200}
        assert client.get(url).status_code == 200


@pytest.mark.usefixtures("endless")
def test_a_download_without_an_end_is_cut_off(
    server: Running, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "DOWNLOAD_SECONDS", 0.2)
    with ask(server, study_id) as reader:
        while reader.recv(1 << 20):
            pass  # until the server closes, or the socket's own 5 s are over
    assert server.app.state.database._reader.pool.checkedout() == 0
