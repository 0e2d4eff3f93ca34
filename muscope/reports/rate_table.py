"""The optima of a learning-rate study as a table: numbers with their words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muscope.reports import formats
from muscope.verdicts.transfer.types import Drift, TransferJudgement, WidthOptimum


@dataclass(frozen=True, slots=True)
class RateRow:
    """One width: `optimum` says where it is not bracketed, `loss` is None where all diverged."""

    width: int
    depth: int
    optimum: str
    interval: str
    loss: float | None
    rates: int
    plateau: float | None
    sensitivity: float | None


@dataclass(frozen=True, slots=True)
class Loss:
    """One cell of the table of losses; `words` says what is no number: diverged, not tried."""

    words: str
    is_best: bool
    is_lost: bool


@dataclass(frozen=True, slots=True)
class LossRow:
    """The losses at one width and depth, over all rates that any width has."""

    width: int
    depth: int
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class LossTable:
    """Loss by width and learning rate; `rates` are log2 of the rates, as they are printed."""

    rates: tuple[str, ...]
    rows: tuple[LossRow, ...]


def losses(judged: TransferJudgement) -> LossTable:
    """Every cell of a learning-rate study, the best of each row marked."""
    octaves = sorted({cell.octave for one in judged.optima for cell in one.cells})
    return LossTable(
        rates=tuple(formats.slope(judged.log2_rate(octave)) for octave in octaves),
        rows=tuple(
            LossRow(one.width, one.depth, tuple(_losses(one, octaves))) for one in judged.optima
        ),
    )


def _losses(one: WidthOptimum, octaves: Sequence[float]) -> Iterator[Loss]:
    cells = {cell.octave: cell for cell in one.cells}
    for octave in octaves:
        cell = cells.get(octave)
        if cell is None:
            yield Loss("not tried", is_best=False, is_lost=False)
        elif cell.loss is None or not math.isfinite(cell.loss):
            of = f"{cell.diverged} of {cell.seeds} " if cell.seeds > 1 else ""
            yield Loss(f"{of}diverged", is_best=False, is_lost=True)
        else:
            yield Loss(f"{cell.loss:.4f}", is_best=octave == one.best, is_lost=False)


def rows(judged: TransferJudgement) -> tuple[RateRow, ...]:
    """A row per width and depth, in log2 of the learning rate."""
    return tuple(_row(judged, one) for one in judged.optima)


def drifts(judged: TransferJudgement) -> Sequence[str]:
    """How the optimum moves, depth by depth, in sentences; none while there is nothing to say."""
    said = (" ".join(_sentences(drift)) for drift in judged.drifts)
    return tuple(
        f"Depth {drift.depth}: {words}"
        for drift, words in zip(judged.drifts, said, strict=True)
        if words
    )


def _row(judged: TransferJudgement, one: WidthOptimum) -> RateRow:
    losses = [cell.loss for cell in one.cells if cell.loss is not None]
    interval = "–"
    if one.low is not None and one.high is not None:
        low, high = (formats.slope(judged.log2_rate(value)) for value in (one.low, one.high))
        interval = f"{low} to {high}"
    found = None if one.optimum is None else formats.slope(judged.log2_rate(one.optimum))
    return RateRow(
        width=one.width,
        depth=one.depth,
        optimum=found or "not bracketed",
        interval=interval,
        loss=min(losses, default=None),
        rates=len(one.cells),
        plateau=one.plateau,
        sensitivity=one.sensitivity,
    )


def _sentences(drift: Drift) -> Iterator[str]:
    if drift.slope is not None:
        yield f"{formats.slope(drift.slope)} octaves per doubling{_interval(drift)}."
    if drift.vertices is not None:
        yield f"From the smallest width to the largest {formats.slope(drift.vertices)} octaves."
    if drift.regret is not None:
        yield f"At the smallest width's best rate the largest loses {drift.regret:.4f}."
    if drift.same_cell is not None:
        answer = "yes" if drift.same_cell else "no"
        yield f"The same best cell at every width (Lingle's criterion): {answer}."
    if drift.worse_when_wider is not None:
        narrow, wide = drift.worse_when_wider
        yield f"Wider is worse there: width {wide} has a larger loss than {narrow}."


def _interval(drift: Drift) -> str:
    if drift.low is None:
        return ""
    return f" (90 % interval {formats.slope(drift.low)} to {formats.slope(drift.high)})"
