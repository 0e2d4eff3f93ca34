"""Beside the training: its lease is renewed, and the process ended when it cannot be."""

import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError

from muscope.settings import Settings
from muscope.storage import bundles
from muscope.storage.bundles import Claim, LeaseLost
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull

log = logging.getLogger(__name__)

EXIT_FENCED = 75
"""Exit code of a training process that ended itself rather than outlive its lease."""

LEAVE_S = 5.0
"""How long training may take to notice that its lease is gone."""


class Heartbeat:
    """Renews the lease of a claim while its body runs; tells when the bundle was cancelled.

    One thread asks the database; a second one has only a clock, and ends the process before its
    lease is over, even while the first still waits for an answer. A lease counts from the moment
    it was asked for, so this clock is never behind the database's. The process ends too when its
    parent is gone.
    """

    def __init__(
        self,
        db: Database,
        claim: Claim,
        *,
        settings: Settings,
        held_since: float,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        """`held_since` is what time.monotonic() said when the claim was asked for."""
        self.step: int | None = None
        self.cancelled = threading.Event()
        self.lost = threading.Event()
        self._db, self._claim, self._end = db, claim, end
        self._lease_s, self._pause_s = settings.lease_s, settings.heartbeat_s
        self._parent = os.getppid()
        self._done = threading.Event()
        self._renewed_at = held_since
        self._threads = [
            threading.Thread(target=self._beat, name="heartbeat", daemon=True),
            threading.Thread(target=self._watch, name="fence", daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(LEAVE_S)

    def _beat(self) -> None:
        while not self._done.wait(self._pause_s):
            self._renew()
            if self.lost.is_set():
                # whoever trains sees it at the next step, and is given the time for one
                if not self._done.wait(LEAVE_S):
                    self._end_because("its lease is lost and it still trains")
                return

    def _watch(self) -> None:
        while not self._done.wait(min(self._pause_s, self._left_s())):
            if os.getppid() != self._parent:
                return self._end_because("the worker of this training process is gone")
            if self._left_s() == 0.0:
                return self._end_because("its lease could not be renewed in time")
        return None

    def _left_s(self) -> float:
        """How long this process may still live without a renewal."""
        return max(0.0, self._renewed_at + self._lease_s - self._pause_s - time.monotonic())

    def _end_because(self, reason: str) -> None:
        log.error("bundle %s: %s; this process ends", self._claim.bundle_id, reason)
        self._end(EXIT_FENCED)

    def _renew(self) -> None:
        asked_at = time.monotonic()
        try:
            with self._db.write() as conn:
                is_cancelled = bundles.heartbeat(
                    conn, self._claim, lease_s=self._lease_s, step=self.step
                )
        except LeaseLost:
            self.lost.set()
            return
        except (DBAPIError, DiskFull) as error:
            log.warning("bundle %s: heartbeat failed: %s", self._claim.bundle_id, error)
            return
        self._renewed_at = asked_at
        if is_cancelled:
            self.cancelled.set()
