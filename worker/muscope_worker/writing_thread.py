"""A thread that writes what training hands over: in order, many steps in one transaction."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from muscope.records import StepRecord

PAUSE_S = 0.25
"""From one transaction to the next, so that short steps share one; a page shows a step within
half a second."""
ROWS_AT_ONCE = 5_000
"""No longer than these take does anybody else wait for the database; so many are written at once,
without a pause."""
ROWS_WAITING = 20_000
"""With so many on their way training waits: they take about 10 MB."""


class WritingThread:
    """Writes records while their giver goes on; what goes wrong comes out in the giver's thread.

    One thread gives, and `finish` is the last that it calls.
    """

    def __init__(self, write: Callable[[Sequence[StepRecord]], None]) -> None:
        self._write = write
        lock = threading.Lock()
        self._work, self._room = threading.Condition(lock), threading.Condition(lock)
        self._waiting: deque[StepRecord] = deque()
        self._rows = 0
        self._due_at = float("-inf")
        self._ends = self._is_awaited = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to write what comes."""
        self._thread.start()

    def put(self, record: StepRecord) -> None:
        """Hand a record over, once there is room for it, or raise what stopped the writing."""
        size = _rows(record)
        with self._room:
            self._wait_for_room(size)
            if self._error is not None:
                raise self._error
            self._waiting.append(record)
            self._rows += size
            if len(self._waiting) == 1 or self._is_urgent():
                self._work.notify()

    def flush(self) -> None:
        """Return when all that was handed over is written, or raise what stopped the writing."""
        with self._room:
            self._is_awaited = True
            self._work.notify()
            self._room.wait_for(lambda: self._error or self._rows == 0)
            self._is_awaited = False
            if self._error is not None:
                raise self._error

    def finish(self) -> None:
        """Return when all is written, or raise what stopped the writing."""
        with self._work:
            self._ends = True
            self._work.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._write(batch)
                with self._room:
                    self._rows -= sum(map(_rows, batch))
                    self._room.notify()
        except Exception as error:  # whatever it is, the thread that trains has to hear of it
            with self._room:
                self._error = error
                self._room.notify()

    def _next(self) -> list[StepRecord]:
        """What to write in the next transaction, when it is time for it; nothing at the end."""
        with self._work:
            self._work.wait_for(lambda: self._ends or self._waiting)
            pause_s = max(0.0, self._due_at - time.monotonic())
            self._work.wait_for(self._is_urgent, pause_s)
            self._due_at = time.monotonic() + PAUSE_S
            return self._take()

    def _take(self) -> list[StepRecord]:
        """The first of those that wait: not too many at once, and of rising steps."""
        batch: list[StepRecord] = []
        rows = 0
        while self._waiting and (not batch or self._waiting[0].step > batch[-1].step):
            rows += _rows(self._waiting[0])
            if batch and rows > ROWS_AT_ONCE:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _wait_for_room(self, size: int) -> None:
        self._is_awaited = not self._has_room(size)
        if self._is_awaited:
            self._work.notify()
            self._room.wait_for(lambda: self._error or self._has_room(size))
            self._is_awaited = False

    def _has_room(self, size: int) -> bool:
        return self._rows == 0 or self._rows + size <= ROWS_WAITING

    def _is_urgent(self) -> bool:
        return self._ends or self._is_awaited or self._rows >= ROWS_AT_ONCE


def _rows(record: StepRecord) -> int:
    return 1 + len(record.measurements) + len(record.progress)
