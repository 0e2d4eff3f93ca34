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
