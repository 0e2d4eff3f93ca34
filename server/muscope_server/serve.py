"""Run the app: bind, serve with h11 only, and end quickly when asked to."""

import logging.config
import socket
import sys

import uvicorn
from fastapi import FastAPI

from muscope_server import logs
from muscope_server.http_protocol import DeadlineProtocol
from muscope_server.limits import HEADER_BYTES

_BACKLOG = 512
GRACE_S = 3
"""Open requests get this long at the end; event streams end by themselves within a tick."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; OSError when the port is taken. Port 0 takes any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening claims the port; who connects before the server has started waits a moment.
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, with logs as JSON lines."""
    logging.config.dictConfig(logs.config())
    configured(app).run(sockets=[listener])


def configured(app: FastAPI) -> uvicorn.Server:
    """The server as it must run: h11 with deadlines, no WebSockets, no trust in proxy headers."""
    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
    server = uvicorn.Server(config)
    app.state.streams.is_stopping = lambda: server.should_exit
    return server
