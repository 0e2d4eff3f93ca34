"""A check of a user's model in words and plain data: what was asked, found, and not judged."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from muscope import own_check
from muscope.lab import environment
from muscope.own_check import OwnArrival, Prepared
from muscope.own_model import OwnRole
from muscope.own_model.tensors import OwnTensor
from muscope.reports.html import ReportRun
from muscope.reports.own_report import OwnReport
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import RunState


def settings(prepared: Prepared) -> dict[str, JsonValue]:
    """What was asked: slopes of equal settings can be compared."""
    question, variant = prepared.question, prepared.variant
    recipe = question.recipe
    return {
        "target": question.target,
        "label": variant.label,
        "widths": list(question.widths),
        "depths": list(question.depths),
        "seeds": prepared.seeds,
        "steps": question.steps,
        "parametrization": recipe.choice.name if recipe and recipe.choice else None,
        "options": dict(recipe.choice.complete) if recipe and recipe.choice else {},
        "optimizer": recipe.optimizer if recipe else None,
        "learning_rate": recipe.learning_rate if recipe else None,
        "base_width": min(question.widths) if recipe and recipe.choice else None,
    }


def in_words(prepared: Prepared) -> dict[str, JsonValue]:
    """What was asked, and what was assumed."""
    return {**settings(prepared), "notes": list(prepared.said)}


def as_data(prepared: Prepared, verdict: VariantVerdict) -> dict[str, JsonValue]:
    """The check as JSON has it."""
    sized = prepared.sizes[0]
    return {
        "study": in_words(prepared),
        "parameters": [
            {"name": name, "role": role.word, "remark": role.remark}
            for name, role in sized.roles.items()
        ],
        "tensors": [_tensor(tensor) for tensor in sized.activations.tensors],
        "verdicts": [{"sentence": verdict.sentence(), **verdict.model_dump(mode="json")}],
        "failures": [
            {"width": f.width, "depth": f.depth, "sentence": f.sentence} for f in prepared.failures
        ],
    }


def _tensor(tensor: OwnTensor) -> dict[str, JsonValue]:
    return {
        "name": tensor.name,
        "role": tensor.role.value,
        "made_by": tensor.source,
        "shapes": {str(width): list(shape) for width, shape in tensor.shapes.items()},
        "judged": tensor.is_judged,
        "remark": tensor.remark,
    }


def report(
    prepared: Prepared, arrivals: Sequence[OwnArrival], verdict: VariantVerdict
) -> OwnReport:
    """All that the report of a check says."""
    sized = prepared.sizes[0]
    return OwnReport(
        title=verdict.label,
        verdict=verdict,
        grid=own_check.grid(prepared, arrivals),
        samples=[sample for arrival in arrivals for sample in arrival.samples],
        runs=_runs(prepared, arrivals),
        question={
            **in_words(prepared),
            **in_lines(sized.roles, sized.activations.tensors),
        },
        environment=measured_on(),
        created_at=datetime.now(UTC),
    )


def measured_on() -> dict[str, str]:
    """The versions and the device that decide the numbers."""
    here = environment.describe()
    return {"torch": here.torch_version, "device": here.device}


def in_lines(
    roles: Mapping[str, OwnRole], tensors: Sequence[OwnTensor]
) -> dict[str, dict[str, str]]:
    """Parameters and tensors, a line for each."""
    return {
        "parameters": {name: role.word for name, role in roles.items()},
        "tensors": {
            tensor.name: ", ".join(
                filter(None, (tensor.role.value, tensor.source, shapes(tensor), says(tensor)))
            )
            for tensor in tensors
        },
    }


def shapes(tensor: OwnTensor) -> str:
    """`8×32×64→128`: of the narrow one, and what a dimension becomes."""
    narrow, wide = list(tensor.shapes.values())[:2]
    if len(narrow) != len(wide):
        return f"{_shape(narrow)} → {_shape(wide)}"
    pairs = zip(narrow, wide, strict=True)
    return "×".join(str(one) if one == other else f"{one}→{other}" for one, other in pairs)


def says(tensor: OwnTensor) -> str:
    """The remark on a tensor, with whether it is judged."""
    return tensor.remark if tensor.is_judged else f"not judged: {tensor.remark}"


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _runs(prepared: Prepared, arrivals: Sequence[OwnArrival]) -> list[ReportRun]:
    key = prepared.variant.key
    ended = [
        ReportRun(
            variant=key,
            width=arrival.width,
            depth=arrival.depth,
            seed=arrival.seed,
            state=RunState.FINISHED if arrival.is_finite else RunState.DIVERGED,
            train_loss=arrival.losses[-1],
        )
        for arrival in arrivals
    ]
    failed = [
        ReportRun(key, f.width, f.depth or 0, 0, RunState.FAILED, note=f.sentence)
        for f in prepared.failures
    ]
    return [*ended, *failed]
