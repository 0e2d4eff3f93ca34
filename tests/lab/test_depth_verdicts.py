"""Studies over depths, trained and judged: facts 5.4 within the tolerances of facts 10.4."""

from collections.abc import Sequence
from functools import cache

import pytest

from muscope import in_process, plan
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec
from muscope.verdicts.judge import judge
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, Statistic

OPTIONS: dict[str, bool | int | float | str] = {
    "head_size": 16, "sequence_length": 16, "mlp_ratio": 2, "norm": "rmsnorm", "dataset": "markov",
}  # fmt: skip
ADAMW = OptimizerSpec(name="adamw", learning_rate=1e-3)
QUICK, DEEP = (4, 8, 16), (8, 16, 32, 64)


def small(residual_multiplier: float) -> ModelSpec:
    """A transformer as small as many blocks should be.

    Facts 5.4 has exponents of CompleteP where the embedding is larger than all branches together,
    which small branches make true.
    """
    options = {**OPTIONS, "residual_multiplier": residual_multiplier}
    return ModelSpec(name="gpt", batch_size=4, options=options)


@cache
def verdict(name: str, depths: tuple[int, ...]) -> VariantVerdict:
    """A study of one scheme of depth; without one all branches have their full size."""
    spec = StudySpec(
        name="depths",
        arms=(Arm(model=small(1.0 if name == "mup" else 0.2), optimizers=(ADAMW,)),),
        parametrizations=(ParametrizationSpec(name=name, options={"zero_readout": False}),),
        widths=(32, 64),
        depths=depths,
        seeds=3,
        steps=4,
    )
    arrivals = in_process.train(in_process.fitting(plan.bundles(plan.runs(spec))))
    samples = [sample for arrival in arrivals for sample in arrival.samples]
    (variant,) = spec.variants
    (found,) = judge(spec, samples, runs_judged={variant.key: spec.run_count}, final=True)
    return found


def stream(verdict: VariantVerdict, step: int, statistic: Statistic) -> Sequence[Cell]:
    """Its slopes on depth, after the last block."""
    return [
        cell
        for cell in verdict.cells_on(Axis.DEPTH)
        if (cell.tensor, cell.step, cell.statistic) == ("blocks.last.residual", step, statistic)
    ]


# name, step, statistic, exponent, tolerance: the rows of facts 5.4; without a rule 0.25.
ROWS = [
    ("mup", 0, Statistic.L1, 0.5, 0.25),
    ("mup", 4, Statistic.CHANGE, 1.0, 0.25),
    ("depth_mup", 0, Statistic.L1, 0.0, 0.15),
    ("depth_mup", 4, Statistic.CHANGE, 0.0, 0.15),
    ("complete_p", 4, Statistic.CHANGE, 0.0, 0.15),
]


@pytest.mark.parametrize(("name", "step", "statistic", "exponent", "tolerance"), ROWS)
def test_a_verdict_finds_the_exponents_of_depth(
    name: str, step: int, statistic: Statistic, exponent: float, tolerance: float
) -> None:
    cells = stream(verdict(name, QUICK), step, statistic)
    assert len(cells) == 2
    for cell in cells:
        assert cell.expected == exponent
        assert cell.slope == pytest.approx(exponent, abs=tolerance)
        assert cell.as_expected is not False


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step", "statistic", "exponent", "tolerance"), ROWS)
def test_a_verdict_finds_the_exponents_of_depths_8_to_64(
    name: str, step: int, statistic: Statistic, exponent: float, tolerance: float
) -> None:
    for cell in stream(verdict(name, DEEP), step, statistic):
        assert cell.slope == pytest.approx(exponent, abs=tolerance)


@pytest.mark.parametrize("name", ["mup", "depth_mup", "complete_p"])
def test_no_healthy_scheme_fails_on_depth_and_only_one_is_not_stable(name: str) -> None:
    found = verdict(name, QUICK)
    bad = (CellVerdict.GROWS, CellVerdict.SHRINKS, CellVerdict.DIVERGED)
    assert not [one for one in found.tensors_on(Axis.DEPTH) if one.verdict in bad]
    assert (found.depth_stable is False) is (name == "mup")


def test_a_run_of_another_batch_size_is_the_run_of_a_model_with_that_batch() -> None:
    (variant,) = StudySpec(
        name="x",
        arms=(Arm(model=small(1.0), optimizers=(ADAMW,)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(32, 64),
    ).variants
    own = variant.model_copy(update={"model": small(1.0).model_copy(update={"batch_size": 2})})
    one, other = (
        RunSpec(
            variant=of, width=32, depth=1, base_width=32, base_depth=1, seed=0, steps=1,
            batch_size=batch_size,
        )
        for of, batch_size in ((variant, 2), (own, None))
    )  # fmt: skip
    first, second = (
        [sample.values for arrival in in_process.train(tuple(plan.bundles([run])))
         for sample in arrival.samples]
        for run in (one, other)
    )  # fmt: skip
    assert first == second
