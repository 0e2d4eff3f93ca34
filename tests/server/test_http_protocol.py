"""Slow headers, and refusals of uvicorn's own (attacks.md B)."""

import socket
import time

import pytest

from muscope_server import bodies, http_protocol, limits
from tests.server.running import Running


def trickle(connection: socket.socket, text: bytes, *, most_s: float) -> bool:
    """Send bytes one by one; whether the server closed meanwhile."""
    deadline = time.monotonic() + most_s
    connection.settimeout(0.05)
    for byte in text:
        try:
            connection.sendall(bytes([byte]))
            if connection.recv(4096) == b"":
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
        if time.monotonic() > deadline:
            return False
    return False


@pytest.mark.parametrize("first", [b"", b"GET /api/v1/health HTTP/1.1\r\nHost: {host}\r\n\r\n"])
def test_a_header_sent_byte_by_byte_is_cut_off(
    server: Running, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.4)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        if first:
            connection.sendall(first.replace(b"{host}", server.host.encode()))
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert trickle(connection, b"GET / HTTP/1.1\r\nX: " + b"x" * 100, most_s=3)
    assert limits.HEADER_SECONDS <= 10


def test_a_body_that_does_not_come_is_given_up(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.3)
    head = (
        f"POST /api/v1/studies HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 100\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n\r\n"
    )
    assert server.raw(head.encode() + b"{").startswith(b"HTTP/1.1 408")


def test_an_idle_connection_is_closed(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        assert connection.recv(10) == b""


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    request = f"GET /api/v1/health HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request * 3)
        answers = b""
        while answers.count(b'{"status":"ok"}') < 3:
            answers += connection.recv(65536)
    assert answers.count(b"HTTP/1.1 200") == 3


def refused(server: Running, length: int) -> socket.socket:
    """A connection on which a request was refused of whose body one byte has been sent."""
    head = f"POST /api/v1/studies HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: {length}"
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    connection.sendall(f"{head}\r\n\r\n{{".encode())
    answer = b""
    while b'"fields":[]}}' not in answer:
        answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 401")
    return connection


def test_the_rest_of_a_refused_body_is_not_waited_for_for_ever(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.4)
    with refused(server, 1000) as connection:
        assert trickle(connection, b" " * 100, most_s=3)


def test_after_the_rest_of_a_refused_body_the_connection_goes_on(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.3)
    with refused(server, 2) as connection:
        connection.sendall(b"}")
        time.sleep(0.6)  # longer than the rest might have taken
        request = f"GET /api/v1/health HTTP/1.1\r\nHost: {server.host}\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_connection_that_is_idle_after_a_refused_body_is_closed(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.3)
    with refused(server, 2) as connection:
        connection.sendall(b"}")
        assert connection.recv(4096) == b""
