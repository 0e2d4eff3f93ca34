"""The coordinate check as plain values: statistic against width, one panel per step.

`info` collects what the picture shows, testable without a picture; `drawing.figure` draws it. What
the CSV holds is what `info` shows.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from muscope.records import Sample
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import Role, Statistic, TensorKind

MAX_PANELS = 6
"""Steps drawn at most; the first, the last, and evenly spread ones between. The page says so."""


@dataclass(frozen=True, slots=True)
class Point:
    """The seed mean at one width, with the range over seeds; a value may be nan or infinite."""

    width: int
    mean: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True, slots=True)
class Line:
    """One tensor at one step, over the widths; `expected` is theory's exponent if it has one."""

    tensor: str
    role: Role
    points: tuple[Point, ...]
    slope: float | None
    expected: float | None

    @property
    def drawn(self) -> tuple[Point, ...]:
        """The points that a logarithmic axis can show."""
        return tuple(p for p in self.points if math.isfinite(p.mean) and p.mean > 0)


@dataclass(frozen=True, slots=True)
class Panel:
    """All tensors at one step and depth."""

    step: int
    depth: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class CoordinateCheckInfo:
    """Everything that the figure of one variant and statistic shows."""

    title: str
    statistic: Statistic
    widths: tuple[int, ...]
    seeds: int
    panels: tuple[Panel, ...]
    steps_recorded: int
    is_over: bool = False
    kind: TensorKind = TensorKind.ACTIVATION

    @property
    def measured_widths(self) -> list[int]:
        """The widths that really have points, which may be fewer than were planned."""
        return sorted({point.width for line in self.lines for point in line.points})

    @property
    def lines(self) -> Iterator[Line]:
        """Every line of every panel."""
        return (line for panel in self.panels for line in panel.lines)


class Axes(Protocol):
    """What a picture needs of a study: its widths, and how many seeds."""

    @property
    def widths(self) -> tuple[int, ...]: ...
    @property
    def seeds(self) -> int: ...


def info(
    samples: Iterable[Sample],
    verdict: VariantVerdict | None,
    statistic: Statistic,
    *,
    spec: Axes,
    kind: TensorKind = TensorKind.ACTIVATION,
    title: str = "",
    tensor: str = "",
    is_over: bool = False,
) -> CoordinateCheckInfo:
    """Collect the picture of one variant from its samples; `tensor` narrows it to one.

    A statistic with a sign is drawn by its size, as it is judged.
    """
    values: dict[tuple[int, int], dict[tuple[str, Role], dict[int, list[float]]]]
    values = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for sample in samples:
        value = sample.value(statistic)
        wanted = sample.kind is kind and tensor in ("", sample.tensor)
        if value is not None and wanted:
            key = (sample.tensor, sample.role)
            values[sample.depth, sample.step][key][sample.width].append(abs(value))
    recorded = sorted({step for _, step in values})
    steps = set(_spread(recorded))
    judged = verdict.cells if verdict else ()
    cells = {_cell_key(cell): cell for cell in judged if cell.kind is kind}
    panels = tuple(
        Panel(
            step=step,
            depth=depth,
            lines=tuple(
                _line(name, role, by_width, cells.get((name, depth, step, statistic)))
                for (name, role), by_width in lines.items()
            ),
        )
        for (depth, step), lines in sorted(values.items())
        if step in steps
    )
    return CoordinateCheckInfo(
        title=title or (verdict.label if verdict else ""),
        kind=kind,
        statistic=statistic,
        widths=spec.widths,
        seeds=spec.seeds,
        panels=panels,
        steps_recorded=len(recorded),
        is_over=is_over,
    )


def summary(info: CoordinateCheckInfo) -> str:
    """The picture in words, for those who cannot see it and those in a hurry."""
    lines = list(info.lines)
    if not lines:
        return "Nothing was measured." if info.is_over else "Nothing measured yet."
    tensors = len({line.tensor for line in lines})
    steps = sorted({panel.step for panel in info.panels})
    sentences = [
        f"{counted(tensors, 'tensor')} at {_widths(info)}, "
        f"{counted(info.seeds, 'seed')}; {_steps(steps, info.steps_recorded)}."
    ]
    known = [
        (line.slope, line.tensor, panel.step)
        for panel in info.panels
        for line in panel.lines
        if line.slope is not None
    ]
    if known:
        slope, name, step = max(known, key=lambda item: abs(item[0]))
        sentences.append(f"Steepest: {name} at step {step}, with exponent {exponent(slope)}.")
    zeros = len({line.tensor for line in lines if all(p.mean == 0 for p in line.points)})
    if zeros:
        sentences.append(f"{counted(zeros, 'tensor')} exactly zero in some step: not drawn there.")
    broken = sorted({n.tensor for n in lines if any(not math.isfinite(p.mean) for p in n.points)})
    if broken:
        sentences.append(f"Not finite, so with gaps: {', '.join(broken)}.")
    return " ".join(sentences)


def _spread(steps: Sequence[int]) -> list[int]:
    if len(steps) <= MAX_PANELS:
        return list(steps)
    last = len(steps) - 1
    return [steps[round(number * last / (MAX_PANELS - 1))] for number in range(MAX_PANELS)]


def _cell_key(cell: Cell) -> tuple[str, int, int, Statistic]:
    return (cell.tensor, cell.depth, cell.step, cell.statistic)


def _line(name: str, role: Role, by_width: dict[int, list[float]], cell: Cell | None) -> Line:
    points = tuple(
        Point(width, _mean(found), min(found), max(found), len(found))
        if all(map(math.isfinite, found))
        else Point(width, math.nan, math.nan, math.nan, len(found))
        for width, found in sorted(by_width.items())
    )
    return Line(
        tensor=name,
        role=role,
        points=points,
        slope=cell.slope if cell else None,
        expected=cell.expected if cell else None,
    )


def _mean(values: Sequence[float]) -> float:
    """The mean; divided before it is summed, because two finite sizes may add up to infinity."""
    return math.fsum(value / len(values) for value in values)


def exponent(value: float) -> str:
    """A slope with its sign, and a true minus; zero has no sign."""
    text = f"{value:+.2f}".replace("-", "−")
    return text[1:] if text[1:] == "0.00" else text


def _widths(info: CoordinateCheckInfo) -> str:
    """What was measured; by name where that is less than what was planned."""
    measured = info.measured_widths
    if len(measured) < len(info.widths):
        shown = ", ".join(map(str, measured))
        return f"{len(measured)} of {len(info.widths)} widths ({shown})"
    return f"{counted(len(measured), 'width')} from {measured[0]} to {measured[-1]}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _steps(steps: Sequence[int], recorded: int) -> str:
    shown = ", ".join(map(str, steps))
    if len(steps) < recorded:
        return f"steps {shown} of {recorded} recorded ones (the CSV holds all)"
    return f"steps {shown}" if len(steps) > 1 else f"step {shown}"
