"""A check of a user's own model in the terminal: what was found in it, and how far it is."""

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from muscope.check_result.words import says, shapes
from muscope.own_model import OwnRole
from muscope.own_model.facts import pattern
from muscope.own_model.tensors import OwnTensor
from muscope.reports import formats
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import Statistic

LONGEST_NAME, SHORTEST_REMARK = 44, 16


class OwnTrainingView:
    """A bar over widths and seeds; in a log a line for every width."""

    def __init__(self, sizes: Sequence[int], steps: int, console: Console) -> None:
        self._console, self._steps = console, steps
        # a step of a model of twice the width takes four times as long
        self._cost = {width: width**2 for width in sizes}
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        total = (steps + 1) * sum(width**2 for width in sizes)
        self._task = self._bar.add_task("training", total=total)
        self._live = Live(self._bar, console=console, transient=True, refresh_per_second=4)
        self._started_at = time.monotonic()
        self._last_width: int | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, width: int, depth: int, seed: int, step: int) -> None:
        """Show that a step of a run is done."""
        of = f"width {width}" + (f" depth {depth}" if depth else "")
        words = f"{of} seed {seed} · step {step} of {self._steps}"
        self._bar.update(self._task, advance=self._cost[width], description=words)
        if not self._console.is_terminal and width != self._last_width:
            seconds = time.monotonic() - self._started_at
            self._console.print(f"training {of} · after {seconds:.1f} s", soft_wrap=True)
        self._last_width = width


class RolesTable:
    """The parameters and activations with their roles; blocks of a kind share a row."""

    def __init__(self, roles: Mapping[str, OwnRole], tensors: Sequence[OwnTensor]) -> None:
        self._roles, self._tensors = roles, tensors

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """First what is trained, then what is measured."""
        yield Padding(_table(("parameter", "role", ""), self._of_parameters()), (0, 0, 1, 0))
        header = ("tensor", "role", "made by", "shape", "")
        yield Padding(_table(header, self._of_tensors()), (0, 0, 1, 0))

    def _of_parameters(self) -> Iterable[tuple[str, ...]]:
        return [(name, role.word, role.remark) for name, role in self._roles.items()]

    def _of_tensors(self) -> Iterable[tuple[str, ...]]:
        return [
            (t.name, t.role.value.replace("_", " "), t.source, shapes(t), says(t))
            for t in self._tensors
        ]


class NotJudged:
    """The slopes of what is shown but does not decide, with the reason."""

    def __init__(self, verdict: VariantVerdict, tensors: Sequence[OwnTensor]) -> None:
        self._verdict, self._tensors = verdict, [t for t in tensors if not t.is_judged]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Nothing where all of it decides."""
        if not self._tensors:
            return
        rows = [
            (t.name, self._slopes(t, Statistic.L1), self._slopes(t, Statistic.CHANGE), t.remark)
            for t in self._tensors
        ]
        header = ("shown, not judged", "size, by step", "change, by step", "")
        yield Padding(_table(header, rows), (0, 0, 1, 0))

    def _slopes(self, tensor: OwnTensor, statistic: Statistic) -> str:
        cells = [
            cell
            for cell in self._verdict.cells
            if cell.tensor == tensor.name and cell.statistic is statistic
        ]
        return " ".join(_slope(cell) for cell in cells[:4])


def _table(header: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    first, *middle, last = map(Text, header)
    table.add_column(first, overflow="fold", max_width=LONGEST_NAME)
    for column in middle:
        table.add_column(column, no_wrap=True)
    table.add_column(last, min_width=SHORTEST_REMARK)
    alike: dict[tuple[str, ...], int] = {}
    for name, *rest in rows:
        key = (pattern(name), *rest)
        alike[key] = alike.get(key, 0) + 1
    for (name, *rest), count in alike.items():
        table.add_row(*map(Text, (f"{name} ×{count}" if count > 1 else name, *rest)))
    return table


def _slope(cell: Cell) -> str:
    return formats.sign(cell.verdict) if cell.slope is None else formats.slope(cell.slope)
