"""A check within the memory that is free: too much becomes an error, not the end of the process."""

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from muscope.lab import environment

_STATUS = Path("/proc/self/status")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Let an allocation beyond the free memory fail; otherwise Linux would kill the process.

    Only on Linux, and only where models are on the CPU: drivers of GPUs reserve as they like.
    """
    if sys.platform != "linux" or environment.device().type != "cpu":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _used_bytes() + environment.free_bytes()
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used_bytes() -> int:
    """What this process has of private, writable memory, as the limit counts it."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024
