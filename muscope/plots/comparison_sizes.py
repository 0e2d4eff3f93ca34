"""Sizes of tensors of several variants as Plotly figures: panels with the same axes, and ratios.

A panel is called by the letter of its variant, as those of learning rates are.
"""

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from muscope.plots import coordinate_check, drawing
from muscope.plots.coordinate_check import CoordinateCheckInfo, Line, Point
from muscope.verdicts.comparison.contender import Contender
from muscope.vocabulary import Statistic, TensorKind


def sizes(infos: Mapping[str, CoordinateCheckInfo]) -> dict[str, Any]:
    """The sizes of tensors at the last step against width: a panel per variant and depth."""
    return _merged({letter: at_last(info) for letter, info in infos.items()})


def ratios(infos: Mapping[str, CoordinateCheckInfo], against: str) -> dict[str, Any]:
    """The sizes of each other variant over those of one: flat where their slopes are alike."""
    base = at_last(infos[against])
    found = {
        f"{letter} ∕ {against}": _ratio(at_last(info), base)
        for letter, info in infos.items()
        if letter != against
    }
    drawn = _merged(found)
    drawn["layout"]["meta"]["yTitle"] = f"over that of {against}"
    return drawn


def at_last(info: CoordinateCheckInfo) -> CoordinateCheckInfo:
    """The panels of the last step."""
    last = max((panel.step or 0 for panel in info.panels), default=0)
    return replace(info, panels=tuple(p for p in info.panels if (p.step or 0) == last))


def size_info(one: Contender, kind: TensorKind, statistic: Statistic) -> CoordinateCheckInfo | None:
    """What the panels of one variant show; None where no size is measured."""
    spec = one.spec.coordinate_check
    if spec is None:
        return None
    return coordinate_check.info(one.samples, one.sizes, statistic, spec=spec, kind=kind)


def _merged(infos: Mapping[str, CoordinateCheckInfo]) -> dict[str, Any]:
    known = {letter: info for letter, info in infos.items() if info.panels}
    if not known:
        meta = {"panels": 0, "xTitle": "width", "yTitle": "", "summary": "Nothing measured yet."}
        return {"data": [], "layout": {**drawing.frame(), "meta": meta}}
    first = next(iter(known.values()))
    panels = tuple(panel for info in known.values() for panel in info.panels)
    places = tuple(sorted({place for info in known.values() for place in info.places}))
    drawn = drawing.figure(replace(first, panels=panels, places=places, title=""))
    titles = [
        f"{letter}, {info.words(panel)}" for letter, info in known.items() for panel in info.panels
    ]
    meta = drawn["layout"]["meta"]
    meta["row"] = 1
    meta["summary"] = f"Panels with the same axes: {'; '.join(titles)}."
    for note, title in zip(drawn["layout"]["annotations"], titles, strict=True):
        note["text"] = html.escape(title)
    return drawn


def _ratio(of: CoordinateCheckInfo, base: CoordinateCheckInfo) -> CoordinateCheckInfo:
    known = {(panel.depth, panel.batch_size): panel for panel in base.panels}
    panels = []
    for panel in of.panels:
        other = known.get((panel.depth, panel.batch_size))
        if other is None:
            continue
        lines = {line.tensor: line for line in other.lines}
        both = tuple(
            _over(line, lines[line.tensor]) for line in panel.lines if line.tensor in lines
        )
        panels.append(replace(panel, lines=both))
    return replace(of, panels=tuple(panels))


def _over(line: Line, base: Line) -> Line:
    at = {point.at: point for point in base.drawn}
    points = tuple(
        Point(point.at, ratio, ratio, ratio, min(point.seeds, at[point.at].seeds))
        for point in line.drawn
        if point.at in at
        for ratio in [point.mean / at[point.at].mean]
    )
    return replace(line, points=points, slope=None, expected=None, bends=False)
