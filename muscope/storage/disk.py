"""The disk under the database: when it is full, everybody is told what to do.

Nothing can be recorded then, not even that it is full: so pages and workers look for themselves.
"""

import errno
import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import URL, Engine, ExceptionContext, event

CODE = "E_DISK_FULL"
SENTENCE = (
    f"The disk that holds the database is full, so nothing can be recorded ({CODE}). "
    "Make room on it; what waits then goes on by itself within half a minute."
)
SPARE_BYTES = 16 * 2**20
"""With less than this free, nothing new is begun: SQLite's log alone grows to a third of it."""

_FULL_ON_SQLITE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
"""The disk, a quota or a limit of the process; the log or its index could not grow."""
_FULL_ON_POSTGRES = "53100"
"""disk_full (PostgreSQL documentation, Appendix A)."""


class DiskFull(RuntimeError):
    """The database has no room for what was to be written; nothing of it is stored."""


def shortage(url: URL) -> str | None:
    """The sentence when an SQLite file has no room to grow; of another machine nobody knows."""
    if url.get_backend_name() != "sqlite":
        return None
    folder = Path(url.database or "").absolute().parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return None  # whoever uses the database hears what is wrong with its folder
    return SENTENCE if free < SPARE_BYTES else None


def tell(engine: Engine) -> None:
    """From now on a full disk is a DiskFull, whatever the driver calls it."""

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        if _is_full(context.original_exception):
            raise DiskFull(SENTENCE) from context.original_exception


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in _FULL_ON_SQLITE
    return getattr(error, "sqlstate", None) == _FULL_ON_POSTGRES
