"""Real runs with something broken: the verdict says what."""

import pytest
import torch
from torch import nn

from muscope import in_process, plan
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.verdicts.judge import judge
from muscope.verdicts.types import VariantVerdict
from tests.lab.test_own_check import ADAM_RATE, PIXELS, Mlp, check

SEEDS, WIDTHS = 3, (64, 128, 256)
RANDOM = {"zero_readout": False}
BROKEN = ("hidden_std_fixed", "hidden_rate_not_scaled", "output_multiplier_missing")


def spec() -> StudySpec:
    rules = (
        ParametrizationSpec(name="mup", options=dict(RANDOM)),
        ParametrizationSpec(name="nanotron", options=dict(RANDOM)),
        ParametrizationSpec(name="sp", options={**RANDOM, "init": "gpt2"}),
        *(ParametrizationSpec(name="mup", options=dict(RANDOM), fault=name) for name in BROKEN),
    )
    adam = OptimizerSpec(name="adamw", learning_rate=3e-3)
    arm = Arm(model=ModelSpec(name="mlp", batch_size=64), optimizers=(adam,))
    return StudySpec(
        name="broken", arms=(arm,), parametrizations=rules, widths=WIDTHS, seeds=SEEDS, steps=2,
        record="full",
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged() -> dict[str, VariantVerdict]:
    """The verdict of every rule, by the name of what is broken or of the rule."""
    of = spec()
    bundles = in_process.fitting(plan.bundles(plan.runs(of)))
    samples = [sample for arrival in in_process.train(bundles) for sample in arrival.samples]
    runs = {variant.key: len(WIDTHS) * SEEDS for variant in of.variants}
    verdicts = judge(of, samples, runs_judged=runs, final=True)
    return {
        variant.parametrization.fault or variant.parametrization.name: verdict
        for variant, verdict in zip(of.variants, verdicts, strict=True)
    }


def first(verdict: VariantVerdict) -> str:
    assert verdict.diagnosis
    return verdict.diagnosis.suspects[0].fault


def test_a_healthy_model_has_no_suspects(judged: dict[str, VariantVerdict]) -> None:
    assert judged["mup"].diagnosis
    assert judged["mup"].diagnosis.suspects == ()


@pytest.mark.parametrize("name", BROKEN)
def test_what_was_broken_is_named(judged: dict[str, VariantVerdict], name: str) -> None:
    found = judged[name].diagnosis
    assert found
    assert name in (found.suspects[0].fault, *found.suspects[0].alike)


def test_published_mistakes_are_named(judged: dict[str, VariantVerdict]) -> None:
    assert first(judged["nanotron"]) == "sgd_rates_with_adam"
    assert first(judged["sp"]) == "everything_fixed"


def mlp(n: int, factor: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A user's µP with Adam, whose hidden weights learn at `factor` times the base's rate."""
    model = Mlp(n, 64 / n)
    for weight, std in (
        (model.input.weight, PIXELS**-0.5),
        (model.hidden.weight, n**-0.5),
        (model.readout.weight, 64**-0.5),
    ):
        nn.init.normal_(weight, std=std)
    hidden = list(model.hidden.parameters())
    others = [*model.input.parameters(), *model.readout.parameters()]
    rates = [{"params": hidden, "lr": ADAM_RATE * factor}, {"params": others, "lr": ADAM_RATE}]
    return model, torch.optim.Adam(rates, eps=1e-16)


def test_a_users_own_model_is_diagnosed_from_its_activations() -> None:
    broken, _ = check(lambda width: mlp(width, 1.0))
    assert broken.diagnosis
    suspect = broken.diagnosis.suspects[0]
    assert "hidden_rate_not_scaled" in (suspect.fault, *suspect.alike)
    healthy, _ = check(lambda width: mlp(width, 64 / width))
    assert healthy.diagnosis
    assert healthy.diagnosis.suspects == ()
