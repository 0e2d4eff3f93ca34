"""What a judgement of a learning-rate study says: plain values that travel as JSON."""

import math

from muscope.verdicts.types import Judged
from muscope.vocabulary import TransferVerdict


class RateCell(Judged):
    """The loss at one learning rate, mean over seeds; None where a seed diverged.

    `diverged` of the `seeds` were not finite, or were stopped early as hopeless.
    """

    octave: float
    loss: float | None
    seeds: int
    diverged: int


class WidthOptimum(Judged):
    """The best learning rate at one width and depth.

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
    """How the optimum moves with width at one depth: octaves per doubling, with interval.

    None where it cannot be told: an optimum is missing, or too few seeds have all. `regret` is how
    much worse the largest width does at the best rate of the smallest than at its own, in the unit
    of the loss; None where that rate was not tried there. `cells` and `vertices` are the octaves
    from the best cell, and from the optimum, of the smallest width to those of the largest;
    `same_cell` is Lingle's yes or no. `worse_when_wider` names the first two widths of which the
    wider one does worse at the best rate of the smallest, None where none does.
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


class TransferJudgement(Judged):
    """A variant's verdict on its learning rate: that of its worst depth."""

    variant: str
    label: str
    learning_rate: float
    verdict: TransferVerdict
    final: bool
    runs_judged: int
    runs_planned: int
    optima: tuple[WidthOptimum, ...]
    drifts: tuple[Drift, ...]

    def log2_rate(self, octave: float) -> float:
        """The binary logarithm of the learning rate at an octave."""
        return math.log2(self.learning_rate) + octave

    def sentence(self) -> str:
        """The verdict in words."""
        worst = next((drift for drift in self.drifts if drift.verdict is self.verdict), None)
        match self.verdict:
            case TransferVerdict.NOT_BRACKETED:
                return self._without_an_optimum()
            case TransferVerdict.INCONCLUSIVE if worst is None or worst.low is None:
                return (
                    "the drift has no interval: at least 2 seeds need an optimum of their own at "
                    "every width"
                )
            case TransferVerdict.INCONCLUSIVE:
                return "the interval of the drift is too wide to tell: add seeds or widths"
            case _ if worst is None or worst.slope is None:
                return "nothing measured yet"
            case TransferVerdict.TRANSFERS:
                return f"the optimum stays: {_signed(worst.slope)} octaves per doubling of width"
            case _:
                return f"the optimum moves {_signed(worst.slope)} octaves per doubling of width"

    def _without_an_optimum(self) -> str:
        """Where there is no optimum, and which rates would show one."""
        open_widths = [str(one.width) for one in self.optima if not one.is_bracketed]
        sides = dict.fromkeys(one.missing_side for one in self.optima if one.missing_side)
        advice = f"; add {' and '.join(sides)} octaves" if sides else ""
        if not open_widths:
            return "not every width has been trained, so the drift cannot be told"
        return (
            f"no optimum at width {', '.join(dict.fromkeys(open_widths))}: the best rate "
            f"has no worse one on both sides{advice}"
        )


def _signed(value: float) -> str:
    """Two decimals with a sign, and a true minus."""
    return f"{value:+.2f}".replace("-", "−")
