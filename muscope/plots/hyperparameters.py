"""A hyperparameter search as Plotly figures: over each value, over pairs, and over widths."""

import html
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, Literal, TypeAlias

from muscope.plots import panels
from muscope.plots.drawing import frame
from muscope.plots.shades import MEASURED
from muscope.verdicts.hyperparameters.types import JudgedSet, SearchJudgement

Shown: TypeAlias = Literal["values", "pairs", "widths"]
"""Loss over the octaves of each hyperparameter, over those of two, or at a larger width."""

MOST_PAIRS = 15
"""Panels of pairs: those of six hyperparameters."""
LOST = "#b3402e"
WINNER = "#d1622b"


def figure(judged: SearchJudgement | None, shown: Shown) -> dict[str, Any]:
    """The Plotly figure: JSON-able, finite numbers only, every label escaped."""
    layout: dict[str, Any] = {
        **frame(),
        "showlegend": False,
        "meta": {
            "panels": 0,
            "xTitle": "octaves from what was given",
            "yTitle": {"values": "loss", "pairs": "octaves of the second"}.get(
                shown, "loss at the larger width"
            ),
            "summary": summary(judged, shown),
        },
    }
    data: list[dict[str, Any]] = []
    if judged is None or not judged.widths:
        return {"data": data, "layout": layout}
    if shown == "widths":
        layout["meta"]["xTitle"] = f"loss at width {judged.widths[0]}"
    for number, (title, traces, axes) in enumerate(_panels(judged, shown), start=1):
        suffix = panels.suffix(number)
        layout["meta"]["panels"] = number
        layout[f"xaxis{suffix}"] = {"anchor": f"y{suffix}"} | axes.get("x", {})
        layout[f"yaxis{suffix}"] = {"anchor": f"x{suffix}"} | axes.get("y", {})
        layout["annotations"].append(panels.title(title, suffix))
        for trace in traces:
            data.append({"type": "scatter", "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"} | trace)
    return {"data": data, "layout": layout}


def summary(judged: SearchJudgement | None, shown: Shown) -> str:
    """The figure in words."""
    if judged is None or not judged.widths:
        return "No run has ended yet."
    lost = sum(_loss(of, judged.widths[0]) is None for of in judged.sets)
    left_out = f"; {lost} of them without a loss" if lost else ""
    sets = f"{len(judged.sets)} sets at width {judged.widths[0]}{left_out}"
    match shown:
        case "values":
            own = "One point per set"
            if judged.method == "independent":
                own = "In each panel one hyperparameter moves alone"
            return f"{sets}. {own}; darker is better, the winner is ringed."
        case "pairs":
            return f"{sets}. Darker is better; crosses diverged; the winner is ringed."
        case "widths":
            return " ".join(_on_widths(judged)) or "No larger width has been tried yet."


def _on_widths(judged: SearchJudgement) -> Iterator[str]:
    for one in judged.agreements:
        words = f"Width {one.width}: {one.sets} sets"
        if one.correlation is not None:
            words += f", correlation of ranks {one.correlation:.2f}"
        yield f"{words}."


Panel: TypeAlias = tuple[str, Sequence[dict[str, Any]], dict[str, dict[str, Any]]]


def _panels(judged: SearchJudgement, shown: Shown) -> Iterator[Panel]:
    match shown:
        case "values":
            yield from _over_values(judged)
        case "pairs":
            yield from _over_pairs(judged)
        case "widths":
            yield from _over_widths(judged)


def _over_values(judged: SearchJudgement) -> Iterator[Panel]:
    width = judged.widths[0]
    known = _known(judged, width)
    axis = {"y": _span([loss for _, loss in known])}
    for name in judged.names:
        # of a search one by one only those are its line that differ in nothing else
        own = _line(judged, name, known) if judged.method == "independent" else known
        at = _octave_of(name)
        points = _points(judged, own, at, lambda _, loss: loss)
        yield _words(name), [points, *_ring(judged, own, at, lambda _, loss: loss)], axis


def _line(
    judged: SearchJudgement, name: str, known: Sequence[tuple[JudgedSet, float]]
) -> list[tuple[JudgedSet, float]]:
    """The sets of its own sweep, and the winner's."""
    others = [other for other in judged.names if other not in (name, judged.names[0])]
    found = []
    for of, loss in known:
        octaves = of.hyperparameters.octaves
        is_own = not any(octaves[other] for other in others)
        is_rate = name == judged.names[0]
        if of.number == judged.winner or (is_own and (is_rate or _at_best_rate(judged, of))):
            found.append((of, loss))
    return found


def _at_best_rate(judged: SearchJudgement, of: JudgedSet) -> bool:
    """Whether the multipliers were swept at its learning rate."""
    rates = {
        one.hyperparameters.octaves[judged.names[0]]
        for one in judged.sets
        if any(one.hyperparameters.octaves[name] for name in judged.names[1:])
    }
    return not rates or of.hyperparameters.octaves[judged.names[0]] in rates


def _over_pairs(judged: SearchJudgement) -> Iterator[Panel]:
    width = judged.widths[0]
    known = _known(judged, width)
    lost = [of for of in judged.sets if _loss(of, width) is None]
    reach = [at for of in judged.sets for at in of.hyperparameters.octaves.values()]
    axis = {"y": {"range": [min(reach) - 0.5, max(reach) + 0.5]}}
    for one, other in list(combinations(judged.names, 2))[:MOST_PAIRS]:
        own = known
        if judged.method == "pairwise":
            rest = [name for name in judged.names if name not in (one, other)]
            own = [(of, loss) for of, loss in known if _is_given(of, rest)]
        x, y = _octave_of(one), _octave_of(other)
        crosses = {
            "mode": "markers",
            "x": [of.hyperparameters.octaves[one] for of in lost],
            "y": [of.hyperparameters.octaves[other] for of in lost],
            "marker": {"symbol": "x", "size": 6, "color": LOST},
            "hovertemplate": "diverged<extra></extra>",
        }
        traces = [_points(judged, own, x, y, size=11), crosses, *_ring(judged, own, x, y)]
        yield f"{_words(one)} × {_words(other)}", traces, axis


def _over_widths(judged: SearchJudgement) -> Iterator[Panel]:
    small = judged.widths[0]
    both = {
        width: [
            (of, loss, large)
            for of, loss in _known(judged, small)
            if (large := _loss(of, width)) is not None
        ]
        for width in judged.widths[1:]
    }
    axes = {
        "x": _span([loss for own in both.values() for _, loss, _ in own]),
        "y": _span([large for own in both.values() for _, _, large in own]),
    }
    for width, own in both.items():
        at = {of.number: large for of, _, large in own}
        known = [(of, loss) for of, loss, _ in own]
        x: _Place = _loss_itself
        y = _looked_up(at)
        traces = [_points(judged, known, x, y, size=8), *_ring(judged, known, x, y)]
        yield f"width {width}", traces, axes


_Place: TypeAlias = Callable[[JudgedSet, float], float]


def _octave_of(name: str) -> _Place:
    return lambda of, _: of.hyperparameters.octaves[name]


def _loss_itself(of: JudgedSet, loss: float) -> float:
    return loss


def _looked_up(values: dict[int, float]) -> _Place:
    return lambda of, _: values[of.number]


def _points(
    judged: SearchJudgement,
    own: Sequence[tuple[JudgedSet, float]],
    x: _Place,
    y: _Place,
    *,
    size: int = 6,
) -> dict[str, Any]:
    """One marker per set, the darker the less it loses."""
    losses = sorted(loss for _, loss in own)
    return {
        "mode": "markers",
        "x": [x(of, loss) for of, loss in own],
        "y": [y(of, loss) for of, loss in own],
        "text": [_hover(judged, of, loss) for of, loss in own],
        "marker": {"size": size, "color": [_colour(loss, losses) for _, loss in own]},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _ring(
    judged: SearchJudgement, own: Sequence[tuple[JudgedSet, float]], x: _Place, y: _Place
) -> Iterator[dict[str, Any]]:
    for of, loss in own:
        if of.number == judged.winner:
            yield {
                "mode": "markers",
                "x": [x(of, loss)],
                "y": [y(of, loss)],
                "marker": {
                    "size": 15,
                    "symbol": "circle-open",
                    "color": WINNER,
                    "line": {"width": 2},
                },
                "hoverinfo": "skip",
            }


def _hover(judged: SearchJudgement, of: JudgedSet, loss: float) -> str:
    values = of.hyperparameters.values
    lines = [
        f"set {of.number}: {loss:.4f}",
        *(f"{_words(n)} {values[n]:.4g}" for n in judged.names),
    ]
    return "<br>".join(html.escape(line) for line in lines)


def _known(judged: SearchJudgement, width: int) -> list[tuple[JudgedSet, float]]:
    found = ((of, _loss(of, width)) for of in judged.sets)
    return [(of, loss) for of, loss in found if loss is not None and math.isfinite(loss)]


def _loss(of: JudgedSet, width: int) -> float | None:
    at = of.at(width)
    return at.loss if at else None


def _is_given(of: JudgedSet, names: Sequence[str]) -> bool:
    return all(of.hyperparameters.octaves[name] == 0 for name in names)


def _span(losses: Sequence[float]) -> dict[str, Any]:
    return {"range": panels.span(losses)} if losses else {}


def _colour(loss: float, losses: Sequence[float]) -> str:
    """By the place among all: dark is best."""
    last = max(1, len(losses) - 1)
    return MEASURED.at(last - losses.index(loss), last + 1)


def _words(name: str) -> str:
    return name.replace("_", " ").removesuffix(" multiplier")
