"""A thread that keeps the queue honest: expired leases, lost messages (rule 6)."""

import logging
import threading
from types import TracebackType
from typing import Self

from muscope.settings import Settings
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope.storage.reap import reap
from muscope_server.doorbell import Doorbell

logger = logging.getLogger(__name__)


class Reaper:
    """Reaps every `reap_s` seconds while it is entered; harmless beside other reapers."""

    def __init__(self, database: Database, doorbell: Doorbell, settings: Settings) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        # A reaper that waits for a locked database must not hold up the exit.
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._stop.wait(self._settings.reap_s):
            self._reap_once()

    def _reap_once(self) -> None:
        try:
            bundle_ids = reap(self._database, resend_s=self._settings.resend_s)
        except DiskFull as error:
            logger.error("nothing can be reaped: %s", error)
            return
        except Exception:
            # The thread must outlive a database that is away; the next round tries again.
            logger.exception("reaping failed")
            return
        if bundle_ids:
            self._doorbell.ring(bundle_ids)
