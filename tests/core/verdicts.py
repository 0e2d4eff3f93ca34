"""Verdicts written down, for tests of what is made of them."""

from muscope.verdicts.diagnosis.types import Diagnosis, Suspect
from muscope.verdicts.types import Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, Role, Statistic

LIMIT = 0.1
"""The tolerance of the cells made here."""


def cell(tensor: str, slope: float, half: float | None = 0.02, *, step: int = 1) -> Cell:
    """The change of a hidden tensor, with half its interval."""
    low, high = (None, None) if half is None else (slope - half, slope + half)
    return Cell(
        tensor=tensor,
        role=Role.HIDDEN,
        depth=2,
        step=step,
        statistic=Statistic.CHANGE,
        verdict=_verdict(slope, half),
        slope=slope,
        low=low,
        high=high,
        seeds=1 if half is None else 5,
        widths=(64, 128, 256),
        tolerance=LIMIT,
        smallest_detectable=None if half is None else LIMIT + half,
        exception=None,
        expected=0.0,
        as_expected=None if half is None else abs(slope) <= half + LIMIT,
        source="",
    )


def _verdict(slope: float, half: float | None) -> CellVerdict:
    if half is None or slope - half <= LIMIT < slope + half:
        return CellVerdict.INCONCLUSIVE
    if slope - half > LIMIT:
        return CellVerdict.GROWS
    return CellVerdict.SHRINKS if slope + half < -LIMIT else CellVerdict.FLAT


ORDER = (
    CellVerdict.FLAT,
    CellVerdict.INCONCLUSIVE,
    CellVerdict.SHRINKS,
    CellVerdict.GROWS,
    CellVerdict.DIVERGED,
)


def verdict(
    *cells: Cell, diagnosis: Diagnosis | None = None, label: str = "MLP · µP · AdamW"
) -> VariantVerdict:
    """A final one on tensors of a cell each."""
    tensors = tuple(
        TensorVerdict(tensor=c.tensor, role=c.role, depth=c.depth, verdict=c.verdict, worst=c)
        for c in cells
    )
    worst = max((t.verdict for t in tensors), key=ORDER.index, default=CellVerdict.INCONCLUSIVE)
    return VariantVerdict(
        variant="mlp-mup",
        label=label,
        verdict=worst,
        final=True,
        runs_judged=15,
        runs_planned=15,
        diagnosis=diagnosis,
        tensors=tensors,
        cells=cells,
    )


def suspicion() -> Diagnosis:
    """The first suspect is the learning rate."""
    first = Suspect(
        fault="learning_rate_unscaled",
        title="hidden learning rate not scaled",
        score=0.7,
        evidence=("the change of hidden grows as n^+1.0",),
        fix="hidden: learning rate ∕ m",
        visible_in="width slopes",
    )
    second = first.model_copy(update={"title": "wrong base width", "score": 0.3})
    return Diagnosis(suspects=(first, second), separates="two more widths")
