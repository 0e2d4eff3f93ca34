"""A digest of a run's measurements that does not depend on the order they came in."""

import hashlib
import math
import struct

from muscope.vocabulary import TensorKind

_NUMBERS = struct.Struct("<q3d?")


class RunDigest:
    """Counts rows and sums their hashes: recorder and database must agree on both."""

    __slots__ = ("_sum", "count")

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(  # noqa: PLR0917 - called a million times, in the order of the columns
        self,
        step: int,
        tensor: str,
        kind: TensorKind,
        l1: float,
        rms: float,
        change: float | None,
    ) -> None:
        """Take one measurement in."""
        numbers = (_plain(l1), _plain(rms), 0.0 if change is None else _plain(change))
        key = f"{tensor}\n{kind.value}\n".encode()
        packed = key + _NUMBERS.pack(step, *numbers, change is None)
        row = hashlib.blake2b(packed, digest_size=8).digest()
        self._sum = (self._sum + int.from_bytes(row, "little")) % 2**64
        self.count += 1

    def hex(self) -> str:
        """The digest in 16 hexadecimal digits."""
        return f"{self._sum:016x}"


def _plain(value: float) -> float:
    """One bit pattern for every nan, and no negative zero: what survives any database."""
    return math.nan if math.isnan(value) else value + 0.0
