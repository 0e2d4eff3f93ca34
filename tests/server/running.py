"""A real server on a free port: uvicorn with our protocol, in a thread of the test process."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import uvicorn
from fastapi import FastAPI

from muscope import access
from muscope.settings import Settings
from muscope_server.app import create_app
from muscope_server.serve import bind, configured


@dataclass(frozen=True)
class Running:
    """Where the server is, and how to talk to it."""

    app: FastAPI
    settings: Settings
    server: uvicorn.Server

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    @property
    def token(self) -> str:
        return access.token(self.settings)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self, *, address: str = "127.0.0.1", **options: object) -> httpx.Client:
        """A client without credentials; `address` is where it seems to come from."""
        transport = httpx.HTTPTransport(
            local_address=address, verify=False
        )  # no certificates to load
        return httpx.Client(base_url=self.origin, transport=transport, timeout=20, **options)  # type: ignore[arg-type]

    def script(self) -> httpx.Client:
        """A client with the bearer token, as `muscope submit` is."""
        return self.client(headers=self.bearer)

    def browser(self) -> httpx.Client:
        """A client with the cookie and a browser's headers."""
        with self.client() as client:
            cookies = client.get("/workers", params={"token": self.token}).cookies
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        return self.client(headers=headers, cookies=cookies)

    def raw(self, request: bytes, *, timeout_s: float = 5.0) -> bytes:
        """Send bytes; give what comes back until the answer is whole or the server closes."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(request)
            while not _is_whole(answer):
                received = _received(connection)
                if not received:
                    break
                answer += received
        return answer


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """A server for these settings on a free port, stopped with the block."""
    listener = bind("127.0.0.1", settings.port)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    app = create_app(settings)
    server = configured(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield Running(app, settings, server)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end) and length is not None and len(body) >= int(length[1])


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except (TimeoutError, ConnectionResetError):
        return b""
