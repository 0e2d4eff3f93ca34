"""Ctrl-C and SIGTERM while the house is open: the first closes it in order, a second at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass(frozen=True, slots=True)
class Stopping:
    """What the signals have asked for so far."""

    asked: threading.Event = field(default_factory=threading.Event)
    at_once: threading.Event = field(default_factory=threading.Event)

    def note(self, number: int, _: FrameType | None) -> None:
        """A signal has come; of several, only Ctrl-C is a person who does not want to wait."""
        if self.asked.is_set() and number == signal.SIGINT:
            self.at_once.set()
        self.asked.set()


@contextmanager
def by_signal() -> Iterator[Stopping]:
    """Signals are noted instead of ending the process, until the end of the block."""
    stopping = Stopping()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, stopping.note) for number in numbers]
    try:
        yield stopping
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
