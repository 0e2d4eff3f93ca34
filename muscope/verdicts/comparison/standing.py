"""A variant in the table of a comparison: the numbers that its own verdict has."""

import math

from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.comparison.types import Standing
from muscope.verdicts.transfer.types import Drift, TransferJudgement
from muscope.verdicts.types import VariantVerdict


def standing(letter: str, one: Contender) -> Standing:
    """Its row, called by a letter."""
    judged = one.transfer or one.sizes
    found: dict[str, object] = {}
    if one.sizes is not None:
        found |= _worst(one.sizes)
    if one.transfer is not None:
        found["check"] = one.sizes.verdict if one.sizes else None
        found |= _rates(one.transfer)
    return Standing.model_validate(
        {
            "letter": letter,
            "study": one.study,
            "study_name": one.study_name,
            "variant": one.variant,
            "label": one.label,
            "kind": one.spec.kind,
            "verdict": judged.verdict if judged else None,
            "final": judged.final if judged else False,
            "sentence": judged.sentence() if judged else "not judged yet",
            "device_s": one.device_s,
            "device": one.surroundings.get("device", ""),
            **found,
        }
    )


def _worst(judged: VariantVerdict) -> dict[str, object]:
    worst = judged.worst
    cell = worst.worst if worst else None
    if cell is None:
        return {}
    return {
        "axis": cell.axis,
        "worst": cell.slope,
        "worst_low": cell.low,
        "worst_high": cell.high,
        "worst_at": f"{cell.tensor}, step {cell.step}",
    }


def _rates(judged: TransferJudgement) -> dict[str, object]:
    drift = _deciding(judged)
    cells = [
        (cell.loss, one.width, judged.log2_rate(cell.octave))
        for one in judged.optima
        for cell in one.cells
        if cell.loss is not None and math.isfinite(cell.loss)
    ]
    loss, width, rate = min(cells, default=(None, None, None))
    return {
        "drift": drift.slope if drift else None,
        "drift_low": drift.low if drift else None,
        "drift_high": drift.high if drift else None,
        "regret": drift.regret if drift else None,
        "best_loss": loss,
        "best_width": width,
        "best_rate": rate,
    }


def _deciding(judged: TransferJudgement) -> Drift | None:
    """The drift of the depth that decides."""
    of_verdict = [drift for drift in judged.drifts if drift.verdict is judged.verdict]
    return max(of_verdict, key=lambda drift: abs(drift.slope or 0.0), default=None)
