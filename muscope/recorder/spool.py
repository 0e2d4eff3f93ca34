"""What was recorded, on disk before it is sent: a file per recording, one line per parcel.

The first line is the opening with the address of the server, then come batches, then the closing.
A line counts when it is whole: whoever writes syncs it before anybody sends it, and what a crash
cut off is left out. Who holds the file's lock owns it; the lock ends with its process.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from muscope.ingest import Closing, Opening
from muscope.spec import canonical_json

SUFFIX = ".jsonl"
REFUSED = ".refused"
OPENING, BATCH, CLOSING = "o", "b", "c"
MOST_BYTES = 1024**3
"""Of one recording: an outage must not fill the disk."""


class Line(NamedTuple):
    """One parcel as it stands in the file: what it is, the bytes that are sent, where it ends."""

    tag: str
    body: bytes
    end: int


class SpoolFull(OSError):
    """A recording has more waiting than is kept on disk."""


class Spool:
    """The file of one recording, owned by this process; made by `create` or `adopt`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._size = path.stat().st_size

    @classmethod
    def create(cls, folder: Path, url: str, opening: Opening) -> "Spool":
        """A new file with the opening in it, for its owner's eyes only."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{opening.recording}{SUFFIX}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_RDWR, 0o600)
        spool = cls(path, os.fdopen(descriptor, "ab", buffering=0))
        fcntl.flock(spool._file, fcntl.LOCK_EX)
        header = {"url": url, "opening": json.loads(canonical_json(opening))}
        spool.append(OPENING, json.dumps(header, separators=(",", ":")).encode())
        return spool

    @classmethod
    def adopt(cls, path: Path) -> "Spool | None":
        """The file of a process that is gone; None while it lives."""
        try:
            file = path.open("ab", buffering=0)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        if not path.exists():  # it was delivered while we waited
            file.close()
            return None
        spool = cls(path, file)
        spool._cut_torn_line()
        return spool

    def append(self, tag: str, body: bytes) -> None:
        """Write a line, and return when it is on the disk."""
        if self._size + len(body) > MOST_BYTES and tag == BATCH:
            raise SpoolFull(f"{self.path} has reached {MOST_BYTES} bytes")
        line = b"".join((tag.encode(), b" ", body, b"\n"))
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes fit on the disk")
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), self._size)
            raise
        self._size += len(line)

    def lines(self, start: int = 0) -> Iterator[Line]:
        """Every whole line, from one that begins at `start`."""
        with self.path.open("rb") as file:
            end = file.seek(start)
            for line in file:
                end += len(line)
                if line.endswith(b"\n"):
                    yield Line(line[:1].decode(errors="replace"), line[2:-1], end)

    @property
    def header(self) -> tuple[str, Opening]:
        """(address of the server, opening); ValueError where the file has none."""
        first = next(self.lines(), None)
        if first is None or first.tag != OPENING:
            raise ValueError(f"{self.path} is not a spool of muscope")
        found = json.loads(first.body)
        return str(found["url"]), Opening.model_validate_json(json.dumps(found["opening"]))

    def close_for_the_dead(self, reason: str) -> None:
        """Write the closing that its process did not live to write."""
        batches = rows = 0
        for line in self.lines():
            if line.tag == CLOSING:
                return
            if line.tag == BATCH:
                batches += 1
                rows += len(json.loads(line.body)["rows"])
        closing = Closing(batches=batches, rows=rows, ended="failed", reason=reason)
        self.append(CLOSING, canonical_json(closing).encode())

    @property
    def sent(self) -> int:
        """How many lines the server has acknowledged; too few is harmless."""
        try:
            return int(self._mark.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    @sent.setter
    def sent(self, lines: int) -> None:
        self._mark.write_text(str(lines))

    def discard(self) -> None:
        """All of it has arrived: nothing is left on the disk."""
        self._mark.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self._file.close()

    def set_aside(self) -> Path:
        """The server will never take it: it is kept under another name, for its owner to see."""
        aside = self.path.with_suffix(REFUSED)
        self.path.rename(aside)
        self._mark.unlink(missing_ok=True)
        self._file.close()
        return aside

    def release(self) -> None:
        """Let somebody else own it."""
        self._file.close()

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".sent")

    def _cut_torn_line(self) -> None:
        """What a crash left of a line that was never acknowledged to anybody."""
        whole = 0
        for line in self.lines():
            whole = line.end
        if whole < self._size:
            os.ftruncate(self._file.fileno(), whole)
            self._size = whole


def orphans(folder: Path) -> list[Path]:
    """Files of recordings in a folder, the oldest first; living processes may own some."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # somebody else has delivered it
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found) if path.is_file()]
