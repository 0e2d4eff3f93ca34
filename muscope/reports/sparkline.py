"""A row's slopes over the steps as a line of a few pixels, with the band of flat behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 72, 22
MARGIN = 2
MOST = 1.0
"""Slopes beyond this are drawn at the edge: what is far from flat need not be far in pixels."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """In pixels: `points` of the polyline, and where the band of flat begins and how high it is."""

    points: str
    band_top: str
    band_height: str
    last_x: str
    last_y: str


def sparkline(slopes: Sequence[float | None], tolerance: float) -> Sparkline | None:
    """The line through the slopes that are known; None with fewer than two."""
    known = [(place, value) for place, value in enumerate(slopes) if value is not None]
    if len(known) < 2:
        return None
    points = [(_x(place, len(slopes)), _y(value)) for place, value in known]
    top, bottom = _y(tolerance), _y(-tolerance)
    last_x, last_y = points[-1]
    return Sparkline(
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        band_top=f"{top:.1f}",
        band_height=f"{bottom - top:.1f}",
        last_x=f"{last_x:.1f}",
        last_y=f"{last_y:.1f}",
    )


def _x(place: int, places: int) -> float:
    return MARGIN + place * (WIDTH - 2 * MARGIN) / (places - 1)


def _y(slope: float) -> float:
    clipped = min(max(slope, -MOST), MOST)
    return HEIGHT / 2 - clipped / MOST * (HEIGHT / 2 - MARGIN)
