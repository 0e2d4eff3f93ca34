"""What a judgement says: plain values that travel as JSON, so the server needs no scipy to read."""

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.verdicts.looks import CONFIDENCE
from muscope.vocabulary import Axis, CellVerdict, Role, Statistic, TensorKind

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
    *flat*. An `exception` is the reason why a departure from flat is legal here; what is legal lies
    between `legal_low` and `legal_high`, whether this slope lies there or not. `expected` is
    theory's exponent, None where it is unknown; `as_expected` says whether the slope agrees with
    it, None where that cannot be told; where it is excused it never disagrees.

    On another `axis` than width the slope is on log2 of that axis, `widths` are the places on it
    (depths, batch sizes, steps), and `width` is the one width that was held; `depth` and `step` are
    then those held, or the largest on their own axis. `batch_size` is None where a study has one.

    `curvature` is the quadratic term of log2(statistic) in log2 of the axis, with its interval;
    `bends` says that it is beyond what a straight line allows.
    """

    axis: Axis = Axis.WIDTH
    width: int | None = None
    batch_size: int | None = None
    curvature: float | None = None
    curvature_low: float | None = None
    curvature_high: float | None = None
    bends: bool = False
    legal_low: float | None = None
    legal_high: float | None = None
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
    def is_against_theory(self) -> bool:
        """Whether it departs from theory's exponent, and not in a way that may be legal.

        What is legal are departures from flat: one that is flat where theory shrinks is none.
        """
        if self.as_expected is not False or self.low is None or self.high is None:
            return False
        low = -math.inf if self.legal_low is None else self.legal_low
        may_be_legal = (
            self.verdict is not CellVerdict.FLAT
            and self.legal_high is not None
            and low <= self.high
            and self.low <= self.legal_high
        )
        return not may_be_legal and not self.saturates

    @property
    def saturates(self) -> bool:
        """Whether it grows as theory says, and less: large learning rates do that."""
        if self.slope is None or self.expected is None:
            return False
        return self.as_expected is False and self.tolerance < self.slope < self.expected

    @property
    def is_beyond_flat(self) -> bool:
        """Whether its own interval lies beyond the tolerance, whatever its word among others."""
        if self.low is None or self.high is None:
            return False
        return self.low > self.tolerance or self.high < -self.tolerance

    @property
    def bends_and_counts(self) -> bool:
        """Whether it is a bent line by which its tensor is judged."""
        return self.bends and self.decides and self.counts

    @property
    def end_slope(self) -> float | None:
        """The slope of the parabola at the far end of the axis; None without one."""
        if self.slope is None or self.curvature is None:
            return None
        logs = [math.log2(place) for place in self.widths]
        mean = math.fsum(logs) / len(logs)
        centred = [log - mean for log in logs]
        lean = math.fsum(x**3 for x in centred) / math.fsum(x**2 for x in centred)
        return self.slope + self.curvature * (2 * centred[-1] - lean)

    @property
    def counts(self) -> bool:
        """Whether this cell can decide a verdict: not excused, not exactly zero."""
        return self.exception is None and self.verdict is not CellVerdict.ZERO


class TensorVerdict(Judged):
    """A tensor's verdict: that of its worst non-excepted cell over the statistics that decide."""

    axis: Axis = Axis.WIDTH
    width: int | None = None
    batch_size: int | None = None
    tensor: str
    kind: TensorKind = TensorKind.ACTIVATION
    role: Role
    depth: int
    verdict: CellVerdict
    worst: Cell | None

    def size(self) -> float:
        """|slope| of the worst cell, 0 where there is none."""
        return abs(self.worst.slope or 0.0) if self.worst else 0.0


ENOUGH = 0.8
"""How likely an addition should decide: the power that studies are planned for by convention."""


class Addition(Judged):
    """The cheapest addition that would decide an inconclusive variant.

    `widths` are extra ones, `seeds` how many there should be in all, at every width. `probability`
    is how likely that decides the verdict, `decided` what share of the open slopes it decides on
    average, and `cost` its FLOPs over those of the study so far; None where they cannot be told.
    """

    seeds: int
    widths: tuple[int, ...] = ()
    probability: float | None = None
    decided: float | None = None
    cost: float | None = None

    def sentence(self) -> str:
        """`width 1024 and 5 seeds in all would decide it with a probability of 84 %, for 2.1 …`."""
        wider = ", ".join(map(str, self.widths))
        noun = "width" if len(self.widths) == 1 else "widths"
        what = f"{noun} {wider} and " if wider else ""
        cost = "" if self.cost is None else f", for {self.cost:.2g} times the cost so far"
        return f"{what}{self.seeds} seeds in all would {self._effect()}{cost}"

    def _effect(self) -> str:
        if self.probability is None or self.decided is None:
            return "give intervals"
        sure = f"with a probability of {_percent(self.probability)}"
        if self.probability >= ENOUGH or self.probability >= self.decided:
            return f"decide it {sure}"
        share = _percent(self.decided)
        return f"decide about {share} of the open slopes, and the whole verdict {sure}"


def _percent(share: float) -> str:
    """Rounded down, and never certain."""
    return f"{min(99, math.floor(100 * share))} %"


class Joint(Judged):
    """Width and depth together, at one step: the interaction with its interval.

    `holds` says whether the slope on width is the same at every depth, None where that is open.
    """

    tensor: str
    kind: TensorKind = TensorKind.ACTIVATION
    role: Role
    step: int
    statistic: Statistic
    batch_size: int | None = None
    width_slope: float
    depth_slope: float
    interaction: float
    low: float | None
    high: float | None
    seeds: int
    holds: bool | None


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

    `cells` and `tensors` are slopes on width; those on depth, batch size and step are in
    `further_cells` and `further_tensors` (`cells_on` gives those of any axis). `stable` says
    whether sizes keep with width, `as_theory` whether slopes are those that the parametrization's
    theory gives; both None where that cannot be told. `theory_of` names the parametrization whose
    theory that is, where the model was given none.
    """

    variant: str
    label: str
    verdict: CellVerdict
    final: bool
    runs_judged: int
    runs_planned: int
    confidence: float = CONFIDENCE
    stopped_early: EarlyStop | None = None
    stable: bool | None = None
    depth_stable: bool | None = None
    as_theory: bool | None = None
    theory_of: str = ""
    addition: Addition | None = None
    diagnosis: Diagnosis | None = None
    tensors: tuple[TensorVerdict, ...]
    cells: tuple[Cell, ...]
    further_tensors: tuple[TensorVerdict, ...] = ()
    further_cells: tuple[Cell, ...] = ()
    joint: tuple[Joint, ...] = ()

    def judged(self) -> tuple[Cell, ...]:
        """Its slopes on width, but for those of tensors that are shown and not judged."""
        names = {(tensor.kind, tensor.tensor) for tensor in self.tensors}
        return tuple(cell for cell in self.cells if (cell.kind, cell.tensor) in names)

    def cells_on(self, axis: Axis) -> tuple[Cell, ...]:
        """Its slopes on one axis."""
        return tuple(cell for cell in (*self.cells, *self.further_cells) if cell.axis is axis)

    def tensors_on(self, axis: Axis) -> tuple[TensorVerdict, ...]:
        """The verdicts of its tensors on one axis."""
        return tuple(one for one in (*self.tensors, *self.further_tensors) if one.axis is axis)

    @property
    def worst(self) -> TensorVerdict | None:
        """The tensor that decides; of several, the one with the largest |slope|."""
        every = (*self.tensors, *self.further_tensors)
        deciding = [t for t in every if t.verdict is self.verdict and t.worst]
        return max(deciding, key=TensorVerdict.size, default=None)

    def power(self) -> str | None:
        """What this grid could not have told, and what would help; None where it decided."""
        cell = self.worst.worst if self.worst else None
        if self.verdict is not CellVerdict.INCONCLUSIVE or cell is None:
            return None
        if self.final and self.runs_judged < self.runs_planned:
            return f"only {self.runs_judged} of {self.runs_planned} runs could be judged"
        lack = _lack(cell)
        if lack is None or self.addition is None:
            return lack
        return f"{lack.rpartition(': ')[0]}: {self.addition.sentence()}"

    def sentence(self) -> str:
        """The verdict in words: `flat in all 19 tensors`, `grows in 7 of 19 tensors`."""
        if not self.tensors:
            return "nothing measured yet"
        early = f", {self.stopped_early.sentence()}" if self.stopped_early else ""
        return f"{self._in_tensors()}{self._in_lines()}{early}"

    def _in_lines(self) -> str:
        """How many lines that count are none."""
        bent = {(c.tensor, c.depth, c.batch_size) for c in self.judged() if c.bends_and_counts}
        return f", {len(bent)} {'line bends' if len(bent) == 1 else 'lines bend'}" if bent else ""

    def _in_tensors(self) -> str:
        total = len(self.tensors)
        if self.verdict is CellVerdict.FLAT:
            return f"flat in all {total} tensors"
        count = sum(tensor.verdict is self.verdict for tensor in self.tensors)
        if count:
            return f"{self.verdict.value} in {count} of {total} tensors"
        others = [tensor.verdict is self.verdict for tensor in self.further_tensors]
        return f"{self.verdict.value} with depth in {sum(others)} of {len(others)} places"


def _nothing_to_fit(cell: Cell) -> str:
    if cell.verdict is CellVerdict.ZERO:
        return "nothing moved by more than rounding: take a larger learning rate"
    return (
        "no seed was measured, and more than zero, at every width: take the same seeds at every "
        "width"
    )


def _lack(cell: Cell) -> str | None:
    """What kept an inconclusive cell from being decided, and what would help."""
    if len(cell.widths) < 2:
        return "one width gives no slope: add widths"
    if cell.seeds < 2:
        return "one seed gives no interval: add seeds"
    if cell.slope is None:
        return _nothing_to_fit(cell)
    return _beyond(cell) if cell.is_beyond_flat else _not_told_from_flat(cell)


def _not_told_from_flat(cell: Cell) -> str | None:
    """What a grid of so much noise could not have told."""
    if cell.smallest_detectable is None:
        return None
    detectable = f"{cell.smallest_detectable:.2f}"
    return f"a slope below {detectable} cannot be told from flat here: add seeds or widths"


def _beyond(cell: Cell) -> str:
    """What keeps open a cell whose own interval lies beyond flat."""
    if cell.legal_high is not None and (cell.slope or 0.0) < 0:
        return "it shrinks, perhaps no more than is legal here: add seeds or widths"
    return "of so many slopes one lies beyond flat by chance: add seeds or widths"
