"""Two threads behind a recorder: one writes what was recorded to the spool, one sends it.

The disk never waits for the network, and the training loop for neither.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from muscope.client import Client, Refused, Unauthorized, Unavailable
from muscope.ingest import Closing, Ended, Opening
from muscope.recorder import delivery
from muscope.recorder.buffer import Buffer
from muscope.recorder.delivery import Delivery
from muscope.recorder.spool import BATCH, CLOSING, Spool
from muscope.spec import canonical_json

log = logging.getLogger("muscope.recorder")

ROUND_S = 1.0
"""So often both look whether there is something to do; a full batch is written at once."""
LONGEST_WAIT_S = 60.0
CLOSING_WAIT_S = 0.5


class Sender:
    """Begins with the first measurement, so that the opening knows all that was said before."""

    def __init__(
        self, client: Client, folder: Path, buffer: Buffer, opening: Callable[[], Opening]
    ) -> None:
        self._client, self._folder, self._buffer = client, folder, buffer
        self._opening = opening
        self._writing = threading.Lock()
        self._spool: Spool | None = None
        self._batches = self._rows = 0
        self._closing: Closing | None = None
        self._has_news = threading.Condition()
        self._written = self._sent = 0
        self._is_done = self._is_stopping = False
        self._not_before = 0.0
        self._wait_s = ROUND_S
        self._complained: set[type[Exception]] = set()
        self._threads: list[threading.Thread] = []
        self._full, self._ended = threading.Event(), threading.Event()
        self.page = ""

    def wake(self, *, at_once: bool) -> None:
        """Something was recorded; `at_once` when there is much of it."""
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._keep_writing, name="muscope-writer", daemon=True),
                threading.Thread(target=self._keep_sending, name="muscope-sender", daemon=True),
            ]
            for thread in self._threads:
                thread.start()
        if at_once:
            self._full.set()

    def flush(self, timeout_s: float) -> bool:
        """Write all of it now, and wait a while for it to arrive; whether it has."""
        self._write()
        until = time.monotonic() + timeout_s
        with self._has_news:
            self._not_before = 0.0
            self._has_news.notify_all()
            while self._sent < self._written and not self._is_done:
                if not self._has_news.wait(until - time.monotonic()):
                    return False
        return self._sent >= self._written and not self._buffer.is_shut

    def close(self, ended: Ended, reason: str, timeout_s: float) -> None:
        """Write the closing, wait a while for all to arrive, and end both threads."""
        self._closing = Closing(batches=0, rows=0, ended=ended, reason=reason)
        if not self._threads:
            return  # nothing was recorded
        self._is_stopping = True
        self.flush(timeout_s)
        self._is_done = True
        with self._has_news:
            self._has_news.notify_all()
        self._full.set()
        self._ended.set()
        for thread in self._threads:
            thread.join(CLOSING_WAIT_S)

    def _keep_writing(self) -> None:
        while not self._is_done:
            self._full.wait(ROUND_S)
            self._full.clear()
            if not self._write():
                self._ended.wait(ROUND_S)  # a full disk is not asked at every step

    def _write(self) -> bool:
        """Everything that was recorded goes to the spool, and after the last of it the closing."""
        with self._writing:
            try:
                self._write_batches()
                self._write_closing()
            except Exception as error:  # nothing here may end the loop of the user
                self._complain(error)
                return False
        return True

    def _write_batches(self) -> None:
        while (body := self._buffer.take(self._batches)) is not None:
            if self._spool is None:
                self._spool = Spool.create(self._folder, self._client.url, self._opening())
                self._tell_of_line()
            self._spool.append(BATCH, body)
            self._rows += self._buffer.written()
            self._batches += 1
            self._tell_of_line()

    def _write_closing(self) -> None:
        closing = self._closing
        if closing is None or self._spool is None or self._buffer.is_shut:
            return
        dropped = self._buffer.dropped
        lost = f"{dropped} measurements could not be kept." if dropped else ""
        reason = " ".join(filter(None, (lost, closing.reason)))[:600]
        counts = {"batches": self._batches, "rows": self._rows, "reason": reason}
        body = canonical_json(closing.model_copy(update=counts)).encode()
        self._spool.append(CLOSING, body)
        self._closing = None
        self._tell_of_line()

    def _tell_of_line(self) -> None:
        with self._has_news:
            self._written += 1
            self._has_news.notify_all()

    def _keep_sending(self) -> None:
        """First what others left behind, then what is written here, until it is closed."""
        try:
            delivery.flush(self._folder, self._client)
        except Exception as error:  # nothing here may end the loop of the user
            self._complain(error)
        sending: Delivery | None = None
        while not self._is_done:
            try:
                sending = self._send(sending)
            except Exception as error:  # as above; the next round tries again
                self._complain(error)
                self._postpone(ROUND_S)
            with self._has_news:
                self._has_news.notify_all()
                if not self._is_done and (self._sent >= self._written or self._is_waiting):
                    self._has_news.wait(CLOSING_WAIT_S if self._is_stopping else ROUND_S)
        self._leave()

    def _send(self, sending: Delivery | None) -> Delivery | None:
        spool = self._spool
        if spool is None or self._is_waiting:
            return sending
        sending = sending or Delivery(self._client, spool)
        try:
            self._is_done = sending.run()
            self._wait_s = ROUND_S
        except Unauthorized as error:
            self._complain(error)
            self._postpone(LONGEST_WAIT_S)  # wrong tokens are counted against this address
            self._is_done = self._is_stopping
        except Unavailable as error:
            self._complain(error)
            self._wait_s = min(LONGEST_WAIT_S, 2 * self._wait_s)
            self._postpone(CLOSING_WAIT_S if self._is_stopping else max(self._wait_s, error.wait_s))
        except Refused as error:
            self._give_up(error)
        self._sent, self.page = sending.sent, sending.page
        return sending

    @property
    def _is_waiting(self) -> bool:
        """Whether the server was not there, and is not asked again yet."""
        return time.monotonic() < self._not_before

    def _postpone(self, wait_s: float) -> None:
        self._not_before = time.monotonic() + wait_s

    def _give_up(self, error: Refused) -> None:
        """The server has said no for good: what is kept stays on the disk, nothing more comes."""
        with self._writing:
            assert self._spool is not None
            self._buffer.shut()
            aside, self._spool = self._spool.set_aside(), None
        self._is_done = True
        log.error(
            "the server refuses this recording, so nothing more is sent; what was recorded is "
            "kept as %s: %s",
            aside,
            error,
        )

    def _leave(self) -> None:
        """All has arrived and nothing is left on the disk, or the rest waits there."""
        with self._writing:
            if self._spool is None:
                return
            if self._sent >= self._written:
                self._spool.discard()
            else:
                log.warning("what has not arrived waits in %s", self._spool.path)
                self._spool.release()

    def _complain(self, error: Exception) -> None:
        """Once for each kind of fault."""
        if type(error) not in self._complained:
            self._complained.add(type(error))
            log.warning("recording goes on, and is sent later: %s", error)
