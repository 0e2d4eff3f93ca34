"""One database, two ways in: read (a consistent snapshot, read-only) and write (one batch)."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Float, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from muscope.settings import Settings
from muscope.storage import disk

BUSY_TIMEOUT_S = 10.0
CONNECTIONS = 20
"""Per engine and process: half the threads of a web server may wait for the other half."""
ALIVE = {
    "connect_timeout": int(BUSY_TIMEOUT_S),
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds
}
"""libpq's words: a Postgres that has gone is noticed within half a lease, not after two hours."""
POOL_TIMEOUT_S = 5.0
"""So long a thread waits for one of them to become free."""


class Database:
    """A SQLite file or a Postgres database; opens its first connection when it is needed."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        match self.dialect:
            case "sqlite":
                self._reader, self._writer = _sqlite_engines(url)
            case "postgresql":
                self._writer = _postgres_engine(url)
                self._reader = self._writer.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            case _:
                raise ValueError(
                    f"no database of kind {self.dialect!r}: MUSCOPE_DATABASE_URL must start with "
                    "sqlite:/// or postgresql+psycopg://"
                )

    @property
    def name(self) -> str:
        """The URL as it may be shown: without the password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.url.database or "") if self.dialect == "sqlite" else None

    def read(self) -> AbstractContextManager[Connection]:
        """A read-only transaction that sees one moment."""
        return self._read()

    def write(self) -> AbstractContextManager[Connection]:
        """A writing transaction: committed at the end of the block, rolled back on any error."""
        return self._writer.begin()

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self._reader.dispose()
        self._writer.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._reader.connect() as conn:
            yield conn


def open_database(settings: Settings) -> Database:
    """The database in force; for SQLite its folder is made, readable by its owner only."""
    db = Database(settings.database)
    if db.file is not None:
        db.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return db


class now(FunctionElement[float]):  # noqa: N801 - it reads as a function in queries
    """The database's clock, in seconds since 1970: the only clock that deadlines know."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite_now(element: now, compiler: SQLCompiler, **options: Any) -> str:
    # To the millisecond; unixepoch('subsec') needs SQLite 3.42.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgres_now(element: now, compiler: SQLCompiler, **options: Any) -> str:
    # Not now(): a transaction that waited for a lock must not count from before the wait.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


def clock(conn: Connection) -> float:
    """What the database's clock says."""
    moment: ColumnElement[float] = now()
    return float(conn.execute(moment.select()).scalar_one())


def _postgres_engine(url: str) -> Engine:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=CONNECTIONS // 2,
        max_overflow=CONNECTIONS // 2,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,  # a connection may have died with the database it led to
        connect_args=ALIVE,
    )
    disk.tell(engine)
    return engine


def _sqlite_engines(url: str) -> tuple[Engine, Engine]:
    """One engine that begins with BEGIN, one that takes the write lock at once.

    A transaction that reads first and writes later fails at once when another wrote in between,
    whatever the busy timeout (shared/stack.md section 2).
    """
    if make_url(url).database in (None, "", ":memory:"):
        raise ValueError(
            f"{url!r} names no file; several processes share the database, so give it a path: "
            "sqlite:////path/to/muscope.db"
        )
    return _sqlite_engine(url, "BEGIN", ()), _sqlite_engine(
        url, "BEGIN IMMEDIATE", ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
    )


def _sqlite_engine(url: str, begin: str, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(
        url,
        pool_size=CONNECTIONS // 2,
        max_overflow=CONNECTIONS // 2,
        pool_timeout=POOL_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )
    disk.tell(engine)

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None  # transactions begin where _begin says, nowhere else
        for pragma in pragmas or ("query_only=ON",):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql(begin)

    return engine
