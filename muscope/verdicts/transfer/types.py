"""What a judgement of a learning-rate study says: plain values that travel as JSON."""

import math
from typing import Literal, TypeAlias

from muscope.spec import TRANSFER_AXES
from muscope.verdicts.transfer.words import at, doubling, noun, nouns
from muscope.verdicts.types import Judged
from muscope.vocabulary import Axis, TransferVerdict

KEPT_BY_RULES: tuple[Axis, ...] = (Axis.WIDTH, Axis.DEPTH)
"""Over these rules promise that the best rate stays. Over batch size, sequence length and steps
none does, and it is known to move (facts 7.1; 9, row 16): that is no fault of a rule."""

JudgedOn: TypeAlias = Literal["held_out", "training"]
"""Which loss decides: that on held-out data, or the mean of the last training losses."""


def is_harmless(verdict: object, axis: Axis) -> bool:
    """Whether a verdict says of a best rate that it moves over what no rule keeps it over."""
    return verdict is TransferVerdict.DRIFTS and axis not in KEPT_BY_RULES


class RateCell(Judged):
    """The loss at one learning rate, mean over seeds; None where a seed has none.

    Of the `seeds`, `diverged` were not finite and `stopped` were stopped early as hopeless; older
    verdicts count these among the diverged. `train_loss` is the mean of the last training losses,
    where that is known.
    """

    octave: float
    loss: float | None
    seeds: int
    diverged: int
    train_loss: float | None = None
    stopped: int = 0


class WidthOptimum(Judged):
    """The best learning rate at one place: a width and depth, and what else the study varies.

    `optimum` is the octave of the vertex, None where worse rates do not bracket it on both sides;
    [`low`, `high`] its 90 % Student-t interval over the optima of the single seeds, None unless at
    least two seeds have one; `best` is the octave of the best cell. `plateau` is over how many
    octaves the loss is within 0.01 of the least; `sensitivity` how much is lost on average over the
    rates, up to what an untrained model loses; None where they cannot be told.
    """

    width: int
    depth: int
    cells: tuple[RateCell, ...]
    best: float | None
    optimum: float | None
    low: float | None
    high: float | None
    seeds: int
    plateau: float | None = None
    sensitivity: float | None = None
    batch_size: int | None = None
    sequence_length: int | None = None
    steps: int | None = None

    def on(self, axis: Axis) -> int:
        """Where it stands on an axis that the study varies."""
        return int(getattr(self, axis.value) or 0)

    @property
    def missing_side(self) -> str:
        """Where no rate was tried beyond the best one: `smaller`, `larger`, or nowhere."""
        octaves = [cell.octave for cell in self.cells]
        if self.best is None or self.is_bracketed or len(octaves) < 2:
            return ""
        return {octaves[0]: "smaller", octaves[-1]: "larger"}.get(self.best, "")

    @property
    def is_bracketed(self) -> bool:
        """Whether worse rates were seen on both sides of the best one."""
        return self.optimum is not None


class Drift(Judged):
    """How the optimum moves along an axis, all else the same: octaves per doubling, with interval.

    None where it cannot be told: an optimum is missing, or too few seeds have all. `regret` is how
    much worse the largest of `values` does at the best rate of the smallest than at its own, in the
    unit of the loss; None where that rate was not tried there, or diverged. `cells` and `vertices`
    are the octaves from the best cell, and from the optimum, of the smallest to those of the
    largest; `same_cell` is Lingle's yes or no. `worse_when_wider` names the first two widths,
    depths or numbers of steps of which the larger one does worse at the best rate of the smallest,
    beyond the noise of its seeds; None where none does, and over axes on which a larger value need
    not be better.

    What else a study varies is the same for all of a drift: `width` and so on; of its own axis that
    is the largest. `expected` are the octaves that theory or practice, its `source`, gives.
    """

    depth: int
    verdict: TransferVerdict
    slope: float | None
    low: float | None
    high: float | None
    tolerance: float
    regret: float | None
    cells: float | None = None
    vertices: float | None = None
    same_cell: bool | None = None
    worse_when_wider: tuple[int, int] | None = None
    axis: Axis = Axis.WIDTH
    values: tuple[int, ...] = ()
    width: int | None = None
    batch_size: int | None = None
    sequence_length: int | None = None
    steps: int | None = None
    expected: float | None = None
    source: str = ""

    def on(self, axis: Axis) -> int:
        """Where it stands on another axis than its own."""
        return int(getattr(self, axis.value) or 0)

    @property
    def as_expected(self) -> bool | None:
        """Whether the interval agrees with what is expected, within the tolerance; None is open."""
        if self.expected is None or self.low is None or self.high is None:
            return None
        below, above = self.low - self.expected, self.high - self.expected
        if max(abs(below), abs(above)) <= self.tolerance:
            return True
        return False if below > self.tolerance or above < -self.tolerance else None


class TransferJudgement(Judged):
    """A variant's verdict on its learning rate over an axis: that of its worst drift.

    Where a study varies more than its axis, there is a drift along it at every place; those along
    the other axes, `across`, are told too, and decide nothing.
    """

    variant: str
    label: str
    learning_rate: float
    verdict: TransferVerdict
    final: bool
    runs_judged: int
    runs_planned: int
    optima: tuple[WidthOptimum, ...]
    drifts: tuple[Drift, ...]
    axis: Axis = Axis.WIDTH
    across: tuple[Drift, ...] = ()
    judged_on: JudgedOn | None = None

    @property
    def worst(self) -> Drift | None:
        """The drift that decides; of several, the largest."""
        deciding = [drift for drift in self.drifts if drift.verdict is self.verdict]
        return max(deciding, key=lambda drift: abs(drift.slope or 0.0), default=None)

    @property
    def is_harmless(self) -> bool:
        """Whether its best rate moves over what no rule keeps it over."""
        return is_harmless(self.verdict, self.axis)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What was varied: the axis of the verdict first."""
        return tuple(dict.fromkeys((self.axis, *(drift.axis for drift in self.across))))

    def drifts_on(self, axis: Axis) -> tuple[Drift, ...]:
        """Those along one axis."""
        return tuple(drift for drift in (*self.drifts, *self.across) if drift.axis is axis)

    def where(self, one: WidthOptimum | Drift, axis: Axis) -> str:
        """What one has beside its place on an axis, of what varies: `depth 2, batch size 8`."""
        others = [other for other in TRANSFER_AXES if other is not axis]
        several = [other for other in others if len({known.on(other) for known in self.optima}) > 1]
        told = several or [Axis.DEPTH if axis is Axis.WIDTH else Axis.WIDTH]
        return ", ".join(at(other, one.on(other)) for other in told)

    def log2_rate(self, octave: float) -> float:
        """The binary logarithm of the learning rate at an octave."""
        return math.log2(self.learning_rate) + octave

    def sentence(self) -> str:
        """The verdict in words."""
        worst = self.worst
        match self.verdict:
            case TransferVerdict.NOT_BRACKETED:
                return self._without_an_optimum()
            case TransferVerdict.INCONCLUSIVE if worst is None or worst.low is None:
                return (
                    "the drift has no interval: at least 2 seeds need an optimum of their own at "
                    f"every {noun(self.axis)}"
                )
            case TransferVerdict.INCONCLUSIVE:
                more = nouns(self.axis)
                return f"the interval of the drift is too wide to tell: add seeds or {more}"
            case _ if worst is None or worst.slope is None:
                return "nothing measured yet"
            case TransferVerdict.TRANSFERS:
                return (
                    f"the optimum stays: {_signed(worst.slope)} octaves per {doubling(self.axis)}"
                )
            case _:
                moves = (
                    f"the optimum moves {_signed(worst.slope)} octaves per {doubling(self.axis)}"
                )
                return f"{moves}, as expected" if worst.as_expected else moves

    def _without_an_optimum(self) -> str:
        """Where there is no optimum, and which rates would show one."""
        still_open = [one.on(self.axis) for one in self.optima if not one.is_bracketed]
        sides = dict.fromkeys(one.missing_side for one in self.optima if one.missing_side)
        advice = f"; add {' and '.join(sides)} octaves" if sides else ""
        if not still_open:
            return self._without_a_drift()
        return (
            f"no optimum at {at(self.axis, *dict.fromkeys(still_open))}: the best rate "
            f"has no worse one on both sides{advice}"
        )

    def _without_a_drift(self) -> str:
        """Every place that was trained has an optimum, and yet there is no drift."""
        values = {value for drift in self.drifts for value in drift.values}
        if values and values == {one.on(self.axis) for one in self.optima}:
            return (
                f"the seeds that every {noun(self.axis)} has do not bracket the best rate: train "
                "the missing ones"
            )
        return f"not every {noun(self.axis)} has been trained, so the drift cannot be told"


def _signed(value: float) -> str:
    """Two decimals with a sign, and a true minus."""
    return f"{value:+.2f}".replace("-", "−")
