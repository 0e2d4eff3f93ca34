"""The one verdict table of the terminal: `check` and `up --demo --exit` print the same.

First every variant's slopes, last the summary, because a terminal shows its last lines. Nothing
is said by colour alone: every slope carries its sign, every verdict its word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from muscope.reports import formats
from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.remarks import remarks
from muscope.verdicts.types import DECIDING, Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, Statistic, TensorKind

STYLES = {
    CellVerdict.FLAT: "green",
    CellVerdict.GROWS: "bold red",
    CellVerdict.SHRINKS: "bold magenta",
    CellVerdict.INCONCLUSIVE: "yellow",
    CellVerdict.ZERO: "dim",
    CellVerdict.DIVERGED: "bold white on red",
}
NAMES = {
    Statistic.L1: "size",
    Statistic.CHANGE: "change",
    Statistic.RMS: "rms",
    Statistic.CONTRIBUTION: "contribution",
}
SHORT_NAMES = NAMES | {Statistic.CONTRIBUTION: "contr."}
SLOPE_WIDTH = len("+0.00↗ ")
VERDICT_WIDTH = len("? inconclusive")
MOST_SUSPECTS = 3
LEAST_SHARE = 0.01
"""A suspect below it stands only in the report."""


def verdict_table(verdicts: Sequence[VariantVerdict]) -> RenderableType:
    """Every variant's slope table, a legend, and the summary with its verdict and worst tensor."""
    slopes = [
        SlopeTable(verdict, kind)
        for verdict in verdicts
        for kind in DECIDING
        if any(tensor.kind is kind for tensor in verdict.tensors)
    ]
    return Group(*slopes, _legend(verdicts), Rule(style="dim"), _summary(verdicts))


def badge(verdict: CellVerdict) -> Text:
    """A verdict as its sign and its word."""
    return Text(f"{formats.sign(verdict)} {verdict.value}", style=STYLES[verdict])


@dataclass(frozen=True, slots=True)
class SlopeTable:
    """Tensor × step of one variant; of many steps it shows as many as the terminal is wide."""

    verdict: VariantVerdict
    kind: TensorKind

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The variant with its verdict, then a row per tensor."""
        tensors = [tensor for tensor in self.verdict.tensors if tensor.kind is self.kind]
        names = {(t.tensor, t.depth, t.batch_size): self._name(t) for t in tensors}
        room = options.max_width - max(map(len, names.values())) - VERDICT_WIDTH - 2
        columns = self._columns(max(2, room // SLOPE_WIDTH))
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
        table.add_column(f"\n{self._noun}", no_wrap=True)
        for statistic, step in columns:
            header = f"{SHORT_NAMES[statistic]}\nstep {step}"
            table.add_column(header, justify="right", no_wrap=True, min_width=SLOPE_WIDTH - 1)
        table.add_column("\nverdict", no_wrap=True)
        cells = {(c.tensor, c.depth, c.batch_size, c.statistic, c.step): c for c in self._cells}
        for tensor in tensors:
            key = (tensor.tensor, tensor.depth, tensor.batch_size)
            slopes = [_slope(cells.get((*key, *column))) for column in columns]
            table.add_row(names[key], *slopes, badge(tensor.verdict))
        yield Text.assemble((self.verdict.label, "bold"), "   ", _sentence(self.verdict))
        yield Padding(table, (0, 0, 1, 0))

    @property
    def _noun(self) -> str:
        return "tensor" if self.kind is TensorKind.ACTIVATION else self.kind.value

    @property
    def _cells(self) -> list[Cell]:
        return [cell for cell in self.verdict.cells if cell.kind is self.kind]

    def _name(self, tensor: TensorVerdict) -> str:
        depth = f" depth {tensor.depth}" if _several_depths(self.verdict) else ""
        batch_size = f" batch {tensor.batch_size}" if tensor.batch_size else ""
        return f"{tensor.tensor}{depth}{batch_size}"

    def _columns(self, most: int) -> list[tuple[Statistic, int]]:
        """The first steps and the last of what decides; size has one step more, step 0."""
        columns: list[tuple[Statistic, int]] = []
        shown = DECIDING[self.kind]
        for number, statistic in enumerate(shown):
            share = (most - number + len(shown) - 1) // len(shown)
            own = (cell for cell in self._cells if cell.statistic is statistic)
            steps = sorted({cell.step for cell in own})
            kept = steps if len(steps) <= share else [*steps[: share - 1], steps[-1]]
            columns.extend((statistic, step) for step in kept)
        return columns


def _several_depths(verdict: VariantVerdict) -> bool:
    return len({tensor.depth for tensor in verdict.tensors}) > 1


def _slope(cell: Cell | None) -> Text:
    if cell is None:
        return Text("")
    if cell.slope is None:
        return Text(formats.sign(cell.verdict), style=STYLES[cell.verdict])
    mark = "*" if cell.exception else formats.sign(cell.verdict)
    style = STYLES[CellVerdict.FLAT if cell.exception else cell.verdict]
    return Text(f"{formats.slope(cell.slope)}{mark}", style=style)


def _legend(verdicts: Sequence[VariantVerdict]) -> Text:
    """What a slope and its sign mean, and why the excused ones are."""
    cells = [cell for verdict in verdicts for cell in verdict.cells]
    reasons = dict.fromkeys(cell.exception for cell in cells if cell.exception)
    lines = (
        "Slope of log2(size) on log2(width): 0 keeps its size, +1 doubles with every doubling;",
        f"± is half its {_confidence(verdicts)} interval over seeds.",
        "   ".join(f"{formats.sign(verdict)} {verdict.value}" for verdict in CellVerdict),
        *(f"* legal: {reason}" for reason in reasons),
    )
    return Text("\n".join(lines), style="dim")


def _confidence(verdicts: Sequence[VariantVerdict]) -> str:
    """Of all intervals; where variants stopped after different looks, each in turn."""
    found = dict.fromkeys(formats.confidence(verdict.confidence) for verdict in verdicts)
    return " or ".join(found) or formats.confidence(CONFIDENCE)


def _summary(verdicts: Sequence[VariantVerdict]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    for verdict in verdicts:
        table.add_row(Text(verdict.label, style="bold"), Group(*_says(verdict)))
    return table


def _says(verdict: VariantVerdict) -> Iterator[Text]:
    yield _sentence(verdict)
    if not verdict.final:
        yield Text(f"so far: {verdict.runs_judged} of {verdict.runs_planned} runs", style="dim")
    cell = verdict.worst.worst if verdict.worst else None
    if cell is None:
        return
    place = f" (depth {cell.depth})" if _several_depths(verdict) else ""
    yield Text(f"worst: {_where(cell)}{place}{_interval(cell)}", style="dim")
    if power := verdict.power():
        yield Text(power, style="dim")
    for remark in remarks(verdict):
        yield Text(remark, style="dim")
    if verdict.diagnosis:
        yield from _suspects(verdict.diagnosis)


def _suspects(found: Diagnosis) -> Iterator[Text]:
    """What is probably wrong: the first suspect with evidence and fix, others by name."""
    if found.note:
        yield Text(found.note)
    first, *others = found.suspects or (None,)
    if first is None:
        return
    yield Text(f"probably ({formats.share(first.score)}): {first.title}", style="bold")
    yield Text(f"fix: {first.fix}")
    for line in first.evidence:
        yield Text(f"evidence: {line}", style="dim")
    likely = [other for other in others if other.score >= LEAST_SHARE][: MOST_SUSPECTS - 1]
    for other in likely:
        yield Text(f"or ({formats.share(other.score)}): {other.title}; fix: {other.fix}")
    if likely and found.separates:
        yield Text(f"to tell the first two apart: {found.separates}", style="dim")


def _sentence(verdict: VariantVerdict) -> Text:
    words = f"{formats.sign(verdict.verdict)} {verdict.sentence()}"
    return Text(words, style=STYLES[verdict.verdict])


def _where(cell: Cell) -> str:
    place = "" if cell.kind is TensorKind.ACTIVATION else f"{cell.kind} "
    return f"{NAMES[cell.statistic]} of {place}{cell.tensor} at step {cell.step}"


def _interval(cell: Cell) -> str:
    """The slope with half its interval, as far as there are any."""
    if cell.slope is None:
        return ""
    text = f", slope {formats.slope(cell.slope)}"
    if cell.low is None or cell.high is None:
        return f"{text} (one seed: no interval)"
    return f"{text} ± {(cell.high - cell.low) / 2:.2f}"
