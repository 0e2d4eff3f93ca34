"""The optima of a learning-rate study as a table: numbers with their words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muscope.reports import formats
from muscope.spec import TRANSFER_AXES
from muscope.verdicts.transfer.types import Drift, RateCell, TransferJudgement, WidthOptimum
from muscope.verdicts.transfer.words import at, noun
from muscope.vocabulary import Axis

WORSE = {Axis.WIDTH: "Wider", Axis.DEPTH: "Deeper", Axis.STEPS: "Longer"}
JUDGED_ON = {
    "held_out": "held-out loss after the last step",
    "training": "the mean of the last training losses",
    None: "loss",
}


@dataclass(frozen=True, slots=True)
class RateRow:
    """One place: `optimum` says where it is not bracketed, `loss` is None where all diverged.

    `place` is where it stands, in the order of `columns`. `train_loss` is the mean of the last
    training losses at the best rate, where the `loss` is another one.
    """

    place: tuple[int, ...]
    optimum: str
    interval: str
    loss: float | None
    rates: int
    plateau: float | None
    sensitivity: float | None
    train_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """One cell of the table of losses; `words` says what is no number: diverged, not tried.

    `training` is its training loss, where it is another one.
    """

    words: str
    is_best: bool
    is_lost: bool
    training: str = ""


@dataclass(frozen=True, slots=True)
class LossRow:
    """The losses at one place, over all rates that any place has."""

    place: tuple[int, ...]
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class LossTable:
    """Loss by place and learning rate; `rates` are log2 of the rates, as they are printed.

    Its cells are `judged_on` one loss and show another `below`, if that is known too.
    """

    rates: tuple[str, ...]
    rows: tuple[LossRow, ...]
    columns: tuple[str, ...]
    judged_on: str
    below: str = ""


def columns(judged: TransferJudgement) -> tuple[str, ...]:
    """What says where a row stands: `width`, `depth`, and what else the study has several of."""
    return tuple(axis.value.replace("_", " ") for axis in _axes(judged))


def _axes(judged: TransferJudgement) -> list[Axis]:
    asked = {axis for one in judged.optima for axis in TRANSFER_AXES if one.on(axis)}
    return [axis for axis in TRANSFER_AXES if axis in asked or axis in (Axis.WIDTH, Axis.DEPTH)]


def losses(judged: TransferJudgement) -> LossTable:
    """Every cell of a learning-rate study, the best of each row marked."""
    octaves = sorted({cell.octave for one in judged.optima for cell in one.cells})
    axes = _axes(judged)
    is_held_out = judged.judged_on == "held_out"
    return LossTable(
        rates=tuple(formats.slope(judged.log2_rate(octave)) for octave in octaves),
        rows=tuple(
            LossRow(
                tuple(one.on(axis) for axis in axes),
                tuple(_losses(one, octaves, with_training=is_held_out)),
            )
            for one in judged.optima
        ),
        columns=columns(judged),
        judged_on=JUDGED_ON[judged.judged_on],
        below=JUDGED_ON["training"] if is_held_out else "",
    )


def _losses(one: WidthOptimum, octaves: Sequence[float], *, with_training: bool) -> Iterator[Loss]:
    cells = {cell.octave: cell for cell in one.cells}
    for octave in octaves:
        cell = cells.get(octave)
        if cell is None:
            yield Loss("not tried", is_best=False, is_lost=False)
        elif cell.loss is None or not math.isfinite(cell.loss):
            yield Loss(_lost(cell), is_best=False, is_lost=True)
        else:
            training = _training(cell) if with_training else ""
            is_best = octave == one.best
            yield Loss(f"{cell.loss:.4f}", is_best=is_best, is_lost=False, training=training)


def _lost(cell: RateCell) -> str:
    """How many seeds diverged, or were stopped early: `2 of 3 diverged`."""
    counts = ((cell.diverged, "diverged"), (cell.stopped, "stopped early"))
    told = [(count, word) for count, word in counts if count]
    if cell.seeds == 1:
        return told[0][1]
    return ", ".join(f"{count} of {cell.seeds} {word}" for count, word in told)


def _training(cell: RateCell) -> str:
    return "" if cell.train_loss is None else f"{cell.train_loss:.4f}"


def rows(judged: TransferJudgement) -> tuple[RateRow, ...]:
    """A row per place, in log2 of the learning rate."""
    axes = _axes(judged)
    return tuple(_row(judged, one, axes) for one in judged.optima)


def drifts(judged: TransferJudgement) -> Sequence[str]:
    """How the optimum moves, in sentences; none while there is nothing to say.

    First along the axis of the study, place by place, then along what else it varies.
    """
    told = [(drift, " ".join(_sentences(drift))) for drift in (*judged.drifts, *judged.across)]
    return tuple(f"{_start(judged, drift)}: {words}" for drift, words in told if words)


def _start(judged: TransferJudgement, drift: Drift) -> str:
    where = judged.where(drift, drift.axis)
    along = "" if drift.axis is judged.axis else f"Over {noun(drift.axis)} at "
    return f"{along}{where}" if along else where[0].upper() + where[1:]


def _row(judged: TransferJudgement, one: WidthOptimum, axes: Sequence[Axis]) -> RateRow:
    best = next((cell for cell in one.cells if cell.octave == one.best), None)
    interval = "–"
    if one.low is not None and one.high is not None:
        low, high = (formats.slope(judged.log2_rate(value)) for value in (one.low, one.high))
        interval = f"{low} to {high}"
    found = None if one.optimum is None else formats.slope(judged.log2_rate(one.optimum))
    return RateRow(
        place=tuple(one.on(axis) for axis in axes),
        optimum=found or "not bracketed",
        interval=interval,
        loss=None if best is None else best.loss,
        rates=len(one.cells),
        plateau=one.plateau,
        sensitivity=one.sensitivity,
        train_loss=None if best is None else best.train_loss,
    )


def _sentences(drift: Drift) -> Iterator[str]:
    if drift.slope is not None:
        yield f"{formats.slope(drift.slope)} octaves per doubling{_interval(drift)}."
    if drift.slope is not None and drift.expected is not None:
        agrees = {True: "in agreement", False: "not so here", None: "open here"}[drift.as_expected]
        yield f"Expected: {formats.slope(drift.expected)} ({drift.source}), {agrees}."
    name = noun(drift.axis)
    if drift.vertices is not None:
        yield f"From the smallest {name} to the largest {formats.slope(drift.vertices)} octaves."
    if drift.regret is not None:
        yield (
            f"At the best rate of the smallest {name} the loss of the largest is "
            f"{drift.regret:.4f} above that at its own best rate."
        )
    if drift.same_cell is not None:
        answer = "yes" if drift.same_cell else "no"
        yield f"The same best cell at every {name} (Lingle's criterion): {answer}."
    if drift.worse_when_wider is not None:
        small, large = drift.worse_when_wider
        yield (
            f"{WORSE[drift.axis]} is worse there: {at(drift.axis, large)} "
            f"{'have' if drift.axis is Axis.STEPS else 'has'} a larger loss than {small}."
        )


def _interval(drift: Drift) -> str:
    if drift.low is None:
        return ""
    return f" (90 % interval {formats.slope(drift.low)} to {formats.slope(drift.high)})"
