"""What a user's code may not do to a check: end the process, or print without end.

Its words go to stderr, because stdout is the check's own, and there are only so many of them.
"""

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn, TextIO

SHOWN, MOST = 100_000, 10_000_000
"""Characters of one call that are shown, and after which a call is taken to print for ever."""


class PrintsForEver(BaseException):
    """Raised in the middle of a print; not an Exception, so that the code does not catch it."""

    def __str__(self) -> str:
        return f"it prints without end (more than {MOST:,} characters)"


class Words(io.TextIOBase):
    """A stream in front of stderr that lets a number of characters pass."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._count = 0

    def write(self, text: str) -> int:
        """Show it, or say once that the rest is not shown."""
        before, self._count = self._count, self._count + len(text)
        if self._count > MOST:
            raise PrintsForEver
        if self._count <= SHOWN:
            self._stream.write(text)
        elif before <= SHOWN:
            self._stream.write(f"\n… the model's code prints more than {SHOWN:,} characters\n")
        return len(text)

    def flush(self) -> None:
        """Of the stream behind."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Of the stream behind."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Of the stream behind."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True


@contextlib.contextmanager
def behaved() -> Iterator[None]:
    """Run the user's code: `os._exit` becomes SystemExit, print goes to stderr and has an end."""
    words = Words(sys.stderr)
    with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words), _cannot_vanish():
        yield


@contextlib.contextmanager
def _cannot_vanish() -> Iterator[None]:
    """`os._exit` of this thread would end the check with a code of the model's choice: 0, say."""
    vanish = os._exit
    here = (os.getpid(), threading.get_ident())

    def stay(status: int) -> NoReturn:
        # children of a fork end so, and so does whoever watches over the time
        if (os.getpid(), threading.get_ident()) != here:
            vanish(status)
        raise SystemExit(status)

    os._exit = stay
    try:
        yield
    finally:
        os._exit = vanish
