"""Tells the workers of queued bundles, from a thread of its own."""

import logging
import queue
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from celery import Celery

from muscope import dispatch

logger = logging.getLogger(__name__)

_MOST_WAITING = 100


class Doorbell:
    """Rings without making anyone wait: a broker that is away takes seconds to say so.

    What cannot be sent is dropped; the reaper rings again for what stays queued.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._waiting: queue.Queue[list[int] | str | None] = queue.Queue(maxsize=_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)

    def ring(self, bundle_ids: Iterable[int]) -> None:
        """Tell the workers of these bundles, soon. Call it after the commit, never before."""
        self._put(list(bundle_ids))

    def ask_for_judgement(self, study_id: str) -> None:
        """Tell a worker, soon, that a study lacks its verdict; the workers ask again themselves."""
        self._put(study_id)

    def _put(self, what: list[int] | str) -> None:
        try:
            self._waiting.put_nowait(what)
        except queue.Full:
            logger.warning("the broker has been away for long; the reaper will ring again")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waiting.put(None)
        # A broker that is away must not hold up the exit.
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while (what := self._waiting.get()) is not None:
            self._send(what)

    def _send(self, what: list[int] | str) -> None:
        try:
            if isinstance(what, str):
                dispatch.send_judgement(self._celery, [what])
            else:
                dispatch.send(self._celery, what)
        except dispatch.BROKER_ERRORS as error:
            logger.warning("the broker is away, work stays queued: %s", error)
