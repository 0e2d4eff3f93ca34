"""Did the demo show what it promises? The exit rule of `muscope up --demo --exit`, in sentences.

The rule: no tensor of µP grows, shrinks or diverges, which is what its badge says and more than
its l1 cells; at least 90 % of µP's l1 cells are flat; the change of every hidden or residual
tensor of SP with AdamW grows in at least one step. The 90 % are taken over the l1 cells of all µP
variants but the exactly zero ones, which have nothing to fit; an excused cell is not flat and
stays in the denominator.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from muscope.spec import StudySpec, Variant
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind

FLAT_SHARE = 0.90

_FAULTS = (CellVerdict.GROWS, CellVerdict.SHRINKS, CellVerdict.DIVERGED)


def complaints(spec: StudySpec, verdicts: Sequence[VariantVerdict]) -> list[str]:
    """Everything that keeps the demo from being accepted, one sentence each; empty: accepted."""
    by_key = {verdict.variant: verdict for verdict in verdicts}
    judged = [(variant, by_key.get(variant.key)) for variant in spec.variants]
    mup = [verdict for variant, verdict in judged if verdict and _is_mup(variant)]
    found = [text for variant, verdict in judged for text in _of_variant(variant, verdict)]
    return [*found, *_too_few_flat(mup)]


def _is_mup(variant: Variant) -> bool:
    return variant.parametrization.name == "mup"


def _of_variant(variant: Variant, verdict: VariantVerdict | None) -> Iterator[str]:
    if verdict is None or not verdict.cells:
        yield f"{variant.label}: nothing was measured."
        return
    if verdict.runs_judged < verdict.runs_planned:
        yield (
            f"{variant.label}: only {verdict.runs_judged} of {verdict.runs_planned} runs "
            "could be judged."
        )
    if _is_mup(variant):
        yield from _mup_moves(verdict)
    elif variant.optimizer.name == "adamw":
        yield from _sp_does_not_grow(verdict)


def _mup_moves(verdict: VariantVerdict) -> Iterator[str]:
    for tensor in verdict.tensors:
        if tensor.verdict in _FAULTS and tensor.worst:
            yield f"{verdict.label}: {_in_words(tensor.worst)}."


def _too_few_flat(verdicts: Sequence[VariantVerdict]) -> Iterator[str]:
    cells = [cell for verdict in verdicts for cell in _l1(verdict)]
    fitted = [cell for cell in cells if cell.verdict is not CellVerdict.ZERO]
    flat = sum(cell.verdict is CellVerdict.FLAT for cell in fitted)
    if flat < FLAT_SHARE * len(fitted):
        yield (
            f"µP: {flat} of {len(fitted)} l1 cells are flat ({flat / len(fitted):.0%}), "
            f"at least {FLAT_SHARE:.0%} are asked."
        )


def _l1(verdict: VariantVerdict) -> list[Cell]:
    return [cell for cell in _of_activations(verdict) if cell.statistic is Statistic.L1]


def _of_activations(verdict: VariantVerdict) -> list[Cell]:
    return [cell for cell in verdict.cells if cell.kind is TensorKind.ACTIVATION]


def _sp_does_not_grow(verdict: VariantVerdict) -> Iterator[str]:
    changes = [
        cell
        for cell in _of_activations(verdict)
        if cell.statistic is Statistic.CHANGE and cell.role in (Role.HIDDEN, Role.RESIDUAL)
    ]
    for (tensor, depth), cells in groupby(changes, key=lambda cell: (cell.tensor, cell.depth)):
        if not any(cell.verdict is CellVerdict.GROWS for cell in cells):
            yield f"{verdict.label}: the change of {tensor} (depth {depth}) grows at no step."


def _in_words(cell: Cell) -> str:
    slope = "" if cell.slope is None else f" (slope {cell.slope:+.2f})"
    where = f"{cell.statistic} of {cell.tensor} (depth {cell.depth})"
    return f"{where} {cell.verdict} at step {cell.step}{slope}"
