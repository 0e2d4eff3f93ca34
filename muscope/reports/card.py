"""The card of a variant: its verdict in a sentence, the worst tensor, agreement with theory."""

import math
from dataclasses import dataclass

from muscope.spec import StudySpec
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import CellVerdict


@dataclass(frozen=True, slots=True)
class Card:
    """What a person reads first. `verdict` is None while there is nothing to judge."""

    variant: str
    label: str
    verdict: CellVerdict | None
    final: bool
    sentence: str
    runs_judged: int
    runs_planned: int
    worst: Cell | None
    agreeing: int
    comparable: int
    furthest: Cell | None
    power: str | None

    @property
    def as_theory_expects(self) -> bool | None:
        """Whether every slope agrees with theory; None where theory says nothing."""
        return self.agreeing == self.comparable if self.comparable else None


def card(verdict: VariantVerdict) -> Card:
    """The card of a judged variant; legal exceptions are not held against it here either."""
    comparable = [
        cell for cell in verdict.cells if cell.as_expected is not None and not cell.exception
    ]
    disagreeing = [cell for cell in comparable if not cell.as_expected]
    return Card(
        variant=verdict.variant,
        label=verdict.label,
        verdict=verdict.verdict,
        final=verdict.final,
        sentence=verdict.sentence(),
        runs_judged=verdict.runs_judged,
        runs_planned=verdict.runs_planned,
        worst=verdict.worst.worst if verdict.worst else None,
        agreeing=len(comparable) - len(disagreeing),
        comparable=len(comparable),
        furthest=max(disagreeing, key=_distance, default=None),
        power=verdict.power(),
    )


def _distance(cell: Cell) -> float:
    """How far a slope lies from what theory expects; a slope that is missing is farthest."""
    if cell.slope is None or cell.expected is None:
        return math.inf
    return abs(cell.slope - cell.expected)


def cards(spec: StudySpec, verdicts: list[VariantVerdict]) -> tuple[Card, ...]:
    """One card per variant in the order of the spec; those not judged yet say so."""
    judged = {verdict.variant: verdict for verdict in verdicts}
    planned = spec.run_count // len(spec.variants)
    return tuple(
        card(judged[variant.key])
        if variant.key in judged
        else Card(
            variant=variant.key,
            label=variant.label,
            verdict=None,
            final=False,
            sentence="nothing measured yet",
            runs_judged=0,
            runs_planned=planned,
            worst=None,
            agreeing=0,
            comparable=0,
            furthest=None,
            power=None,
        )
        for variant in spec.variants
    )
