"""One row of the table of agreement: what is compared with whom, and how far apart they are."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours, the original with its version, what of them in which case, and how far they may be.

    `difference()` is relative; `reason` is that of the tolerance.
    """

    ours: str
    original: str
    compared: str
    case: str
    difference: Callable[[], float]
    tolerance: float
    reason: str

    @property
    def row(self) -> tuple[str, str, str]:
        """What it has in common with the other cases of its row in docs/parity.md."""
        return self.ours, self.original, self.compared

    @property
    def id(self) -> str:
        """A name for pytest."""
        return ", ".join(filter(None, (self.original, self.compared, self.case)))


def apart(ours: float, theirs: float) -> float:
    """How far two numbers are apart, relative to the original's; 0 where they are equal."""
    return 0.0 if ours == theirs else _known(abs(ours - theirs) / abs(theirs))


def tensors_apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of any entry, in any shape, relative to the original's largest."""
    largest = float(theirs.detach().abs().max())
    difference = float((ours.detach().view_as(theirs) - theirs.detach()).abs().max())
    return 0.0 if difference == 0 else _known(difference / largest)


def furthest(pairs: Iterable[tuple[float, float]]) -> float:
    """The largest of `apart` over (ours, theirs)."""
    return max(apart(ours, theirs) for ours, theirs in pairs)


def _known(difference: float) -> float:
    """Infinity for nan, which `max` could lose."""
    return math.inf if math.isnan(difference) else difference
