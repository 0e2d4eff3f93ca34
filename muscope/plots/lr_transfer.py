"""Loss against learning rate, a line per width, as a Plotly figure; one panel per depth."""

import html
from collections.abc import Iterator, Sequence
from typing import Any

from muscope.plots.drawing import frame
from muscope.verdicts.transfer.types import TransferJudgement, WidthOptimum

FIRST, LAST = (0x9C, 0xC4, 0xF2), (0x10, 0x3F, 0x86)
"""From the smallest width to the largest: one hue."""
MOST_OF_LOSSES = 3.0
"""The axis shows losses up to so many times the span between the best and the median."""


def summary(judged: TransferJudgement | None) -> str:
    """The figure in words."""
    return " ".join(_sentences(judged) if judged else ()) or "No run has ended yet."


def figure(judged: TransferJudgement | None) -> dict[str, Any]:
    """The Plotly figure: JSON-able, finite numbers only, every label escaped."""
    optima = judged.optima if judged else ()
    depths = sorted({one.depth for one in optima})
    widths = sorted({one.width for one in optima})
    layout: dict[str, Any] = {
        **frame(),
        "meta": {
            "panels": len(depths),
            "xTitle": "log₂(learning rate)",
            "yTitle": "loss",
            "summary": summary(judged),
        },
    }
    data: list[dict[str, Any]] = []
    for number, depth in enumerate(depths, start=1):
        own = [one for one in optima if one.depth == depth]
        suffix = "" if number == 1 else str(number)
        layout[f"xaxis{suffix}"] = {"anchor": f"y{suffix}", "title": {"text": ""}}
        layout[f"yaxis{suffix}"] = {"anchor": f"x{suffix}", "title": {"text": ""}} | _span(own)
        layout["annotations"].append(_title(f"depth {depth}", suffix))
        for one in own:
            colour = _colour(widths.index(one.width), len(widths))
            data += _traces(judged, one, colour, suffix) if judged else ()
    return {"data": data, "layout": layout}


def _traces(
    judged: TransferJudgement, one: WidthOptimum, colour: str, suffix: str
) -> Iterator[dict[str, Any]]:
    """The losses of one width, and where its optimum lies."""
    name = f"width {one.width}"
    axes = {"type": "scatter", "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "legendgroup": name}
    known = [cell for cell in one.cells if cell.loss is not None]
    yield axes | {
        "mode": "lines+markers",
        "name": html.escape(name),
        "showlegend": not suffix,
        "x": [judged.log2_rate(cell.octave) for cell in known],
        "y": [cell.loss for cell in known],
        "line": {"color": colour, "width": 1.5},
        "marker": {"size": 4, "color": colour},
        "hovertemplate": f"{name}<br>log₂(rate) %{{x:.2f}}: %{{y:.4f}}<extra></extra>",
    }
    if one.optimum is not None and known:
        yield axes | {
            "mode": "markers",
            "showlegend": False,
            "x": [judged.log2_rate(one.optimum)],
            "y": [min(cell.loss for cell in known if cell.loss is not None)],
            "marker": {"size": 9, "symbol": "diamond-open", "color": colour},
            "hovertemplate": f"{name}: optimum %{{x:.2f}}<extra></extra>",
        }


def _span(own: Sequence[WidthOptimum]) -> dict[str, Any]:
    """The range of the loss axis, so that a few enormous losses do not flatten all others."""
    losses = sorted(cell.loss for one in own for cell in one.cells if cell.loss is not None)
    if not losses:
        return {}
    low, middle, high = losses[0], losses[len(losses) // 2], losses[-1]
    top = min(high, low + MOST_OF_LOSSES * (middle - low)) if middle > low else high
    margin = 0.05 * (top - low) or 0.05
    return {"range": [low - margin, top + margin]}


def _title(text: str, suffix: str) -> dict[str, Any]:
    return {
        "text": text,
        "showarrow": False,
        "xref": f"x{suffix} domain",
        "yref": f"y{suffix} domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
    }


def _colour(place: int, count: int) -> str:
    share = place / max(1, count - 1)
    mixed = (round(a + share * (b - a)) for a, b in zip(FIRST, LAST, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _sentences(judged: TransferJudgement) -> Iterator[str]:
    for one in judged.optima:
        diverged = [cell for cell in one.cells if cell.diverged]
        where = "not bracketed"
        if one.optimum is not None:
            where = f"2^{judged.log2_rate(one.optimum):.2f}".replace("-", "−")
        bad = f", {len(diverged)} of them diverged or stopped early" if diverged else ""
        tried = f"{len(one.cells)} rates tried{bad}"
        yield f"Width {one.width}, depth {one.depth}: optimum {where}, {tried}."
