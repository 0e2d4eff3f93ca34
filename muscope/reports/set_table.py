"""The sets of a hyperparameter search as a table: values, losses, how steadily each trained."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from muscope.reports import csv, formats
from muscope.verdicts.hyperparameters.types import (
    Agreement,
    JudgedSet,
    SearchJudgement,
    SetAtWidth,
    TransferError,
)

SHOWN = 20
"""Sets that a page lists; the CSV has all of them."""


@dataclass(frozen=True, slots=True)
class SetCell:
    """A set at one width: `words` is its loss or why it has none, `behind` against the best."""

    words: str
    interval: str
    behind: str
    rank: str
    steadiness: str
    is_steady: bool
    is_best: bool


@dataclass(frozen=True, slots=True)
class SetRow:
    """A set with its values and one cell per width, None where it was not tried."""

    number: int
    marks: str
    values: tuple[str, ...]
    cells: tuple[SetCell | None, ...]


@dataclass(frozen=True, slots=True)
class SetTable:
    """The best sets first; `left_out` are behind them, or have no loss."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[SetRow, ...]
    left_out: int


def table(judged: SearchJudgement, shown: int = SHOWN) -> SetTable:
    """The sets in the order in which one is chosen: by the largest width where each was tried."""
    ordered = sorted(judged.sets, key=_place)
    # what a reader looks for is there, however bad it is
    named = [of for of in ordered[shown:] if _marks(judged, of)]
    return SetTable(
        names=tuple(formats.words(name) for name in judged.names),
        widths=judged.widths,
        rows=tuple(_row(judged, of) for of in (*ordered[:shown], *named)),
        left_out=max(0, len(ordered) - shown - len(named)),
    )


def _place(of: JudgedSet) -> tuple[int, float]:
    last = of.widths[-1] if of.widths else None
    if last is None or last.rank is None:
        return (-(last.width if last else 0), float("inf"))
    return (-last.width, last.rank)


def _row(judged: SearchJudgement, of: JudgedSet) -> SetRow:
    values = of.hyperparameters.values
    return SetRow(
        number=of.number,
        marks=_marks(judged, of),
        values=tuple(formats.decimal(values[name]) for name in judged.names),
        cells=tuple(_cell(of.at(width)) for width in judged.widths),
    )


def _marks(judged: SearchJudgement, of: JudgedSet) -> str:
    """What is said of a set beside its number."""
    given = judged.default
    marks = {
        "winner": of.number == judged.winner,
        f"best at width {judged.widths[0]}": of.number == judged.chosen,
        "as given": given is not None and of.number == given.number,
    }
    return ", ".join(mark for mark, is_so in marks.items() if is_so)


def _cell(one: SetAtWidth | None) -> SetCell | None:
    if one is None:
        return None
    lost = f"{one.diverged} of {one.seeds} diverged" if one.diverged else "no result"
    interval = "" if one.low is None or one.high is None else f"{one.low:.4f} to {one.high:.4f}"
    return SetCell(
        words=lost if one.loss is None else f"{one.loss:.4f}",
        interval=interval,
        behind="" if not one.behind else f"{one.behind:+.4f}",
        rank="–" if one.rank is None else str(one.rank),
        steadiness=steadiness(one),
        is_steady=one.is_steady,
        is_best=one.behind == 0,
    )


def steadiness(one: SetAtWidth) -> str:
    """How a set trained, in words."""
    grown = "" if one.growth is None else f"gradient ×{2**one.growth:.1f}"
    spikes = formats.plural(one.spikes, "spike") if one.spikes else "no spike"
    return ", ".join(filter(None, (spikes, grown)))


def agreements(judged: SearchJudgement) -> tuple[str, ...]:
    """How far each larger width ranks the sets as the smallest does, in sentences."""
    return tuple(" ".join(_agreement(judged, one)) for one in judged.agreements)


def _agreement(judged: SearchJudgement, one: Agreement) -> Iterator[str]:
    sets = formats.plural(one.sets, "set")
    if one.correlation is None:
        yield f"Width {one.width}: {sets}, too few to compare two rankings."
    else:
        interval = ""
        if one.low is not None:
            low, high = formats.slope(one.low), formats.slope(one.high)
            interval = f" (90 % interval {low} to {high})"
        yield (
            f"Width {one.width} ranks {sets} as width {judged.widths[0]} does with a correlation "
            f"of {formats.slope(one.correlation)}{interval}."
        )
    if one.regret is not None:
        reach = ""
        if one.regret_low is not None and one.regret_high is not None and one.regret:
            reach = f" ({one.regret_low:.4f} to {one.regret_high:.4f})"
        yield (
            f"The loss of the best of width {judged.widths[0]} is {one.regret:.4f}{reach} above "
            "the least there."
        )


def edges(judged: SearchJudgement) -> str:
    """That the winner lies at the end of what was tried, where it does."""
    if not judged.at_edge:
        return ""
    names = ", ".join(formats.words(name) for name in judged.at_edge)
    return (
        f"The winner lies at the end of what was tried of: {names}. Beyond it there may be better "
        "ones: take a wider range."
    )


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A transfer error as a table prints it."""

    of: str
    fixed: str
    error: str
    interval: str


def transfer_errors(judged: SearchJudgement) -> tuple[ErrorRow, ...]:
    """The largest first: what must not be tuned alone."""
    largest = sorted(judged.transfer_errors, key=lambda one: -one.error)
    return tuple(_error(one) for one in largest)


def _error(one: TransferError) -> ErrorRow:
    has_interval = one.low is not None and one.high is not None
    return ErrorRow(
        of=formats.words(one.of),
        fixed=formats.words(one.fixed),
        error=f"{one.error:.4f}",
        interval=f"{one.low:.4f} to {one.high:.4f}" if has_interval else "–",
    )


def in_words(tuned: Mapping[str, float]) -> str:
    """The multipliers of a run, in octaves from what was given: `embedding multiplier +1`."""
    named = (f"{formats.words(name)} {formats.slope(at)}" for name, at in sorted(tuned.items()))
    return ", ".join(named)


AT_WIDTH = (
    "width", "rank", "loss", "low", "high", "behind", "behind_low", "behind_high", "seeds",
    "diverged", "spikes", "growth", "is_steady",
)  # fmt: skip
"""Of a set at a width, as its fields are called."""
CALLED = {"growth": "growth_octaves"}
"""In the CSV a number says its unit."""


def as_csv(judged: Iterable[SearchJudgement]) -> Iterator[str]:
    """Every set at every width, a line each; what a variant does not tune is empty."""
    found = list(judged)
    names = list(dict.fromkeys(name for one in found for name in one.names))
    told = (CALLED.get(name, name) for name in AT_WIDTH)
    header = ("variant", "set", "is_winner", *names, *told)
    return csv.lines((row for one in found for row in _csv_rows(one, names)), header)


def _csv_rows(judged: SearchJudgement, names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for of in judged.sets:
        values = of.hyperparameters.values
        start = (judged.variant, of.number, of.number == judged.winner)
        for one in of.widths:
            rest = (getattr(one, name) for name in AT_WIDTH)
            yield (*start, *(values.get(name) for name in names), *rest)
