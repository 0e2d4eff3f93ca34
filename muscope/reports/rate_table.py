"""The optima of a learning-rate study as a table: numbers with their words."""

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


def rows(judged: TransferJudgement) -> tuple[RateRow, ...]:
    """A row per width and depth, in log2 of the learning rate."""
    return tuple(_row(judged, one) for one in judged.optima)


def drifts(judged: TransferJudgement) -> Sequence[str]:
    """How the optimum moves, depth by depth, in sentences."""
    return tuple(" ".join(_sentences(drift)) for drift in judged.drifts if drift.slope is not None)


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
    )


def _sentences(drift: Drift) -> Iterator[str]:
    interval = ""
    if drift.low is not None:
        interval = f" (90 % interval {formats.slope(drift.low)} to {formats.slope(drift.high)})"
    yield f"Depth {drift.depth}: {formats.slope(drift.slope)} octaves per doubling{interval}."
    if drift.regret is not None:
        yield f"At the smallest width's best rate the largest loses {drift.regret:.4f}."
