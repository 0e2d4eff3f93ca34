"""The schema's age: upgraded by Alembic in one transaction, checked before anything is served."""

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from muscope import assets
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""Every revision in migrations/versions, oldest first; a test compares."""

_UPGRADE_LOCK = 0x6D75_7363  # "musc": one upgrade at a time on Postgres


class SchemaError(RuntimeError):
    """The database is not what this muscope works with; the message says what to do."""


def upgrade(db: Database) -> str:
    """Create or upgrade the schema and give its revision; harmless when there is nothing to do.

    One at a time: a second process waits, then finds the work done. Either all of it happens or
    nothing.
    """
    # Alembic takes a quarter of a second to import, and only an upgrade needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(assets.migrations()).replace("%", "%%")
    config.set_main_option("script_location", folder)
    try:
        with db.write() as conn:
            _lock(conn)
            _refuse_strangers(db, conn)
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
    except DiskFull as error:
        raise SchemaError(f"{db.name}: {error}") from error
    except DatabaseError as error:
        raise _unusable(db, error) from error
    return REVISIONS[-1]


def check(db: Database) -> None:
    """Raise SchemaError unless the schema is exactly the one of this muscope."""
    if db.file is not None and not db.file.exists():
        raise SchemaError(
            f"There is no database in {db.file.absolute().parent}. If yours is elsewhere, set "
            "MUSCOPE_DATA_DIR to its folder, or start in the folder that holds .muscope "
            "(`make run` makes one in its checkout). For a new one here: `muscope db upgrade`."
        )
    try:
        with db.read() as conn:
            revision = _refuse_strangers(db, conn)
    except DatabaseError as error:
        raise _unusable(db, error) from error
    if revision is None:
        raise SchemaError(f"The database {db.name} is empty; run `muscope db upgrade`.")
    if revision != REVISIONS[-1]:
        raise SchemaError(
            f"The database {db.name} has schema {revision}, this muscope needs {REVISIONS[-1]}; "
            "run `muscope db upgrade`."
        )


def _refuse_strangers(db: Database, conn: Connection) -> str | None:
    """The revision of the schema, None when there is none yet; raise if it is not ours to touch."""
    tables = inspect(conn).get_table_names()
    if not tables:
        return None
    if "alembic_version" not in tables or not {"study", "bundle", "run"} <= set(tables):
        raise SchemaError(
            f"{db.name} is not a muscope database: it holds other tables "
            f"({', '.join(sorted(tables)[:5])}); set MUSCOPE_DATABASE_URL to one of its own."
        )
    revision = str(conn.execute(text("SELECT version_num FROM alembic_version")).scalar())
    if revision not in REVISIONS:
        raise SchemaError(
            f"The database {db.name} has schema {revision}, which is newer than this muscope "
            f"(schema {REVISIONS[-1]}); install a newer muscope: pip install --upgrade muscope."
        )
    return revision


def _unusable(db: Database, error: DatabaseError) -> Exception:
    """The same error in words of what to do, where that is known."""
    reason = " ".join(str(error.orig).split())
    if "file is not a database" in reason:
        return SchemaError(
            f"{db.name} is not a muscope database: the file is not an SQLite database; "
            "set MUSCOPE_DATABASE_URL or MUSCOPE_DATA_DIR to another place."
        )
    if isinstance(error, OperationalError):
        return SchemaError(
            f"The database {db.name} cannot be used: {reason}. "
            "Look whether it runs, has room and may be written, and at MUSCOPE_DATABASE_URL."
        )
    return error


def _lock(conn: Connection) -> None:
    """On SQLite the writing transaction is the lock."""
    if conn.dialect.name == "postgresql":
        conn.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})"))
