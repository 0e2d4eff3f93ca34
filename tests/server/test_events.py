"""The event stream: every event once, in order, from wherever the reader was (attacks.md I)."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest

from muscope.storage import events
from muscope.storage.events import NewEvent
from muscope_server import http_protocol
from muscope_server.services import streams
from tests.server.harmless import assert_dressed, assert_healthy
from tests.server.running import Running
from tests.server.specs import small


@pytest.fixture
def study_id(client: httpx.Client) -> str:
    return str(client.post("/api/v1/studies", json=small()).json()["id"])


def append(server: Running, study_id: str, count: int, **data: Any) -> None:
    with server.app.state.database.write() as conn:
        new = [NewEvent("step", data={"step": number, **data}) for number in range(count)]
        events.append_all(conn, study_id, new)


def cancel(client: httpx.Client, study_id: str) -> None:
    assert client.post(f"/api/v1/studies/{study_id}/cancel").status_code == 200


@contextmanager
def watching(
    client: httpx.Client, study_id: str, headers: dict[str, str] | None = None, **params: Any
) -> Iterator[Iterator[dict[str, str]]]:
    """The events of a stream, as dicts of their fields."""
    url = f"/api/v1/studies/{study_id}/events"
    with client.stream("GET", url, headers=headers, params=params) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield parsed(response.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        if colon and name:
            fields[name] = value
        elif not line and ("data" in fields or "event" in fields):
            yield fields
            fields = {}


def ids(stream: Iterator[dict[str, str]]) -> list[int]:
    """The numbers up to the end of the stream."""
    return [int(event["id"]) for event in stream if "id" in event]


def test_a_stream_has_every_event_once_and_says_when_it_is_over(
    client: httpx.Client, study_id: str
) -> None:
    cancel(client, study_id)
    with watching(client, study_id) as stream:
        found = list(stream)
    assert [int(event["id"]) for event in found[:-1]] == list(range(1, len(found)))
    assert found[-1]["event"] == "end"
    first = json.loads(found[0]["data"])
    assert first["seq"] == 1
    kinds = [json.loads(event["data"])["kind"] for event in found[:-1]]
    assert kinds.count("study_created") == kinds.count("study_cancelled") == 1


def test_a_reader_who_lost_the_line_goes_on_where_it_was(
    server: Running, client: httpx.Client, study_id: str
) -> None:
    seen = []
    with watching(client, study_id) as stream:
        for event in stream:
            seen.append(int(event["id"]))
            if len(seen) == 3:
                break
    append(server, study_id, 600)
    cancel(client, study_id)
    with watching(client, study_id, {"Last-Event-ID": str(seen[-1])}, after=0) as stream:
        seen += ids(stream)
    last = client.get(f"/api/v1/studies/{study_id}").json()["event_seq"]
    assert seen == list(range(1, last + 1))


def test_events_arrive_while_they_happen_at_every_reader(
    server: Running, client: httpx.Client, study_id: str
) -> None:
    with (
        server.script() as other,
        watching(client, study_id) as early,
        watching(other, study_id, after=2) as late,
    ):
        assert [next(early)["id"] for _ in range(5)] == list("12345")
        start = time.monotonic()
        append(server, study_id, 1)
        assert next(early)["id"] == "6"
        assert time.monotonic() - start < 2.0
        assert [next(late)["id"] for _ in range(4)] == list("3456")


def test_a_study_that_is_over_tells_browsers_not_to_come_back(
    client: httpx.Client, study_id: str
) -> None:
    cancel(client, study_id)
    url = f"/api/v1/studies/{study_id}/events"
    last = str(client.get(f"/api/v1/studies/{study_id}").json()["event_seq"])
    for again in ({"headers": {"Last-Event-ID": last}}, {"params": {"after": last}}):
        response = client.get(url, **again)  # type: ignore[arg-type]
        assert (response.status_code, response.content) == (204, b"")
        assert_dressed(response)


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "9" * 10_000, "1e3", "1\t2"])
def test_a_position_that_is_no_number_is_refused(
    client: httpx.Client, study_id: str, value: str
) -> None:
    url = f"/api/v1/studies/{study_id}/events"
    assert client.get(url, headers={"Last-Event-ID": value}).status_code == 422
    assert client.get(url, params={"after": value}).status_code == 422


def test_head_of_a_stream_ends_at_once(client: httpx.Client, study_id: str) -> None:
    response = client.head(f"/api/v1/studies/{study_id}/events")
    assert (response.status_code, response.content) == (200, b"")


def test_streams_are_counted_and_given_back(
    server: Running, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAMS", 2)
    url = f"/api/v1/studies/{study_id}/events"
    with server.script() as one, server.script() as two, server.script() as three:
        with one.stream("GET", url), two.stream("GET", url):
            refusal = three.get(url)
            assert refusal.status_code == 503
            assert int(refusal.headers["retry-after"]) > 0
            assert_dressed(refusal)
        assert eventually(lambda: three.head(url).status_code == 200)


def test_readers_that_come_and_go_leave_nothing_behind(server: Running, study_id: str) -> None:
    url = f"/api/v1/studies/{study_id}/events"
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(40):
        with server.script() as client, client.stream("GET", url) as response:
            next(response.iter_lines())
    tails = server.app.state.streams._tails
    assert eventually(lambda: not tails and process.num_fds() <= before + 5)


def test_a_reader_that_never_reads_is_dropped(
    server: Running, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "STALLED_READER_SECONDS", 0.3)
    append(server, study_id, 2000, text="x" * 2000)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        head = f"GET /api/v1/studies/{study_id}/events HTTP/1.1\r\nHost: {server.host}\r\n"
        connection.sendall(f"{head}Authorization: Bearer {server.token}\r\n\r\n".encode())
        found = server.app.state.streams
        assert eventually(lambda: found._open == 1)
        assert eventually(lambda: found._open == 0)
    assert_healthy(server)


def test_open_streams_do_not_hold_up_the_end_of_the_server(
    server: Running, client: httpx.Client, study_id: str
) -> None:
    with watching(client, study_id) as stream:
        next(stream)
        start = time.monotonic()
        server.server.should_exit = True
        ids(stream)
        assert time.monotonic() - start < 3.0


def eventually(condition: Any, *, within_s: float = 10.0) -> bool:
    """Whether the condition holds soon."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
