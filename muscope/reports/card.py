"""The card of a variant: its verdict in a sentence, the worst tensor, agreement with theory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from muscope.spec import StudySpec, Variant
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import CellVerdict


@dataclass(frozen=True, slots=True)
class Card:
    """What a person reads first. `verdict` is None while there is nothing to judge.

    `standing` says what a verdict lacks: `so far` while runs may still come, `incomplete: …` when
    none will, nothing when it is firm. `small_rates_only`: theory speaks of small learning rates.
    """

    variant: str
    label: str
    verdict: CellVerdict | None
    final: bool
    sentence: str
    standing: str
    runs_judged: int
    runs_planned: int
    confidence: float
    worst: Cell | None
    agreeing: int
    comparable: int
    furthest: Cell | None
    power: str | None
    small_rates_only: bool

    @property
    def is_firm(self) -> bool:
        """Whether the verdict speaks of everything that was planned."""
        return not self.standing

    @property
    def as_theory_expects(self) -> bool | None:
        """Whether every slope agrees with theory; None where theory says nothing."""
        return self.agreeing == self.comparable if self.comparable else None


def card(verdict: VariantVerdict, variant: Variant, *, is_over: bool) -> Card:
    """The card of a judged variant of a study."""
    is_sp = variant.parametrization.name == "sp"
    return of_verdict(verdict, is_over=is_over, small_rates_only=is_sp)


def of_verdict(verdict: VariantVerdict, *, is_over: bool, small_rates_only: bool = False) -> Card:
    """The card of a verdict; legal exceptions are not held against it here either."""
    comparable = [
        cell for cell in verdict.cells if cell.as_expected is not None and not cell.exception
    ]
    disagreeing = [cell for cell in comparable if not cell.as_expected]
    return Card(
        variant=verdict.variant,
        label=verdict.label,
        verdict=verdict.verdict,
        final=verdict.final,
        sentence=verdict.sentence() if verdict.tensors else _nothing(is_over=is_over),
        standing=standing(verdict, is_over=is_over),
        runs_judged=verdict.runs_judged,
        runs_planned=verdict.runs_planned,
        confidence=verdict.confidence,
        worst=verdict.worst.worst if verdict.worst else None,
        agreeing=len(comparable) - len(disagreeing),
        comparable=len(comparable),
        furthest=max(disagreeing, key=_distance, default=None),
        power=verdict.power(),
        small_rates_only=small_rates_only,
    )


def standing(verdict: VariantVerdict, *, is_over: bool) -> str:
    """What a verdict lacks, and of what it speaks nevertheless; nothing when it lacks nothing."""
    if not is_over:
        return "" if verdict.final else "so far"
    if verdict.final and verdict.runs_judged == verdict.runs_planned:
        return ""
    widths = sorted({width for cell in verdict.cells for width in cell.widths})
    judged = f"incomplete: {verdict.runs_judged} of {verdict.runs_planned} runs judged"
    return f"{judged}, {_widths(widths)}" if widths else judged


def _widths(widths: Sequence[int]) -> str:
    """`width 64`, `widths 64, 128`."""
    noun = "width" if len(widths) == 1 else "widths"
    return f"{noun} {', '.join(map(str, widths))}"


def _nothing(*, is_over: bool) -> str:
    return "nothing was measured" if is_over else "nothing measured yet"


def _distance(cell: Cell) -> float:
    """How far a slope lies from what theory expects; a slope that is missing is farthest."""
    if cell.slope is None or cell.expected is None:
        return math.inf
    return abs(cell.slope - cell.expected)


def cards(
    spec: StudySpec, verdicts: Sequence[VariantVerdict], *, is_over: bool
) -> tuple[Card, ...]:
    """One card per variant in the order of the spec; `is_over`: nothing more will be measured."""
    judged = {verdict.variant: verdict for verdict in verdicts}
    planned = spec.run_count // len(spec.variants)
    return tuple(
        card(judged[variant.key], variant, is_over=is_over)
        if variant.key in judged
        else Card(
            variant=variant.key,
            label=variant.label,
            verdict=None,
            final=False,
            sentence=_nothing(is_over=is_over),
            standing="",
            runs_judged=0,
            runs_planned=planned,
            confidence=CONFIDENCE,
            worst=None,
            agreeing=0,
            comparable=0,
            furthest=None,
            power=None,
            small_rates_only=False,
        )
        for variant in spec.variants
    )
