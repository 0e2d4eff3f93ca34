"""Variants beside each other as Plotly figures: panels with locked axes, and what differs.

A panel is called by the letter of its variant, which the page explains. Of learning rates there is
a line per width, of sizes a line per tensor; the differences are those of the comparison.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from muscope.plots import coordinate_check, panels
from muscope.plots.drawing import frame
from muscope.plots.shades import MEASURED
from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.comparison.types import Comparison, Difference, Quantity
from muscope.verdicts.transfer.losses import mean_curve
from muscope.verdicts.transfer.places import Place

RATE = "log₂(learning rate)"
MINUS = "\N{MINUS SIGN}"


def curves(contenders: Mapping[str, Contender]) -> dict[str, Any]:
    """Loss against learning rate: a panel per variant, and per depth or what else was varied."""
    found: list[tuple[str, dict[Place, Mapping[float, float]]]] = []
    for letter, one in contenders.items():
        means = {place: mean_curve(of) for place, of in one.curves(one.trained).items()}
        held = dict.fromkeys(place._replace(width=0) for place in means)
        for rest in held:
            own = {p: curve for p, curve in means.items() if p._replace(width=0) == rest}
            found.append((_named(letter, rest, len(held) > 1), own))
    widths = sorted({place.width for _, own in found for place in own})
    losses = [
        loss for _, own in found for c in own.values() for loss in c.values() if math.isfinite(loss)
    ]
    rates = [rate for _, own in found for curve in own.values() for rate in curve]
    layout = _layout(len(found), (RATE, "loss"), _best_of(found))
    limits = panels.span(losses) if losses else [0.0, 1.0]
    data: list[dict[str, Any]] = []
    named: set[int] = set()
    for number, (title, own) in enumerate(found, start=1):
        suffix = _panel(layout, number, title, x=_padded(rates), y=limits)
        for place, curve in own.items():
            known = {rate: loss for rate, loss in curve.items() if math.isfinite(loss)}
            colour = MEASURED.at(widths.index(place.width), len(widths))
            data.append(
                _stroke(f"width {place.width}", colour, suffix, known, shown=place.width in named)
            )
            named.add(place.width)
    return {"data": data, "layout": layout}


def at_best(comparison: Comparison, against: int) -> dict[str, Any]:
    """The difference at each one's best rate against width, of each other variant."""
    found = list(_against(comparison, against, Quantity.BEST_LOSS))
    widths = sorted({one.at.width or 0 for _, own in found for one in own})
    letter = comparison.variants[against].letter
    title = f"loss less that of {letter}"
    layout = _layout(len(found), ("width", title), _words(comparison, found, letter))
    limits = _range_of([one for _, own in found for one in own])
    data = []
    for number, (other, own) in enumerate(found, start=1):
        suffix = _panel(
            layout,
            number,
            f"{other} {MINUS} {letter}, each at its best rate",
            x=_padded([math.log2(width) for width in widths]),
            y=limits,
        )
        layout[f"xaxis{suffix}"] |= {
            "tickvals": [math.log2(width) for width in widths],
            "ticktext": [str(width) for width in widths],
        }
        data.append(_zero(suffix, [math.log2(width) for width in widths]))
        data += [
            _pointed(
                one,
                math.log2(one.at.width or 1),
                MEASURED.at(widths.index(one.at.width or 0), len(widths)),
                suffix,
            )
            for one in own
            if one.difference is not None
        ]
    return {"data": data, "layout": layout}


def at_equal_rates(comparison: Comparison, against: int) -> dict[str, Any]:
    """The difference at every rate that two variants share, a line per width."""
    found = list(_against(comparison, against, Quantity.EQUAL_RATE))
    every = [one for _, own in found for one in own]
    limits = _most_of(every)
    widths = sorted({one.at.width or 0 for one in every})
    rates = [one.at.rate or 0.0 for one in every]
    letter = comparison.variants[against].letter
    title = f"loss less that of {letter}"
    words = _words(comparison, found, letter)
    if any(abs(one.difference or 0.0) > limits[1] for one in every):
        words += " Some differences are too large to be shown."
    layout = _layout(len(found), (RATE, title), words)
    data: list[dict[str, Any]] = []
    for number, (other, own) in enumerate(found, start=1):
        suffix = _panel(
            layout,
            number,
            f"{other} {MINUS} {letter}, at equal rates",
            x=_padded(rates),
            y=limits,
        )
        data.append(_zero(suffix, sorted(set(rates))))
        for place, width in enumerate(widths):
            line = [one for one in own if one.at.width == width and one.difference is not None]
            data += _line(line, width, MEASURED.at(place, len(widths)), suffix, first=number == 1)
    return {"data": data, "layout": layout}


def _against(
    comparison: Comparison, against: int, quantity: Quantity
) -> Iterator[tuple[str, list[Difference]]]:
    """Every other variant with its differences, turned so that the one named is subtracted."""
    for pair in comparison.pairs:
        if against not in (pair.first, pair.second):
            continue
        other = pair.second if pair.first == against else pair.first
        own = [one.turned() if pair.first == against else one for one in pair.of(quantity)]
        if any(one.difference is not None for one in own):
            yield comparison.variants[other].letter, own


def _layout(count: int, titles: tuple[str, str], summary: str) -> dict[str, Any]:
    meta = {"panels": count, "xTitle": titles[0], "yTitle": titles[1], "summary": summary}
    return {**frame(), "meta": meta}


def _panel(
    layout: dict[str, Any], number: int, title: str, *, x: list[float], y: list[float]
) -> str:
    """Add a panel of that title; its axes have the ranges that all panels have."""
    suffix = panels.suffix(number)
    layout[f"xaxis{suffix}"] = {"anchor": f"y{suffix}", "title": {"text": ""}, "range": x}
    layout[f"yaxis{suffix}"] = {"anchor": f"x{suffix}", "title": {"text": ""}, "range": y}
    layout["annotations"].append(panels.title(title, suffix))
    return suffix


def _stroke(
    name: str, colour: str, suffix: str, points: Mapping[float, float], *, shown: bool
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "legendgroup": name,
        "showlegend": not shown,
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
        "x": list(points),
        "y": list(points.values()),
        "line": {"color": colour, "width": 1.5},
        "marker": {"size": 4, "color": colour},
        "hovertemplate": f"{name}<br>log₂(rate) %{{x:.2f}}: %{{y:.4f}}<extra></extra>",
    }


def _line(
    own: Sequence[Difference], width: int, colour: str, suffix: str, *, first: bool
) -> Iterator[dict[str, Any]]:
    """A band of intervals, and the differences on it."""
    with_band = [one for one in own if one.low is not None]
    axes = {"type": "scatter", "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    if len(with_band) > 1:
        rates = [one.at.rate for one in with_band]
        yield axes | {
            "mode": "lines",
            "fill": "toself",
            "fillcolor": f"{colour}24",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            "legendgroup": f"width {width}",
            "x": [*rates, *reversed(rates)],
            "y": [*(o.high for o in with_band), *(o.low for o in reversed(with_band))],
        }
    points = {one.at.rate or 0.0: one.difference or 0.0 for one in own}
    yield _stroke(f"width {width}", colour, suffix, points, shown=not first)


def _pointed(one: Difference, x: float, colour: str, suffix: str) -> dict[str, Any]:
    """One difference with its interval as a bar."""
    half = 0.0 if one.high is None or one.difference is None else one.high - one.difference
    seeds = coordinate_check.counted(one.seeds, "seed")
    return {
        "type": "scatter",
        "mode": "markers",
        "showlegend": False,
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
        "x": [x],
        "y": [one.difference],
        "error_y": {"type": "data", "array": [half], "color": colour, "thickness": 1.5, "width": 5},
        "marker": {"size": 8, "color": colour},
        "hovertemplate": f"width {one.at.width}: %{{y:.4f}} ± {half:.4f}, {seeds}<extra></extra>",
    }


def _zero(suffix: str, x: Sequence[float]) -> dict[str, Any]:
    """Where two are the same."""
    return {
        "type": "scatter",
        "mode": "lines",
        "showlegend": False,
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
        "x": [_padded(x)[0], _padded(x)[1]] if x else [],
        "y": [0, 0] if x else [],
        "line": {"color": "#8a8f98", "dash": "dash", "width": 1},
        "hoverinfo": "skip",
    }


def _named(letter: str, rest: Place, several: bool) -> str:
    if not several:
        return letter
    held = {
        name: value for name, value in rest._asdict().items() if name not in ("variant", "width")
    }
    said = (
        f"{name.replace('_', ' ')} {value}" for name, value in held.items() if value is not None
    )
    return f"{letter}, {', '.join(said)}"


def _best_of(found: Sequence[tuple[str, Mapping[Place, Mapping[float, float]]]]) -> str:
    """The best cell of every panel, in words."""
    said = []
    for title, own in found:
        cells = [
            (loss, place.width, rate)
            for place, curve in own.items()
            for rate, loss in curve.items()
            if math.isfinite(loss)
        ]
        if cells:
            loss, width, rate = min(cells)
            at = f"{rate:.2f}".replace("-", MINUS)
            said.append(f"{title}: least loss {loss:.4f}, at width {width} and rate 2^{at}.")
    return " ".join(said) or "No run has ended yet."


def _words(
    comparison: Comparison, found: Sequence[tuple[str, list[Difference]]], letter: str
) -> str:
    if not found:
        return "No difference is known yet."
    seeds = sorted({one.seeds for _, own in found for one in own if one.low is not None})
    shown = " to ".join(map(str, dict.fromkeys([*seeds[:1], *seeds[-1:]])))
    intervals = f"90 % intervals over {shown} seeds." if seeds else "One seed gives no interval."
    others = ", ".join(other for other, _ in found)
    return f"{others}, each less {letter}: below the dashed line the loss is lower. {intervals}"


def _range_of(found: Sequence[Difference]) -> list[float]:
    """All differences and zero; intervals as far as three times beyond them."""
    values = [abs(one.difference) for one in found if one.difference is not None]
    ends = [max(abs(one.low or 0.0), abs(one.high or 0.0)) for one in found]
    largest = max(values, default=0.0)
    largest = max(largest, min(max(ends, default=0.0), 3 * largest)) or 0.01
    return [-1.08 * largest, 1.08 * largest]


def _most_of(found: Sequence[Difference]) -> list[float]:
    """Of differences up to so many times their median: where one nearly diverged they are huge."""
    values = [abs(one.difference) for one in found if one.difference is not None]
    most = min(max(values), panels.MOST_OF_LOSSES * statistics.median(values)) if values else 0.0
    return [-1.08 * (most or 0.01), 1.08 * (most or 0.01)]


def _padded(values: Sequence[float]) -> list[float]:
    if not values:
        return [0, 1]
    margin = 0.06 * (max(values) - min(values)) or 0.5
    return [min(values) - margin, max(values) + margin]
