"""A coordinate check as a Plotly figure: small multiples by step, both axes on log2 scale."""

import html
import math
from collections.abc import Iterator, Sequence
from typing import Any

from muscope.plots import panels
from muscope.plots.coordinate_check import (
    CoordinateCheckInfo,
    Line,
    Panel,
    axis_words,
    counted,
    exponent,
    summary,
)
from muscope.vocabulary import Role, Statistic

SMALLEST_SPAN = 3.0
"""Octaves that a vertical axis spans at least, so that what is flat looks flat."""

MAX_TICKS = 8

ROLE_COLOURS = {
    Role.EMBEDDING: "#1b9e77",
    Role.HIDDEN: "#3b7dd8",
    Role.RESIDUAL: "#8e6bd1",
    Role.ATTENTION_LOGITS: "#d1622b",
    Role.OUTPUT: "#b58a00",
}
STATISTIC_AXES = {
    Statistic.L1: "mean |x|",
    Statistic.RMS: "root mean square of x",
    Statistic.CHANGE: "mean |xₜ − x₀|",
    Statistic.MEAN: "|mean of x|",
    Statistic.MAX_ABS: "max |x|",
    Statistic.CONTRIBUTION: "mean |A (Wₜ − W₀) x₀|",
    Statistic.SPECTRAL: "‖A W‖ ∕ √(fan_out ∕ fan_in)",
    Statistic.STABLE_RANK: "‖W‖²F ∕ ‖W‖²",
    Statistic.ALIGN_W: "|alignment of Wₜ − W₀ and x₀|",
    Statistic.ALIGN_X: "|alignment of W₀ and xₜ − x₀|",
    Statistic.ALIGN_WX: "|alignment of Wₜ − W₀ and xₜ − x₀|",
    Statistic.UNDERFLOW: "share that underflows",
    Statistic.OVERFLOW: "share that overflows",
}

# Plotly writes <sup> with an inline style, which the page's content security policy refuses
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figure(info: CoordinateCheckInfo) -> dict[str, Any]:
    """The Plotly figure: JSON-able, finite numbers only, every label escaped."""
    # plotly costs 0.2 s and 28 MB: whoever draws no figure does not pay for it
    import plotly.graph_objects as go

    drawn = go.Figure()
    hover = f"%{{text}}<br>{axis_words(info.axis)} %{{x}}: %{{y:.4g}}<extra></extra>"
    shown: set[Role] = set()
    for number, panel in enumerate(info.panels, start=1):
        axes = {"xaxis": _axis("x", number), "yaxis": _axis("y", number)}
        for role, lines in _by_role(panel):
            colour = ROLE_COLOURS.get(role, "#777777")
            drawn.add_trace(go.Scatter(**_band(lines), **axes, **_look_of_band(role, colour)))
            drawn.add_trace(
                go.Scatter(
                    **_strokes(lines),
                    **axes,
                    mode="lines+markers",
                    name=role.value.replace("_", " "),
                    legendgroup=role.value,
                    showlegend=role not in shown,
                    line={"color": colour, "width": 1.5},
                    marker={"size": 4, "color": colour},
                    hovertemplate=hover,
                )
            )
            shown.add(role)
    if len(info.with_theory) == 1:
        _add_theory(drawn, info)
    drawn.update_layout(_layout(info))
    result: dict[str, Any] = drawn.to_dict()
    return result


def _axis(letter: str, number: int) -> str:
    return f"{letter}{panels.suffix(number)}"


def plotly_figure(drawn: dict[str, Any]) -> Any:
    """The same as an object of Plotly, which a notebook shows by itself."""
    import plotly.graph_objects as go  # as above

    return go.Figure(drawn)


def _by_role(panel: Panel) -> Iterator[tuple[Role, list[Line]]]:
    for role in Role:
        lines = [line for line in panel.lines if line.role is role]
        if lines:
            yield role, lines


def _strokes(lines: Sequence[Line]) -> dict[str, list[Any]]:
    """All lines of a role as one trace, with gaps between them: far fewer traces to draw."""
    x: list[int | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    for line in lines:
        label = html.escape(line.tensor)
        for point in line.points:
            x.append(point.at)
            y.append(point.mean if math.isfinite(point.mean) and point.mean > 0 else None)
            bends = ", bends" if line.bends else ""
            text.append(f"{label}{bends} · {counted(point.seeds, 'seed')}")
        x.append(None)
        y.append(None)
        text.append(None)
    return {"x": x, "y": y, "text": text}


def _band(lines: Sequence[Line]) -> dict[str, list[Any]]:
    """The range over seeds of each line, as closed outlines with gaps between them."""
    x: list[int | None] = []
    y: list[float | None] = []
    for line in lines:
        points = [p for p in line.drawn if p.low > 0]
        x += [*(p.at for p in points), *(p.at for p in reversed(points)), None]
        y += [*(p.high for p in points), *(p.low for p in reversed(points)), None]
    return {"x": x, "y": y}


def _look_of_band(role: Role, colour: str) -> dict[str, Any]:
    return {
        "mode": "lines",
        "fill": "toself",
        "fillcolor": f"{colour}24",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "legendgroup": role.value,
        "showlegend": False,
    }


def _add_theory(drawn: Any, info: CoordinateCheckInfo) -> None:
    """One dashed line per panel: theory's exponent through the middle of what was measured."""
    named = False
    for number, panel in enumerate(info.panels, start=1):
        for line in panel.lines:
            if line.expected is None or not line.drawn:
                continue
            drawn.add_scatter(
                **_theory(line, line.expected),
                xaxis=_axis("x", number),
                yaxis=_axis("y", number),
                mode="lines",
                name="theory",
                legendgroup="theory",
                showlegend=not named,
                line={"dash": "dash", "width": 1.5, "color": "#8a8f98"},
                hovertemplate=f"theory: exponent {exponent(line.expected)}<extra></extra>",
            )
            named = True


def _theory(line: Line, slope: float) -> dict[str, list[float]]:
    logs = [(math.log2(p.at), math.log2(p.mean)) for p in line.drawn]
    centre_x = sum(x for x, _ in logs) / len(logs)
    centre_y = sum(y for _, y in logs) / len(logs)
    return {
        "x": [p.at for p in line.drawn],
        "y": [2 ** (centre_y + slope * (x - centre_x)) for x, _ in logs],
    }


def frame() -> dict[str, Any]:
    """What the layout of every figure has: room for its legend, and the page's own background."""
    return {
        "legend": {"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0},
        "margin": {"l": 52, "r": 12, "t": 64, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "dragmode": False,
        "annotations": [],
    }


def _layout(info: CoordinateCheckInfo) -> dict[str, Any]:
    layout: dict[str, Any] = {
        **frame(),
        # the page arranges panels into as many columns as it has room for
        "meta": {
            "panels": len(info.panels),
            "row": len({panel.step for panel in info.panels}),
            "xTitle": axis_words(info.axis),
            "yTitle": STATISTIC_AXES[info.statistic],
            "summary": summary(info),
        },
    }
    ticks, limits = _powers_of_two(info)
    places = _ticks(info.places)
    for number, panel in enumerate(info.panels, start=1):
        name = panels.suffix(number)
        layout[f"xaxis{name}"] = {
            "type": "log",
            "tickvals": places,
            "ticktext": [str(place) for place in places],
            "range": _padded(math.log10(info.places[0]), math.log10(info.places[-1])),
            "anchor": _axis("y", number),
            "title": {"text": axis_words(info.axis)},
        }
        layout[f"yaxis{name}"] = {
            "type": "log",
            "tickvals": [2.0**power for power in ticks],
            "ticktext": [f"2{str(power).translate(SUPERSCRIPTS)}" for power in ticks],
            "range": limits,
            "anchor": _axis("x", number),
        }
        layout["annotations"].append(panels.title(info.words(panel), name))
    return layout


def _ticks(places: Sequence[int]) -> list[int]:
    """The places on the axis; of many, the powers of two among them and between."""
    if len(places) <= MAX_TICKS:
        return list(places)
    first, last = math.ceil(math.log2(places[0])), math.floor(math.log2(places[-1]))
    return [2**power for power in range(first, last + 1)]


def _powers_of_two(info: CoordinateCheckInfo) -> tuple[list[int], list[float]]:
    """Ticks at powers of two, at most eight, and the range that all panels share."""
    values = [
        value
        for line in info.lines
        for point in line.drawn
        for value in (point.low, point.mean, point.high)
        if value > 0
    ]
    if not values:
        return [0], [-0.5, 0.5]
    low, high = math.log2(min(values)), math.log2(max(values))
    short = max(0.0, SMALLEST_SPAN - (high - low))
    low, high = low - short / 2, high + short / 2
    stride = max(1, math.ceil((high - low) / 8))
    first = math.floor(low / stride) * stride
    ticks = list(range(first, math.ceil(high) + stride, stride))
    return ticks, _padded(low * math.log10(2), high * math.log10(2))


def _padded(low: float, high: float) -> list[float]:
    margin = max(0.06 * (high - low), 0.02)
    return [low - margin, high + margin]
