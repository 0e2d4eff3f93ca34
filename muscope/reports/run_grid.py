"""All runs of a study as heat-maps: a table per facet, a run per cell, coloured by its loss.

Of a learning-rate study a row is a width and seed and a column a rate; of a coordinate check a row
is a width and a column a seed. What else is varied has a table each. A colour is one of `LEVELS`,
the same for all tables whose losses may be compared; where nothing was measured a word stands in.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from muscope.reports import csv, formats
from muscope.vocabulary import RunState

LEVELS = 7
"""Colours from the least loss to the largest; the page's styles have as many."""
MOST_OF_LOSSES = 3.0
"""The colours end so many times as far from the best loss as the median, as the figures do."""


@dataclass(frozen=True, slots=True)
class PlacedRun:
    """A run where the grid has it; `held` is what its table holds, `group` whose losses are alike.

    `number` counts the runs of its study; `column` is log2 of its rate, or its seed.
    """

    number: int
    variant: str
    label: str
    group: str
    held: tuple[str, ...]
    width: int
    seed: int
    column: float
    is_check: bool
    state: RunState
    loss: float | None
    step: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class GridCell:
    """A run as it is shown: `look` is a colour or a state, `words` are short, `title` says all."""

    number: int
    look: str
    words: str
    title: str


@dataclass(frozen=True, slots=True)
class GridRow:
    """A width, of a learning-rate study with a seed; where no run is planned a cell has none."""

    heads: tuple[str, ...]
    cells: tuple[tuple[GridCell, ...], ...]


@dataclass(frozen=True, slots=True)
class Facet:
    """One table: a variant, and what of the grid it holds."""

    label: str
    held: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    over: str
    rows: tuple[GridRow, ...]


def facets(runs: Iterable[PlacedRun]) -> tuple[Facet, ...]:
    """A table for every variant, and for all that is varied beside its rows and columns."""
    known = list(runs)
    scales = _scales(known)
    found: dict[tuple[bool, str, tuple[str, ...]], list[PlacedRun]] = {}
    for run in known:
        found.setdefault((run.is_check, run.label, run.held), []).append(run)
    return tuple(_facet(own, scales) for own in found.values())


def counts(runs: Iterable[PlacedRun]) -> str:
    """`45 runs: 44 finished, 1 diverged`."""
    found: dict[RunState, int] = {}
    for run in runs:
        found[run.state] = found.get(run.state, 0) + 1
    said = ", ".join(
        f"{found[state]} {formats.state_words(state)}" for state in RunState if state in found
    )
    return f"{formats.plural(sum(found.values()), 'run')}: {said}" if found else "no run yet"


def lines(runs: Iterable[PlacedRun]) -> Iterator[str]:
    """As CSV, a line per run."""
    header = (
        "run",
        "variant",
        "held",
        "width",
        "seed",
        "log2_rate",
        "state",
        "loss",
        "step",
        "note",
    )
    rows = (
        (
            run.number, run.variant, "; ".join(run.held), run.width, run.seed,
            None if run.is_check else run.column, run.state.value, run.loss, run.step, run.note,
        )
        for run in runs
    )  # fmt: skip
    return csv.lines(rows, header)


def _facet(own: Sequence[PlacedRun], scales: Mapping[str, tuple[float, float]]) -> Facet:
    is_check = own[0].is_check
    columns = sorted({run.column for run in own})
    at: dict[tuple[int, int], dict[float, list[PlacedRun]]] = {}
    for run in sorted(own, key=lambda run: (run.width, run.seed)):
        row = at.setdefault((run.width, 0 if is_check else run.seed), {})
        row.setdefault(run.column, []).append(run)
    return Facet(
        label=own[0].label,
        held=", ".join(own[0].held),
        heads=("width",) if is_check else ("width", "seed"),
        columns=tuple(_column(column, is_check=is_check) for column in columns),
        over="seed" if is_check else "log₂(learning rate)",
        rows=tuple(
            GridRow(
                heads=(str(width),) if is_check else (str(width), str(seed)),
                cells=tuple(
                    tuple(_cell(run, scales[run.group]) for run in row.get(column, ()))
                    for column in columns
                ),
            )
            for (width, seed), row in at.items()
        ),
    )


def _column(column: float, *, is_check: bool) -> str:
    return f"{column:.0f}" if is_check else formats.slope(column)


def _cell(run: PlacedRun, scale: tuple[float, float]) -> GridCell:
    at = (
        f"seed {run.seed}" if run.is_check else f"rate {formats.slope(run.column)}, seed {run.seed}"
    )
    where = ", ".join([f"width {run.width}", *run.held, at])
    known = run.loss is not None and math.isfinite(run.loss)
    if run.state is RunState.FINISHED and known and run.loss is not None:
        words = f"{run.loss:.3f}" if run.loss < 1000 else formats.decimal(run.loss)
        title = f"{where}: loss {formats.decimal(run.loss)}"
        return GridCell(run.number, f"heat-{_level(run.loss, scale)}", words, title)
    words = _WORDS[run.state]
    note = f", {run.note}" if run.note else ""
    step = f", step {run.step}" if run.state is RunState.RUNNING and run.step is not None else ""
    return GridCell(run.number, run.state.value, words, f"{where}: {words}{step}{note}")


_WORDS = {
    RunState.QUEUED: "waits",
    RunState.RUNNING: "running",
    RunState.FINISHED: "finished",
    RunState.DIVERGED: "diverged",
    RunState.OUT_OF_MEMORY: "no memory",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.SKIPPED: "stopped early",
}


def _scales(runs: Iterable[PlacedRun]) -> Mapping[str, tuple[float, float]]:
    """From the best loss of a group to where its colours end."""
    found: dict[str, list[float]] = {}
    for run in runs:
        own = found.setdefault(run.group, [])
        if run.state is RunState.FINISHED and run.loss is not None and math.isfinite(run.loss):
            own.append(run.loss)
    return {group: _scale(sorted(losses)) for group, losses in found.items()}


def _scale(losses: Sequence[float]) -> tuple[float, float]:
    if not losses:
        return (0.0, 0.0)
    low, middle, high = losses[0], losses[len(losses) // 2], losses[-1]
    return low, min(high, low + MOST_OF_LOSSES * (middle - low)) if middle > low else high


def _level(loss: float, scale: tuple[float, float]) -> int:
    low, high = scale
    share = (loss - low) / (high - low) if high > low else 0.0
    return min(LEVELS - 1, math.floor(share * LEVELS))
