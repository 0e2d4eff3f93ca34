"""Keep freed memory in the process: every step of training asks for the same again.

glibc hands large blocks back to the system when they are freed, and then each of their pages costs
a fault when it is next written: up to a tenth of a step (docs/benchmarks.md).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed() -> None:
    """From now on freed memory is used again and not given back; without glibc nothing changes."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MMAP_MAX, 0)
        mallopt(_ARENA_MAX, 1)  # threads would have arenas of 64 MiB, which are given back
