"""The best learning rate against an axis as a Plotly figure: with its interval, and its slope."""

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from muscope.plots import panels
from muscope.plots.drawing import frame
from muscope.plots.shades import MEASURED
from muscope.verdicts.transfer.types import Drift, TransferJudgement, WidthOptimum
from muscope.verdicts.transfer.words import at, doubling, noun
from muscope.vocabulary import Axis

SHADE = MEASURED.at(1, 2)
MARGIN = 0.05
"""Decades beside the first and the last place."""
LEAST_SPAN = 2.0
"""Octaves that the axis of the rates shows at least."""
GREY = "#8a8f98"
"""Of what is expected: it is drawn, not measured."""


def summary(judged: TransferJudgement | None, axis: Axis | None = None) -> str:
    """The figure in words."""
    if judged is None:
        return "No run has ended yet."
    return " ".join(_sentences(judged, _along(judged, axis)))


def figure(judged: TransferJudgement | None, axis: Axis | None = None) -> dict[str, Any]:
    """The Plotly figure: a panel per drift, the fitted line through the optima, dashed what is
    expected, through their middle.
    """
    along = _along(judged, axis)
    drifts = judged.drifts_on(along) if judged else ()
    shown = [drift for drift in drifts if judged and _optima(judged, drift)]
    layout: dict[str, Any] = {
        **frame(),
        "meta": {
            "panels": len(shown),
            "xTitle": noun(along),
            "yTitle": "log₂(best learning rate)",
            "summary": summary(judged, axis),
        },
    }
    data: list[dict[str, Any]] = []
    # the same for all: only the first of a row says its numbers
    span = _span(judged, shown)
    for number, drift in enumerate(shown, start=1):
        suffix = panels.suffix(number)
        layout[f"yaxis{suffix}"] = {"anchor": f"x{suffix}", "title": {"text": ""}, "range": span}
        if judged:
            layout[f"xaxis{suffix}"] = _scale(_values(judged, drift), suffix)
            words = judged.where(drift, drift.axis)
            layout["annotations"].append(panels.title(words, suffix))
            data += _traces(judged, drift, suffix)
    return {"data": data, "layout": layout}


def _along(judged: TransferJudgement | None, axis: Axis | None) -> Axis:
    if judged is None:
        return Axis.WIDTH
    return axis if axis in judged.axes else judged.axis


def _optima(judged: TransferJudgement, drift: Drift) -> list[WidthOptimum]:
    """Those of a drift that are known, along its axis."""
    where = judged.where(drift, drift.axis)
    known = (one for one in judged.optima if one.optimum is not None)
    own = [one for one in known if judged.where(one, drift.axis) == where]
    return sorted(own, key=lambda one: one.on(drift.axis))


def _values(judged: TransferJudgement, drift: Drift) -> list[int]:
    """The places on the axis; an old judgement does not say them."""
    return list(drift.values) or sorted({one.on(drift.axis) for one in judged.optima})


def _scale(values: Sequence[int], suffix: str) -> dict[str, Any]:
    """A log2 axis whose ticks are the places of the grid."""
    return {
        "type": "log",
        "anchor": f"y{suffix}",
        "title": {"text": ""},
        "range": [math.log10(values[0]) - MARGIN, math.log10(values[-1]) + MARGIN],
        "tickvals": list(values),
        "ticktext": [str(value) for value in values],
    }


def _traces(judged: TransferJudgement, drift: Drift, suffix: str) -> Iterator[dict[str, Any]]:
    own, places = _optima(judged, drift), _values(judged, drift)
    x = [one.on(drift.axis) for one in own]
    y = [judged.log2_rate(one.optimum) for one in own if one.optimum is not None]
    axes = {"type": "scatter", "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    yield axes | {
        "mode": "markers",
        "name": "optimum, 90 % interval",
        "showlegend": not suffix,
        "x": x,
        "y": y,
        "error_y": {"type": "data", "array": _reach(own), "color": SHADE, "width": 4},
        "marker": {"size": 8, "symbol": "diamond-open", "color": SHADE},
        "hovertemplate": f"{noun(drift.axis)} %{{x}}: %{{y:.2f}}<extra></extra>",
    }
    if drift.slope is not None:
        yield axes | {
            "mode": "lines",
            "name": "fitted",
            "showlegend": not suffix,
            "x": places,
            "y": _line(places, x, y, drift.slope),
            "line": {"color": SHADE, "width": 1.5},
            "hoverinfo": "skip",
        }
    if drift.expected is not None:
        yield axes | {
            "mode": "lines",
            "name": "expected",
            "showlegend": not suffix,
            "x": places,
            "y": _line(places, x, y, drift.expected),
            "line": {"color": GREY, "width": 1.5, "dash": "dash"},
            "hoverinfo": "skip",
        }


def _reach(own: Sequence[WidthOptimum]) -> list[float | None]:
    """Half the interval of each; nothing where there is none."""
    return [
        None if one.low is None or one.high is None else (one.high - one.low) / 2 for one in own
    ]


def _span(judged: TransferJudgement | None, drifts: Sequence[Drift]) -> list[float]:
    """The range of the rates with all intervals, two octaves at least: less looks like a drift."""
    shown = [one for drift in drifts if judged for one in _optima(judged, drift)]
    ends = [value for one in shown for value in (one.optimum, one.low, one.high)]
    known = [judged.log2_rate(value) for value in ends if judged and value is not None]
    if not known:
        return [-1.0, 1.0]
    low, high = min(known), max(known)
    margin = max(0.1 * (high - low), (LEAST_SPAN - (high - low)) / 2)
    return [low - margin, high + margin]


def _line(places: Sequence[int], x: Sequence[int], y: Sequence[float], slope: float) -> list[float]:
    """A straight line of this slope through the middle of the points."""
    middle = statistics.fmean(map(math.log2, x))
    height = statistics.fmean(y)
    return [height + slope * (math.log2(value) - middle) for value in places]


def _sentences(judged: TransferJudgement, axis: Axis) -> Iterator[str]:
    for drift in judged.drifts_on(axis):
        where = judged.where(drift, axis)
        start = f"{where[0].upper()}{where[1:]}"
        missing = [
            value
            for value in _values(judged, drift)
            if value not in {one.on(axis) for one in _optima(judged, drift)}
        ]
        if missing:
            yield f"{start}: no optimum at {at(axis, *missing)}."
        elif drift.slope is not None:
            slope = f"{drift.slope:+.2f}".replace("-", "−")
            yield f"{start}: {slope} octaves per {doubling(axis)}."
