"""SIGTERM or Ctrl-C: the worker takes nothing new, hands back what it trains, and ends.

A signal may interrupt the main thread while it holds any lock, that of the log for instance. Who
waits in a handler for another thread that wants such a lock waits for ever; Celery's own soft
shutdown waits in its handler. These handlers wait for nothing and take no lock of anybody else.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType

from celery.worker import state

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def by_signal(leave: Callable[[], None]) -> None:
    """From now on a signal stops Celery's main loop and calls `leave`; a second Ctrl-C kills."""

    def stop(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and state.should_stop is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        state.should_stop = os.EX_OK  # the main loop looks at it between messages
        leave()

    for number in SIGNALS:
        signal.signal(number, stop)
