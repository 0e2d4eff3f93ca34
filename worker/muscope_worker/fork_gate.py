"""No database connection is open while this process forks.

A forked child inherits SQLite's note of which locks are held, and Postgres's socket: it would
wait for ever on the first and close the second under its parent's feet.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from muscope.storage.database import Database


class ForkGate:
    """Lets a thread use the database while nobody forks, and forks happen while nobody uses it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        release = self._lock.release
        os.register_at_fork(before=self._close, after_in_parent=release, after_in_child=release)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The database, until the end of the block; a fork waits that long."""
        with self._lock:
            yield self._db

    def _close(self) -> None:
        self._lock.acquire()
        self._db.close()
