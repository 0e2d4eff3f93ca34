"""Loss against learning rate as a Plotly figure: a line per place on an axis, all else a panel."""

import html
from collections.abc import Iterator, Sequence
from typing import Any

from muscope.plots import panels
from muscope.plots.drawing import frame
from muscope.plots.shades import MEASURED
from muscope.verdicts.transfer.types import TransferJudgement, WidthOptimum
from muscope.verdicts.transfer.words import at
from muscope.vocabulary import Axis

LOSS_TITLES = {"held_out": "held-out loss", "training": "training loss", None: "loss"}


def summary(judged: TransferJudgement | None) -> str:
    """The figure in words."""
    return " ".join(_sentences(judged) if judged else ()) or "No run has ended yet."


def figure(judged: TransferJudgement | None, axis: Axis | None = None) -> dict[str, Any]:
    """The Plotly figure: JSON-able, finite numbers only, every label escaped.

    Its lines lie along an axis of the study; without one, along that which the study asks about.
    """
    layout: dict[str, Any] = {
        **frame(),
        "meta": {
            "panels": 0,
            "xTitle": "log₂(learning rate)",
            "yTitle": LOSS_TITLES[judged.judged_on if judged else None],
            "summary": summary(judged),
        },
    }
    data: list[dict[str, Any]] = []
    if judged is None:
        return {"data": data, "layout": layout}
    along = axis if axis in judged.axes else judged.axis
    places = list(dict.fromkeys(judged.where(one, along) for one in judged.optima))
    values = sorted({one.on(along) for one in judged.optima})
    layout["meta"]["panels"], span = len(places), _span(judged.optima)
    for number, place in enumerate(places, start=1):
        own = [one for one in judged.optima if judged.where(one, along) == place]
        suffix = panels.suffix(number)
        shared = {"matches": "x"} if suffix else {}
        layout[f"xaxis{suffix}"] = {"anchor": f"y{suffix}", "title": {"text": ""}, **shared}
        layout[f"yaxis{suffix}"] = {"anchor": f"x{suffix}", "title": {"text": ""}} | span
        layout["annotations"].append(panels.title(place, suffix))
        for one in own:
            shade = MEASURED.at(values.index(one.on(along)), len(values))
            data += _traces(judged, one, at(along, one.on(along)), shade, suffix)
    return {"data": data, "layout": layout}


def _traces(
    judged: TransferJudgement, one: WidthOptimum, name: str, shade: str, suffix: str
) -> Iterator[dict[str, Any]]:
    """The losses of one place, and where its optimum lies."""
    axes = {"type": "scatter", "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "legendgroup": name}
    known = [cell for cell in one.cells if cell.loss is not None]
    yield axes | {
        "mode": "lines+markers",
        "name": html.escape(name),
        "showlegend": not suffix,
        "x": [judged.log2_rate(cell.octave) for cell in known],
        "y": [cell.loss for cell in known],
        "line": {"color": shade, "width": 1.5},
        "marker": {"size": 4, "color": shade},
        "hovertemplate": f"{name}<br>log₂(rate) %{{x:.2f}}: %{{y:.4f}}<extra></extra>",
    }
    if one.optimum is not None and known:
        yield axes | {
            "mode": "markers",
            "showlegend": False,
            "x": [judged.log2_rate(one.optimum)],
            "y": [min(cell.loss for cell in known if cell.loss is not None)],
            "marker": {"size": 9, "symbol": "diamond-open", "color": shade},
            "hovertemplate": f"{name}: optimum %{{x:.2f}}<extra></extra>",
        }


def _span(own: Sequence[WidthOptimum]) -> dict[str, Any]:
    """The range of the loss axis: all panels have the same, only the first of a row says it."""
    losses = [cell.loss for one in own for cell in one.cells if cell.loss is not None]
    return {"range": panels.span(losses)} if losses else {}


def _sentences(judged: TransferJudgement) -> Iterator[str]:
    for one in judged.optima:
        diverged = sum(cell.diverged > 0 for cell in one.cells)
        stopped = sum(cell.stopped > 0 and not cell.diverged for cell in one.cells)
        where = "not bracketed"
        if one.optimum is not None:
            where = f"2^{judged.log2_rate(one.optimum):.2f}".replace("-", "−")
        counts = ((diverged, "diverged"), (stopped, "stopped early"))
        bad = (f"{count} {word}" for count, word in counts if count)
        tried = ", ".join((f"{len(one.cells)} rates tried", *bad))
        place = f"{at(judged.axis, one.on(judged.axis))}, {judged.where(one, judged.axis)}"
        yield f"{place[0].upper()}{place[1:]}: optimum {where}, {tried}."
