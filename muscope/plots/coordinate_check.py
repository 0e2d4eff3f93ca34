"""The coordinate check as plain values: statistic against width, one panel per step.

Over depth, batch size and step it is the same picture: what it is drawn over stands on the axis,
and there is a panel for each of the others, the width among them.

`info` collects what the picture shows, testable without a picture; `drawing.figure` draws it. What
the CSV holds is what `info` shows.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from muscope.records import Sample
from muscope.verdicts import last_block
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import Axis, Role, Statistic, TensorKind

T = TypeVar("T")

MAX_PANELS = 6
"""Steps drawn at most; the first, the last, and evenly spread ones between. The page says so."""
MAX_HELD = 4
"""The same of widths, depths and batch sizes that have panels: each has one for every step."""
MAX_NAMED = 3
"""Lines that bend which the caption names; it counts the others."""


class Where(NamedTuple):
    """What a panel holds; None is what stands on the axis, or that there is but one batch size."""

    width: int | None
    depth: int | None
    batch_size: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Point:
    """The seed mean at one place on the axis, with the range over seeds; it may be not finite."""

    at: int
    mean: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True, slots=True)
class Line:
    """One tensor in one panel; `expected` is theory's exponent if it has one.

    It `bends` where a straight line does not describe it.
    """

    tensor: str
    role: Role
    points: tuple[Point, ...]
    slope: float | None
    expected: float | None
    bends: bool = False

    @property
    def drawn(self) -> tuple[Point, ...]:
        """The points that a logarithmic axis can show."""
        return tuple(p for p in self.points if math.isfinite(p.mean) and p.mean > 0)


@dataclass(frozen=True, slots=True)
class Panel:
    """All tensors at one step, width, depth and batch size, as far as these are held."""

    step: int | None
    depth: int | None
    lines: tuple[Line, ...]
    batch_size: int | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class CoordinateCheckInfo:
    """Everything that the figure of one variant and statistic shows.

    `places` are those on the axis: all planned widths, of another axis what was measured.
    """

    title: str
    statistic: Statistic
    places: tuple[int, ...]
    seeds: int
    panels: tuple[Panel, ...]
    steps_recorded: int
    is_over: bool = False
    kind: TensorKind = TensorKind.ACTIVATION
    axis: Axis = Axis.WIDTH
    held_recorded: int = 0

    @property
    def measured(self) -> list[int]:
        """The places that really have points, which may be fewer than were planned."""
        return sorted({point.at for line in self.lines for point in line.points})

    @property
    def with_theory(self) -> list[str]:
        """The tensors of which theory's exponent is known."""
        return sorted({line.tensor for line in self.lines if line.expected is not None})

    def words(self, panel: Panel) -> str:
        """`step 4, width 64`: what tells a panel from the others, and its step in any case."""
        depths = {one.depth for one in self.panels}
        pieces = {
            "step": panel.step,
            "width": panel.width,
            "depth": panel.depth if len(depths) > 1 else None,
            "batch": panel.batch_size,
        }
        return ", ".join(f"{name} {held}" for name, held in pieces.items() if held is not None)

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
    axis: Axis = Axis.WIDTH,
    is_over: bool = False,
) -> CoordinateCheckInfo:
    """Collect the picture of one variant from its samples; `tensor` narrows it to one.

    A statistic with a sign is drawn by its size, as it is judged. Over depth the tensors are called
    as `last_block` says, and inner blocks are left out; over steps the first forward is, which has
    no logarithm.
    """
    found = [
        (sample, abs(value))
        for sample in samples
        if sample.kind is kind and (value := sample.value(statistic)) is not None
    ]
    values, places = _arranged(found, axis, tensor)
    if axis is not Axis.WIDTH and len(places) < 2:
        values.clear()
    steps = sorted({where.step for where in values if where.step is not None})
    held = sorted({_held(where) for where in values})
    drawn_steps = set(_spread(steps, MAX_PANELS))
    drawn = set(_spread(held, MAX_HELD if steps else MAX_PANELS))
    judged = verdict.cells_on(axis) if verdict else ()
    cells = {(cell.tensor, _of_cell(cell)): cell for cell in judged if _is(cell, kind, statistic)}
    panels = tuple(
        Panel(
            **where._asdict(),
            lines=tuple(
                _line(name, role, by_place, cells.get((name, where)))
                for (name, role), by_place in lines.items()
            ),
        )
        for where, lines in sorted(values.items(), key=lambda entry: _in_order(entry[0]))
        if (where.step is None or where.step in drawn_steps) and _held(where) in drawn
    )
    return CoordinateCheckInfo(
        title=title or (verdict.label if verdict else ""),
        kind=kind,
        statistic=statistic,
        places=spec.widths if axis is Axis.WIDTH else tuple(sorted(places)),
        seeds=spec.seeds,
        panels=panels,
        steps_recorded=len(steps),
        is_over=is_over,
        axis=axis,
        held_recorded=len(held),
    )


_Arranged: TypeAlias = dict[Where, dict[tuple[str, Role], dict[int, list[float]]]]
"""By panel, line and place on the axis: a value of every seed."""


def _arranged(
    found: Sequence[tuple[Sample, float]], axis: Axis, tensor: str
) -> tuple[_Arranged, set[int]]:
    """The values where they stand in the picture, of one tensor or of all; and every place."""
    several = len({sample.batch_size for sample, _ in found}) > 1
    names = _names(sample for sample, _ in found) if axis is Axis.DEPTH else {}
    values: _Arranged = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    places: set[int] = set()
    for sample, value in found:
        name = names.get(_of_depth(sample), sample.tensor)
        at = _at(sample, axis)
        if at <= 0 or not name:
            continue
        places.add(at)
        if tensor in ("", name):
            where = _where(sample, axis, several=several)
            values[where][name, sample.role][at].append(value)
    return values, places


def summary(info: CoordinateCheckInfo) -> str:
    """The picture in words, for those who cannot see it and those in a hurry."""
    lines = list(info.lines)
    if not lines:
        return _nothing(info)
    tensors = len({line.tensor for line in lines})
    shown = ", ".join([_places(info), counted(info.seeds, "seed")])
    sentences = [f"{counted(tensors, 'tensor')} at {'; '.join([shown, *_panels(info)])}."]
    known = [
        (line.slope, line.tensor, info.words(panel))
        for panel in info.panels
        for line in panel.lines
        if line.slope is not None
    ]
    if known:
        slope, name, where = max(known, key=lambda item: abs(item[0]))
        sentences.append(f"Steepest: {name} at {where}, with exponent {exponent(slope)}.")
    bent = [
        f"{line.tensor} at {info.words(panel)}"
        for panel in info.panels
        for line in panel.lines
        if line.bends
    ]
    if bent:
        more = f" and {len(bent) - MAX_NAMED} more" if len(bent) > MAX_NAMED else ""
        verb = "line bends" if len(bent) == 1 else "lines bend"
        sentences.append(f"{len(bent)} {verb}: {'; '.join(bent[:MAX_NAMED])}{more}.")
    if len(info.with_theory) == 1:
        sentences.append(f"Dashed: the slope that theory expects of {info.with_theory[0]}.")
    zeros = len({line.tensor for line in lines if all(p.mean == 0 for p in line.points)})
    if zeros:
        where = "step" if info.axis is Axis.WIDTH else "panel"
        sentences.append(
            f"{counted(zeros, 'tensor')} exactly zero in some {where}: not drawn there."
        )
    broken = sorted({n.tensor for n in lines if any(not math.isfinite(p.mean) for p in n.points)})
    if broken:
        sentences.append(f"Not finite, so with gaps: {', '.join(broken)}.")
    return " ".join(sentences)


def _nothing(info: CoordinateCheckInfo) -> str:
    if info.axis is not Axis.WIDTH and len(info.places) == 1:
        noun = axis_words(info.axis)
        yet = "" if info.is_over else " yet"
        return f"Measured at {noun} {info.places[0]} alone: nothing to draw over {noun}{yet}."
    return "Nothing was measured." if info.is_over else "Nothing measured yet."


def axis_words(axis: Axis) -> str:
    """`batch size`: an axis as a person says it."""
    return axis.value.replace("_", " ")


def _spread(places: Sequence[T], most: int) -> list[T]:
    if len(places) <= most:
        return list(places)
    last = len(places) - 1
    return [places[round(number * last / (most - 1))] for number in range(most)]


def _at(sample: Sample, axis: Axis) -> int:
    """Where on the axis; what has no place there stands at 0, which has no logarithm."""
    where: int | None = getattr(sample, axis.value)
    return where or 0


def _where(of: Sample | Cell, axis: Axis, *, several: bool) -> Where:
    held = {field: getattr(of, field) for field in Where._fields}
    # of a cell it is the end of its axis
    held[axis.value] = None
    if not several:
        held["batch_size"] = None
    return Where(**held)


def _of_cell(cell: Cell) -> Where:
    return _where(cell, cell.axis, several=True)


def _is(cell: Cell, kind: TensorKind, statistic: Statistic) -> bool:
    return cell.kind is kind and cell.statistic is statistic


def _held(where: Where) -> tuple[int, int, int]:
    return (where.width or 0, where.depth or 0, where.batch_size or 0)


def _in_order(where: Where) -> tuple[int, int, int, int]:
    return (*_held(where), where.step or 0)


def _of_depth(sample: Sample) -> last_block.Tensor:
    return (sample.depth, sample.kind, sample.tensor)


def _names(samples: Iterable[Sample]) -> Mapping[last_block.Tensor, str]:
    return last_block.names(map(_of_depth, samples))


def _line(name: str, role: Role, by_place: dict[int, list[float]], cell: Cell | None) -> Line:
    points = tuple(
        Point(at, _mean(found), min(found), max(found), len(found))
        if all(map(math.isfinite, found))
        else Point(at, math.nan, math.nan, math.nan, len(found))
        for at, found in sorted(by_place.items())
    )
    return Line(
        tensor=name,
        role=role,
        points=points,
        slope=cell.slope if cell else None,
        expected=cell.expected if cell else None,
        bends=cell.bends if cell else False,
    )


def _mean(values: Sequence[float]) -> float:
    """The mean; divided before it is summed, because two finite sizes may add up to infinity."""
    return math.fsum(value / len(values) for value in values)


def exponent(value: float) -> str:
    """A slope with its sign, and a true minus; zero has no sign."""
    text = f"{value:+.2f}".replace("-", "−")
    return text[1:] if text[1:] == "0.00" else text


def _places(info: CoordinateCheckInfo) -> str:
    """What was measured; by name where that is less than what was planned."""
    measured, noun = info.measured, axis_words(info.axis)
    if len(measured) < len(info.places):
        shown = ", ".join(map(str, measured))
        return f"{len(measured)} of {counted(len(info.places), noun)} ({shown})"
    return f"{counted(len(measured), noun)} from {measured[0]} to {measured[-1]}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _panels(info: CoordinateCheckInfo) -> Iterator[str]:
    """Which panels there are; where they are too many, what of them is shown."""
    steps = sorted({panel.step for panel in info.panels if panel.step is not None})
    if steps:
        yield _listed("step", steps, info.steps_recorded)
    nouns = [
        f"{axis_words(axis)}s"
        for axis in (Axis.WIDTH, Axis.DEPTH, Axis.BATCH)
        if len({getattr(panel, axis.value) for panel in info.panels}) > 1
    ]
    drawn = len({(panel.width, panel.depth, panel.batch_size) for panel in info.panels})
    if drawn < info.held_recorded:
        yield f"{drawn} of {info.held_recorded} {' and '.join(nouns)} (the CSV holds all)"


def _listed(noun: str, places: Sequence[int], recorded: int) -> str:
    shown = ", ".join(map(str, places))
    if len(places) < recorded:
        return f"{noun}s {shown} of {recorded} recorded ones (the CSV holds all)"
    return f"{noun}s {shown}" if len(places) > 1 else f"{noun} {shown}"
