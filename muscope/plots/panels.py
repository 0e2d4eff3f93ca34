"""What figures of several panels share: the words above each, and the span of losses."""

import html
from collections.abc import Sequence
from typing import Any

MOST_OF_LOSSES = 3.0
"""An axis shows losses up to so many times the span between the best and the median."""


def suffix(number: int) -> str:
    """What Plotly adds to the axes of the panel of this number, counted from 1."""
    return "" if number == 1 else str(number)


def title(text: str, of: str) -> dict[str, Any]:
    """The words above the panel with this suffix."""
    return {
        "text": html.escape(text),
        "showarrow": False,
        "xref": f"x{of} domain",
        "yref": f"y{of} domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
    }


def span(losses: Sequence[float]) -> list[float]:
    """The range of some losses, so that a few enormous ones do not flatten all others."""
    ordered = sorted(losses)
    low, middle, high = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    top = min(high, low + MOST_OF_LOSSES * (middle - low)) if middle > low else high
    margin = 0.05 * (top - low) or 0.05
    return [low - margin, top + margin]
