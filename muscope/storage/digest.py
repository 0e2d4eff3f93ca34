"""A digest of a run's measurements that does not depend on the order they came in."""

import math
import struct
from hashlib import blake2b

from muscope.records import Values
from muscope.vocabulary import TensorKind

_FIRST = struct.Struct("<q3d?")
_ALL = struct.Struct(f"<qH{len(Values._fields)}d")
_BITS = tuple(1 << place for place in range(len(Values._fields)))
_MASK = 2**64 - 1


class RunDigest:
    """Counts rows and sums their hashes: recorder and database must agree on both."""

    __slots__ = ("_sum", "count")

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    @classmethod
    def of(cls, count: int, digest: str) -> "RunDigest":
        """One that goes on from what another said of itself."""
        found = cls()
        found.count, found._sum = count, int(digest, 16)
        return found

    def add(self, step: int, tensor: str, kind: TensorKind, values: Values) -> None:
        """Take one measurement in."""
        key = "\n".join((tensor, kind, "")).encode()
        packed = key + (_pack_first(step, values) or _pack_all(step, values))
        row = blake2b(packed, digest_size=8).digest()
        self._sum = (self._sum + int.from_bytes(row, "little")) & _MASK
        self.count += 1

    def hex(self) -> str:
        """The digest in 16 hexadecimal digits."""
        return f"{self._sum:016x}"


def _pack_first(step: int, values: Values) -> bytes | None:
    """A row of l1, rms and change alone, as version 0.1.0 packed it: stored digests stay right."""
    l1, rms, change, *others = values
    if l1 is None or rms is None or others.count(None) < len(others):
        return None
    numbers = (_plain(l1), _plain(rms), 0.0 if change is None else _plain(change))
    return _FIRST.pack(step, *numbers, change is None)


def _pack_all(step: int, values: Values) -> bytes:
    """Any row: which statistics it has, as bits, and all of them."""
    pairs = zip(_BITS, values, strict=True)
    present = sum([bit for bit, value in pairs if value is not None])
    numbers = [0.0 if value is None else value + 0.0 for value in values]
    if not math.isfinite(sum(numbers)):
        numbers = [_plain(number) for number in numbers]
    return _ALL.pack(step, present, *numbers)


def _plain(value: float) -> float:
    """One bit pattern for every nan, and no negative zero: what survives any database."""
    return math.nan if math.isnan(value) else value + 0.0
