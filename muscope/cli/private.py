"""What a muscope command makes is for its owner: database, log, messages, secrets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def files() -> Iterator[None]:
    """New files are 0600 and new folders 0700 in this block, and in what it starts."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
