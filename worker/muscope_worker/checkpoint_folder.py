"""The folder of checkpoints beside a worker: a file per bundle, gone when the bundle has ended."""

import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from muscope.settings import Settings
from muscope.storage import disk, resuming
from muscope.storage.bundles import Claim
from muscope.storage.database import Database

log = logging.getLogger(__name__)

GIB = 2**30
LEFT_FREE_BYTES = 16 * disk.SPARE_BYTES
"""What a checkpoint leaves of a disk, which is often that of the database."""
STALE_S = 600.0
"""A part of a file that nobody has written to for so long was left by who died."""

_NAME = re.compile(r"(?P<study>\w+)-(?P<bundle>\d+)\.safetensors(?P<part>\.\d+\.part)?")
_PART_OF_LIBRARY = re.compile(r"\.tmp\w{6}")
"""What safetensors begins to write, before it gives it the name of our part."""


class NoRoom(RuntimeError):
    """A checkpoint is not written, with the numbers."""


class _Entry(NamedTuple):
    path: Path
    bundle: tuple[str, int]
    is_part: bool


class CheckpointFolder:
    """What a worker, and others with its data directory, can go on from."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.checkpoints_folder
        self._limit_bytes = int(settings.checkpoint_gib * GIB)

    def path(self, claim: Claim) -> Path:
        """Where the checkpoint of a bundle is, if there is one."""
        return self._folder / f"{claim.study_id}-{claim.bundle_id}.safetensors"

    def prepare(self, size_bytes: int) -> None:
        """Make the folder, or raise NoRoom or OSError where another file of that size is too much.

        The old file of a bundle stays until the new one is whole, so both have to fit.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        taken = sum(_size(path) for path in self._folder.iterdir())
        if taken + size_bytes > self._limit_bytes:
            raise NoRoom(
                f"it takes {_mib(size_bytes)}, others have {_mib(taken)}, and "
                f"MUSCOPE_CHECKPOINT_GIB allows {_mib(self._limit_bytes)}"
            )
        free = shutil.disk_usage(self._folder).free
        if free < size_bytes + LEFT_FREE_BYTES:
            raise NoRoom(f"it takes {_mib(size_bytes)}, and the disk has {_mib(free)} free")

    def drop_parts(self, claim: Claim) -> None:
        """Remove what an earlier attempt of this bundle has not written to the end."""
        for entry in self._entries():
            if entry.is_part and entry.bundle == (claim.study_id, claim.bundle_id):
                entry.path.unlink(missing_ok=True)

    def sweep(self, db: Database) -> None:
        """Remove what nobody can go on from any more: the bundle has ended or is not there."""
        self._sweep_parts_of_library()
        entries = list(self._entries())
        if not entries:
            return
        with db.read() as conn:
            alive = resuming.going_on(conn, {entry.bundle[1] for entry in entries})
        for entry in entries:
            if entry.bundle not in alive or (entry.is_part and _is_stale(entry.path)):
                log.info("checkpoint %s is removed", entry.path.name)
                entry.path.unlink(missing_ok=True)

    def _sweep_parts_of_library(self) -> None:
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if _PART_OF_LIBRARY.fullmatch(path.name) and _is_stale(path):
                path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[_Entry]:
        """Our files; what else lies there is left alone."""
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if (found := _NAME.fullmatch(path.name)) and path.is_file():
                bundle = (found["study"], int(found["bundle"]))
                yield _Entry(path, bundle, found["part"] is not None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # somebody else was faster
        return 0


def _is_stale(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - STALE_S
    except FileNotFoundError:
        return False


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
