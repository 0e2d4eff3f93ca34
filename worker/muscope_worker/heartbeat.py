"""A thread beside the training that renews its lease, and ends the process when it cannot."""

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

log = logging.getLogger(__name__)

EXIT_FENCED = 75
"""Exit code of a training process that ended itself rather than outlive its lease."""

LEAVE_S = 5.0
"""How long training may take to notice that its lease is gone."""


class Heartbeat:
    """Renews the lease of a claim while its body runs; tells when the bundle was cancelled.

    The process ends itself before its lease does: a renewal counts from the moment it was asked
    for, so this clock is never behind the database's. It ends too when its parent is gone.
    """

    def __init__(
        self,
        db: Database,
        claim: Claim,
        *,
        settings: Settings,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self.step: int | None = None
        self.cancelled = threading.Event()
        self.lost = threading.Event()
        self._db, self._claim, self._end = db, claim, end
        self._lease_s, self._pause_s = settings.lease_s, settings.heartbeat_s
        self._parent = os.getppid()
        self._done = threading.Event()
        self._renewed_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join(LEAVE_S)

    def _run(self) -> None:
        while not self._done.wait(self._pause_s):
            reason = self._reason_to_end()
            if reason:
                log.error("bundle %s: %s; this process ends", self._claim.bundle_id, reason)
                self._end(EXIT_FENCED)
                return

    def _reason_to_end(self) -> str | None:
        """Renew the lease; a sentence when this process must not live on."""
        if os.getppid() != self._parent:
            return "the worker of this training process is gone"
        self._renew()
        if self.lost.is_set():
            # whoever trains sees it at the next step, and is given the time for one
            return None if self._done.wait(LEAVE_S) else "its lease is lost and it still trains"
        if time.monotonic() > self._renewed_at + self._lease_s - self._pause_s:
            return "its lease could not be renewed in time"
        return None

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
        except DBAPIError as error:
            log.warning("bundle %s: heartbeat failed: %s", self._claim.bundle_id, error.orig)
            return
        self._renewed_at = asked_at
        if is_cancelled:
            self.cancelled.set()
