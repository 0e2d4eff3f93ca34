"""Ctrl-C closes the house in order, a second one at once."""

import signal
import threading
import time

from muscope.cli import stopping, supervise
from muscope.cli.supervise import Part


class Stubborn(Part):
    """A part that does not end when it is asked to."""

    is_running = True

    def __init__(self) -> None:
        self.was_killed = False

    def ask_to_stop(self) -> None:
        """Hear nothing."""

    def end(self) -> None:
        self.was_killed = True


def test_only_a_second_ctrl_c_stops_at_once() -> None:
    with stopping.by_signal() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert (stop.asked.is_set(), stop.at_once.is_set()) == (True, False)
        signal.raise_signal(signal.SIGINT)
        assert stop.at_once.is_set()


def test_at_once_does_not_wait_for_the_grace() -> None:
    part, at_once = Stubborn(), threading.Event()
    threading.Timer(0.1, at_once.set).start()
    began = time.monotonic()
    supervise.stop([part], grace_s=60.0, at_once=at_once)
    assert part.was_killed
    assert time.monotonic() - began < 30
