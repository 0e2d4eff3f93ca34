"""The colours of places on an axis, from light to dark: one hue for what is measured, one for what
was published. Both ends can be seen on white; in the dark, draw.js lifts all of them alike.
"""

from typing import NamedTuple, TypeAlias

_Rgb: TypeAlias = tuple[int, int, int]


class Scale(NamedTuple):
    """From the smallest place on the axis to the largest."""

    first: _Rgb
    last: _Rgb

    def at(self, place: int, count: int) -> str:
        """The shade of a place, of so many."""
        share = place / max(1, count - 1)
        mixed = (round(a + share * (b - a)) for a, b in zip(self.first, self.last, strict=True))
        return "#" + "".join(f"{part:02x}" for part in mixed)


MEASURED = Scale((0x58, 0x94, 0xDA), (0x0B, 0x2D, 0x66))
PUBLISHED = Scale((0xCF, 0x82, 0x30), (0x7A, 0x3D, 0x06))
