"""What a container may still take: the memory limits of the control groups of this process."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MOUNT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


class _Files(NamedTuple):
    """Where a version of control groups keeps its numbers, and what it calls unused file pages."""

    limit: str
    used: str
    reclaimable: str


_FIRST = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_SECOND = _Files("memory.max", "memory.current", "inactive_file")


def free_bytes(mount: Path = MOUNT, own: Path = OWN) -> int | None:
    """The least that a group of this process leaves; None where none has a limit.

    Pages of files that nobody has used lately count as used, but the kernel gives them up.
    """
    if not own.exists():
        return None
    found = [_left(group, files) for group, files in _groups(mount, own.read_text())]
    return min((left for left in found if left is not None), default=None)


def _groups(mount: Path, lines: str) -> Iterator[tuple[Path, _Files]]:
    """The groups of this process and all above; what a container does not see is not there."""
    for line in lines.splitlines():
        _, controllers, name = line.split(":", 2)
        if not controllers:
            root, files = mount, _SECOND
        elif "memory" in controllers.split(","):
            root, files = mount / "memory", _FIRST
        else:
            continue
        group = Path(name.lstrip("/"))
        yield from ((root / above, files) for above in (group, *group.parents))


def _left(group: Path, files: _Files) -> int | None:
    try:
        limit = (group / files.limit).read_text().strip()
        used = int((group / files.used).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    return None if limit == "max" else int(limit) - used + int(stat[files.reclaimable])
