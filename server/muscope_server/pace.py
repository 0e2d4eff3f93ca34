"""How often recorders may send: a bucket that fills at a steady rate."""

import threading
import time
from collections.abc import Callable

from muscope_server.errors import try_later
from muscope_server.limits import RECORDER_BURST, RECORDER_REQUESTS_PER_S


class Pace:
    """Lets a burst through, then so many requests a second; the others are told to wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(RECORDER_BURST)
        self._at = clock()

    def check(self) -> None:
        """Take one request from the bucket, or refuse it."""
        with self._lock:
            now_s = self._clock()
            filled = self._left + (now_s - self._at) * RECORDER_REQUESTS_PER_S
            self._left, self._at = min(float(RECORDER_BURST), filled), now_s
            if self._left >= 1.0:
                self._left -= 1.0
                return
        message = f"Recorders send more than {RECORDER_REQUESTS_PER_S:g} requests a second."
        raise try_later(429, "too_many_batches", message, seconds=1.0)
