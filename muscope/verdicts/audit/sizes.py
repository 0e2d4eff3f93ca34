"""What an audit compares: a size with the base's, either in width or in depth."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """A width beside the base width at one depth, or a depth beside the base depth at one width."""

    width: int
    base_width: int
    depth: int = 1
    base_depth: int = 1

    @property
    def is_in_depth(self) -> bool:
        """Whether the two differ in depth."""
        return self.width == self.base_width

    @property
    def growth(self) -> float:
        """m, the width relative to the base; or r, the depth relative to the base."""
        if self.is_in_depth:
            return self.depth / self.base_depth
        return self.width / self.base_width

    @property
    def letter(self) -> str:
        """The growth's, as rules print it."""
        return "r" if self.is_in_depth else "m"

    @property
    def places(self) -> tuple[str, str]:
        """(base, here) in words."""
        if self.is_in_depth:
            return f"depth {self.base_depth}", f"depth {self.depth}"
        return f"width {self.base_width}", f"width {self.width}"
