"""What a source printed of its learning rates: over our figures, clearly marked, and by itself.

Losses of another model on other data say nothing beside ours, but base learning rates do: so only
the optima are laid over ours. Their losses have a figure of their own.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from muscope.plots import panels
from muscope.plots.drawing import frame
from muscope.plots.shades import PUBLISHED
from muscope.presets.published import Curve, PublishedRates
from muscope.verdicts.transfer.optimum import best, optimum
from muscope.vocabulary import Axis

SHADE = "#b4641a"
HIGHEST = 0.5
"""Nats above the worst of the best losses of all widths that their figure shows."""
MARGIN = 0.1
"""Of a range, beyond what it has to hold."""


def summary(published: PublishedRates) -> str:
    """The figure in words."""
    return " ".join((f"Published: {published.title}.", *_sentences(published)))


def over_losses(figure: dict[str, Any], published: PublishedRates | None) -> dict[str, Any]:
    """A figure of losses with the published optima at the lower edge of its first panel."""
    layout = figure["layout"]
    if published is None or not layout["meta"]["panels"] or "range" not in layout.get("yaxis", {}):
        return figure
    points = list(_best_rates(published))
    low, high = layout["yaxis"]["range"]
    trace = _look("published optima") | {
        "xaxis": "x",
        "yaxis": "y",
        "x": [rate for _, rate in points],
        "y": [low + 0.03 * (high - low)] * len(points),
        "text": [where for where, _ in points],
        "hovertemplate": "published: %{text}, log₂(rate) %{x:.2f}<extra></extra>",
    }
    return _with(figure, trace, published) if points else figure


def over_optima(figure: dict[str, Any], published: PublishedRates | None) -> dict[str, Any]:
    """A figure of optima over width with the published ones in its first panel."""
    if published is None:
        return figure
    layout = figure["layout"]
    found = {width: at for width, at in _optima(published) if at is not None}
    if not layout["meta"]["panels"] or layout["meta"]["xTitle"] != Axis.WIDTH.value or not found:
        return figure
    trace = _look("published") | {
        "xaxis": "x",
        "yaxis": "y",
        "mode": "lines+markers",
        "line": {"color": SHADE, "width": 1, "dash": "dot"},
        "x": list(found),
        "y": list(found.values()),
        "hovertemplate": "published, width %{x}: %{y:.2f}<extra></extra>",
    }
    ticks = sorted({*layout["xaxis"].get("tickvals", ()), *found})
    named = {"tickvals": ticks, "ticktext": [str(tick) for tick in ticks]}
    across = {"xaxis": _holding(layout["xaxis"], map(math.log10, found)) | named}
    # panels side by side share the numbers of one vertical axis
    heights = {
        name: _holding(axis, found.values())
        for name, axis in layout.items()
        if name.startswith("yaxis")
    }
    drawn = _with(figure, trace, published)
    return drawn | {"layout": drawn["layout"] | across | heights}


def figure(published: PublishedRates) -> dict[str, Any]:
    """The published losses as ours are drawn, in dashes: JSON-able, finite numbers only."""
    widths = list(published.losses)
    least = min(min(curve.values()) for curve in published.losses.values())
    highest = max(max(curve.values()) for curve in published.losses.values())
    top = min(highest, max(min(curve.values()) for curve in published.losses.values()) + HIGHEST)
    layout: dict[str, Any] = {
        **frame(),
        "meta": {
            "panels": 1,
            "xTitle": "log₂(learning rate)",
            "yTitle": "published loss",
            "summary": summary(published),
        },
        "xaxis": {"anchor": "y", "title": {"text": ""}},
        "yaxis": {"anchor": "x", "title": {"text": ""}},
    }
    margin = 0.05 * (top - least)
    layout["yaxis"]["range"] = [least - margin, top + margin]
    layout["annotations"].append(panels.title(published.title, ""))
    data = [
        trace
        for place, width in enumerate(widths)
        for trace in _traces(width, published.losses[width], PUBLISHED.at(place, len(widths)))
    ]
    return {"data": data, "layout": layout}


def _traces(width: int, curve: Curve, shade: str) -> Iterator[dict[str, Any]]:
    axes = {"type": "scatter", "xaxis": "x", "yaxis": "y", "legendgroup": str(width)}
    yield axes | {
        "mode": "lines+markers",
        "name": f"published, width {width}",
        "x": list(curve),
        "y": list(curve.values()),
        "line": {"color": shade, "width": 1.5, "dash": "dash"},
        "marker": {"size": 4, "color": shade},
        "hovertemplate": f"published, width {width}<br>%{{x}}: %{{y:.3f}}<extra></extra>",
    }
    vertex = optimum(curve)
    if vertex is not None:
        yield axes | {
            "mode": "markers",
            "showlegend": False,
            "x": [vertex],
            "y": [min(curve.values())],
            "marker": {"size": 9, "symbol": "diamond-open", "color": shade},
            "hovertemplate": f"published, width {width}: optimum %{{x:.2f}}<extra></extra>",
        }


def _holding(axis: dict[str, Any], values: Iterable[float]) -> dict[str, Any]:
    """An axis whose range, if it has one, is wide enough for these values too."""
    if "range" not in axis:
        return axis
    low, high = axis["range"]
    least, most = min(known := [low, high, *values]), max(known)
    margin = MARGIN * (most - least)
    low, high = (low if least == low else least - margin), (high if most == high else most + margin)
    return axis | {"range": [low, high]}


def _look(name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "marker": {"size": 9, "symbol": "triangle-up-open", "color": SHADE},
    }


def _with(
    figure: dict[str, Any], trace: dict[str, Any], published: PublishedRates
) -> dict[str, Any]:
    """The figure with one trace more, and with words for it."""
    meta = figure["layout"]["meta"]
    told = f"{meta['summary']} {summary(published)}"
    return {
        "data": [*figure["data"], trace],
        "layout": figure["layout"] | {"meta": meta | {"summary": told}},
    }


def _best_rates(published: PublishedRates) -> Iterator[tuple[str, float]]:
    """Every optimum that is bracketed; and the one rate of sources that print no losses."""
    for width, found in _optima(published):
        if found is not None:
            yield f"width {width}", found
    if published.rate is not None:
        yield "every size", math.log2(published.rate)


def _optima(published: PublishedRates) -> Iterator[tuple[int, float | None]]:
    for width, curve in published.losses.items():
        yield width, optimum(curve)


def _sentences(published: PublishedRates) -> Iterator[str]:
    for width, found in _optima(published):
        where = best(published.losses[width])
        if found is not None:
            yield f"Width {width}: optimum {_power(found)}."
        elif where is not None:
            yield f"Width {width}: best at {_power(where)}, the edge of its grid."
    if published.rate is not None:
        yield f"Best at every size: {_power(math.log2(published.rate))}."


def _power(octave: float) -> str:
    return f"2^{octave:.2f}".replace("-", "−")
