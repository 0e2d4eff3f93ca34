"""What every refused request must leave behind: nothing, quickly, and without telling anything."""

import time
from collections.abc import Callable

import httpx
from sqlalchemy import select

from muscope.storage.database import Database
from muscope.storage.tables import metadata
from muscope_server.security import HEADERS
from tests.server.running import Running

HEALTH_S = 0.2
TELLTALES = ("Traceback", "site-packages", "/work/", "/tmp/", ".py", "sqlalchemy", "<script")


def refused(server: Running, send: Callable[[], httpx.Response], *statuses: int) -> httpx.Response:
    """Send a request that must be refused so, and check the three things."""
    before = stored(server.app.state.database)
    response = send()
    assert response.status_code in statuses, (response.status_code, response.text)
    assert_dressed(response)
    assert_healthy(server)
    assert stored(server.app.state.database) == before
    return response


def assert_dressed(response: httpx.Response) -> None:
    """The header set is there once each, and the body tells nothing about the inside."""
    for name, value in HEADERS.items():
        assert response.headers.get_list(name) == [value], (name, response.headers)
    assert "server" not in response.headers
    assert not [name for name in response.headers if name.startswith("access-control")]
    if not response.request.url.path.startswith("/static/"):
        assert response.headers["cache-control"] == "no-store"
        assert not [word for word in TELLTALES if word in _message(response)]


def assert_healthy(server: Running) -> None:
    """The server answers at once; a busy machine may make it need a second try."""
    with server.client() as client:
        assert any(_seconds(client) < HEALTH_S for _ in range(3))


def stored(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but the audit log."""
    tables = [table for table in metadata.sorted_tables if table.name != "audit"]
    with database.read() as conn:
        return {table.name: [tuple(row) for row in conn.execute(select(table))] for table in tables}


def _message(response: httpx.Response) -> str:
    """The text that was made for this answer: JSON whole, of a page what stands in it."""
    text = response.text
    return text if text.startswith("{") else text.partition("<main")[2]


def _seconds(client: httpx.Client) -> float:
    start = time.perf_counter()
    assert client.get("/api/v1/health").status_code == 200
    return time.perf_counter() - start
