"""Synthetic measurements with known exponents, for tests of verdicts."""

from collections.abc import Callable
from dataclasses import replace

from muscope import plan
from muscope.catalogue import ActivationEntry
from muscope.records import Sample, Values
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    RunSpec,
    StudySpec,
)
from muscope.verdicts.judge import judge
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import Statistic, TensorKind

Law = Callable[[RunSpec, ActivationEntry, int], float]


def study(
    *,
    parametrization: str = "mup",
    zero_readout: bool | None = None,
    seeds: int = 5,
    steps: int = 2,
) -> StudySpec:
    """An MLP of one hidden layer at four widths, in one parametrization."""
    options = {} if zero_readout is None else {"zero_readout": zero_readout}
    return StudySpec(
        name="synthetic",
        arms=(
            Arm(
                model=ModelSpec(name="mlp", batch_size=64),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=3e-3),),
            ),
        ),
        parametrizations=(ParametrizationSpec(name=parametrization, options=options),),
        widths=(64, 128, 256, 512),
        depths=(1,),
        seeds=seeds,
        steps=steps,
    )


def samples(spec: StudySpec, law: Law) -> list[Sample]:
    """What a study would measure if every statistic followed `law(run, activation, step)`."""
    return [
        _sample(run, activation, step, law(run, activation, step))
        for run in plan.runs(spec)
        for activation in plan.activations(run)
        for step in range(spec.steps + 1)
    ]


def judged(spec: StudySpec, measured: list[Sample]) -> VariantVerdict:
    """The final verdict on a study of one variant."""
    (variant,) = spec.variants
    runs = len(spec.widths) * len(spec.depths) * spec.seeds
    (verdict,) = judge(spec, measured, runs_judged={variant.key: runs}, final=True)
    return verdict


def cell(
    verdict: VariantVerdict, tensor: str, step: int, statistic: Statistic = Statistic.L1
) -> Cell:
    """One cell of a verdict."""
    (found,) = (
        cell
        for cell in verdict.cells
        if (cell.tensor, cell.step, cell.statistic) == (tensor, step, statistic)
    )
    return found


def with_value(sample: Sample, value: float) -> Sample:
    """The same sample with another value in every statistic that it has."""
    return with_values(
        sample, l1=value, rms=value, change=None if sample.values.change is None else value
    )


def with_values(sample: Sample, **values: float | None) -> Sample:
    """The same sample with other values of the statistics that are named."""
    return replace(sample, values=sample.values._replace(**values))


def size(sample: Sample) -> float:
    """The l1 of a sample, which each of these has."""
    assert sample.values.l1 is not None
    return sample.values.l1


def _sample(run: RunSpec, activation: ActivationEntry, step: int, value: float) -> Sample:
    return Sample(
        variant=run.variant.key,
        width=run.width,
        depth=run.depth,
        seed=run.seed,
        step=step,
        tensor=activation.name,
        role=activation.role,
        kind=TensorKind.ACTIVATION,
        values=Values(value, value, value if step else None),
    )
