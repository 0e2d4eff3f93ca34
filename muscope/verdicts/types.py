"""What a judgement says: plain values that travel as JSON, so the server needs no scipy to read."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from muscope.verdicts.looks import CONFIDENCE
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind

DECIDING: Mapping[TensorKind, tuple[Statistic, ...]] = {
    TensorKind.ACTIVATION: (Statistic.L1, Statistic.CHANGE),
    TensorKind.WEIGHT: (Statistic.CONTRIBUTION,),
}
"""The statistics that decide. Of weights it is what their updates do to a frozen input: growth
there is a fault even while activations hide it (facts 4). The others are judged and shown."""


class Judged(BaseModel):
    """Frozen and closed: a verdict is never edited, only superseded."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(Judged):
    """The slope of one statistic of one kind of a tensor at one step, and what it means.

    `slope` is the least-squares slope of log2(statistic, mean over seeds) on log2(width);
    [`low`, `high`] its Student-t interval from the per-seed slopes (None with one seed), at the
    verdict's confidence; all None where there is nothing to fit. `tolerance` is the half-width of
    *flat*. An `exception` is the reason why a departure from flat is legal here. `expected` is
    theory's exponent, None where it is unknown; `as_expected` says whether the slope agrees with
    it, None where that cannot be told; where it is excused it never disagrees.
    """

    tensor: str
    kind: TensorKind = TensorKind.ACTIVATION
    role: Role
    depth: int
    step: int
    statistic: Statistic
    verdict: CellVerdict
    slope: float | None
    low: float | None
    high: float | None
    seeds: int
    widths: tuple[int, ...]
    tolerance: float
    smallest_detectable: float | None
    exception: str | None
    expected: float | None
    as_expected: bool | None
    source: str

    @property
    def decides(self) -> bool:
        """Whether its statistic is one by which tensors of its kind are judged."""
        return self.statistic in DECIDING.get(self.kind, ())

    @property
    def counts(self) -> bool:
        """Whether this cell can decide a verdict: not excused, not exactly zero."""
        return self.exception is None and self.verdict is not CellVerdict.ZERO


class TensorVerdict(Judged):
    """A tensor's verdict: that of its worst non-excepted cell over the statistics that decide."""

    tensor: str
    kind: TensorKind = TensorKind.ACTIVATION
    role: Role
    depth: int
    verdict: CellVerdict
    worst: Cell | None

    def size(self) -> float:
        """|slope| of the worst cell, 0 where there is none."""
        return abs(self.worst.slope or 0.0) if self.worst else 0.0


class EarlyStop(Judged):
    """A variant that needed fewer seeds than it might have had."""

    seeds: int
    of: int

    def sentence(self) -> str:
        """`decided after 3 of 10 seeds`."""
        return f"decided after {self.seeds} of {self.of} seeds"


class VariantVerdict(Judged):
    """A variant's verdict: that of its worst tensor. Badge, table and exit code all read this.

    `confidence` is that of every interval. Of a variant that `stopped_early` the runs planned are
    those up to there, and the verdict is final while other variants go on.
    """

    variant: str
    label: str
    verdict: CellVerdict
    final: bool
    runs_judged: int
    runs_planned: int
    confidence: float = CONFIDENCE
    stopped_early: EarlyStop | None = None
    tensors: tuple[TensorVerdict, ...]
    cells: tuple[Cell, ...]

    @property
    def worst(self) -> TensorVerdict | None:
        """The tensor that decides; of several, the one with the largest |slope|."""
        deciding = [t for t in self.tensors if t.verdict is self.verdict and t.worst]
        return max(deciding, key=TensorVerdict.size, default=None)

    def power(self) -> str | None:
        """What this grid could not have told, and what would help; None where it decided."""
        cell = self.worst.worst if self.worst else None
        if self.verdict is not CellVerdict.INCONCLUSIVE or cell is None:
            return None
        if self.final and self.runs_judged < self.runs_planned:
            return f"only {self.runs_judged} of {self.runs_planned} runs could be judged"
        return _lack(cell)

    def sentence(self) -> str:
        """The verdict in words: `flat in all 19 tensors`, `grows in 7 of 19 tensors`."""
        if not self.tensors:
            return "nothing measured yet"
        early = f", {self.stopped_early.sentence()}" if self.stopped_early else ""
        return f"{self._in_tensors()}{early}"

    def _in_tensors(self) -> str:
        total = len(self.tensors)
        if self.verdict is CellVerdict.FLAT:
            return f"flat in all {total} tensors"
        count = sum(tensor.verdict is self.verdict for tensor in self.tensors)
        return f"{self.verdict.value} in {count} of {total} tensors"


def _lack(cell: Cell) -> str | None:
    """What kept an inconclusive cell from being decided, and what would help."""
    if len(cell.widths) < 2:
        return "one width gives no slope: add widths"
    if cell.seeds < 2:
        return "one seed gives no interval: add seeds"
    if cell.slope is None:
        return "nothing moved by more than rounding: take a larger learning rate"
    if cell.smallest_detectable is None:
        return None
    if cell.high is not None and cell.high < -cell.tolerance:
        return "it shrinks, perhaps no more than is legal here: add seeds or widths"
    detectable = f"{cell.smallest_detectable:.2f}"
    return f"a slope below {detectable} cannot be told from flat here: add seeds or widths"
