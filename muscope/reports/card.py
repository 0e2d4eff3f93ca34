"""The card of a variant: its verdict in a sentence, the worst tensor, agreement with theory."""

from collections.abc import Sequence
from dataclasses import dataclass

from muscope.recorded import AnySpec
from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.remarks import remarks
from muscope.verdicts.types import Addition, Cell, VariantVerdict
from muscope.vocabulary import CellVerdict


@dataclass(frozen=True, slots=True)
class Card:
    """What a person reads first. `verdict` is None while there is nothing to judge.

    `standing` says what a verdict lacks: `so far` while runs may still come, `incomplete: …` when
    none will, nothing when it is firm. `remarks` are what the word does not say, in sentences.
    `as_theory` says whether slopes are those of the parametrization's own theory, or of that of
    `theory_of` where it has none; `stable` and `depth_stable` whether sizes keep with width and
    with depth, whatever theory says of them.
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
    power: str | None
    remarks: tuple[str, ...] = ()
    as_theory: bool | None = None
    theory_of: str = ""
    stable: bool | None = None
    depth_stable: bool | None = None
    diagnosis: Diagnosis | None = None
    addition: Addition | None = None

    @property
    def is_firm(self) -> bool:
        """Whether the verdict speaks of everything that was planned."""
        return not self.standing


def card(verdict: VariantVerdict, *, is_over: bool) -> Card:
    """The card of a verdict."""
    return Card(
        variant=verdict.variant,
        label=verdict.label,
        verdict=verdict.verdict,
        final=verdict.final,
        sentence=verdict.sentence()
        if verdict.tensors
        else _nothing(is_over=is_over, is_something=bool(verdict.cells)),
        standing=standing(verdict, is_over=is_over),
        runs_judged=verdict.runs_judged,
        runs_planned=verdict.runs_planned,
        confidence=verdict.confidence,
        worst=verdict.worst.worst if verdict.worst else None,
        power=verdict.power(),
        remarks=remarks(verdict),
        as_theory=verdict.as_theory,
        theory_of=verdict.theory_of,
        stable=verdict.stable,
        depth_stable=verdict.depth_stable,
        diagnosis=verdict.diagnosis,
        addition=verdict.addition,
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


def _nothing(*, is_over: bool, is_something: bool = False) -> str:
    if is_something:
        return "nothing that decides was measured: l1 or change of activations"
    return "nothing was measured" if is_over else "nothing measured yet"


def cards(spec: AnySpec, verdicts: Sequence[VariantVerdict], *, is_over: bool) -> tuple[Card, ...]:
    """One card per variant in the order of the spec; `is_over`: nothing more will be measured."""
    judged = {verdict.variant: verdict for verdict in verdicts}
    planned = spec.run_count // len(spec.variants)
    return tuple(
        card(judged[variant.key], is_over=is_over)
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
            power=None,
        )
        for variant in spec.variants
    )
