"""Faults end to end: broken on purpose in a run, seen by its slopes, named by its diagnosis."""

from collections.abc import Mapping

import pytest

from muscope import in_process, plan
from muscope.lab import parametrize
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.verdicts.judge import judge
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict

SEEDS = 3
FAILING = (CellVerdict.GROWS, CellVerdict.SHRINKS, CellVerdict.DIVERGED)
NAMED = (
    "hidden_std_fixed",
    "output_multiplier_missing",
    "hidden_rate_inverted",
    "embedding_rate_as_hidden",
    "sgd_rates_with_adam",
)


def study() -> StudySpec:
    """An MLP under µP: as it should be, broken, and broken so that no slope can see it."""
    return StudySpec(
        name="faults",
        arms=(
            Arm(
                model=ModelSpec(name="mlp", batch_size=32),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=3e-3),),
            ),
        ),
        parametrizations=tuple(
            ParametrizationSpec(name="mup", options={"zero_readout": False}, fault=fault)
            for fault in ("", "epsilon_not_scaled", *NAMED)
        ),
        widths=(64, 128, 256),
        seeds=SEEDS,
        steps=2,
        record="full",
    )


@pytest.fixture(scope="module")
def verdicts() -> Mapping[str, VariantVerdict]:
    """What is said of every fault."""
    spec = study()
    arrivals = in_process.train(plan.plan(spec).bundles)
    samples = [sample for arrival in arrivals for sample in arrival.samples]
    judged = {variant.key: SEEDS * len(spec.widths) for variant in spec.variants}
    found = judge(spec, samples, runs_judged=judged, final=True)
    faults = [parametrization.fault for parametrization in spec.parametrizations]
    return dict(zip(faults, found, strict=True))


def test_a_run_has_the_broken_numbers() -> None:
    runs = {run.variant.parametrization.fault: run for run in plan.runs(study())}
    healthy, broken = runs[""], runs["output_multiplier_missing"]
    assert healthy.width == broken.width == 256
    ratio = parametrize.multipliers(broken)["readout"] / parametrize.multipliers(healthy)["readout"]
    assert ratio == pytest.approx(4)


@pytest.mark.parametrize("fault", ["", "epsilon_not_scaled"])
def test_what_no_slope_can_see_does_not_fail(
    fault: str, verdicts: Mapping[str, VariantVerdict]
) -> None:
    assert verdicts[fault].verdict not in FAILING
    assert verdicts[fault].as_theory is not False


@pytest.mark.parametrize("fault", NAMED)
def test_a_fault_fails_and_is_named_first(
    fault: str, verdicts: Mapping[str, VariantVerdict]
) -> None:
    diagnosis = verdicts[fault].diagnosis
    assert verdicts[fault].verdict in FAILING
    assert diagnosis is not None
    assert diagnosis.suspects[0].fault == fault
