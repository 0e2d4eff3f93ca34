"""u-µP is what graphcore's unit-scaling does, and where it is not, it is known."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as plain

from muscope.catalogue.rules import Choice, Size, dimensions, weight_rules
from muscope.lab.models import unit_scaled
from tests.originals import unit_scaling_model_comparisons as models
from tests.originals import unit_scaling_operators, unit_scaling_tensors
from tests.originals.comparison import Comparison, furthest
from tests.originals.unit_scaling_tensors import DECAY, RATE, groups, rules
from tests.originals.unit_scaling_twins import Operator, factors, functional, normal, unit_scaling

COMPARISONS = (
    *unit_scaling_operators.COMPARISONS,
    *unit_scaling_tensors.COMPARISONS,
    *models.COMPARISONS,
)


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda comparison: comparison.id)
def test_ours_is_theirs(comparison: Comparison) -> None:
    assert comparison.difference() <= comparison.tolerance, comparison.reason


def test_a_twin_with_other_multipliers_is_not_ours() -> None:
    """The comparison of whole models would notice a wrong one."""
    here, there = (models.run(f"llama{alphas}") for alphas in ("", models.OTHER))
    assert models.distance(here, models.CASES["llama"].twin(there)) > 0.1


def test_a_feed_forward_with_constraints_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor would gradients agree if up and down had the factors of their outputs."""
    monkeypatch.setattr(unit_scaled, "UNCONSTRAINED", ())
    assert models.values_and_gradients("llama") > 0.1


@pytest.mark.parametrize(
    ("branches", "golden"),
    [(4, {0: 0.7071, 1: 0.5774, 2: 0.5, 3: 0.4472}), (8, {0: 0.5, 7: 0.3015})],
)
def test_the_taus_of_the_facts_are_theirs(branches: int, golden: dict[int, float]) -> None:
    rule = unit_scaling.transformer_residual_scaling_rule()
    assert {index: round(rule(index, branches), 4) for index in golden} == golden


HEADS = tuple(normal(1, 1024, 64, seed=seed) for seed in range(3))
PAIR = normal(8, 16), normal(8, 16, seed=1)


@pytest.mark.parametrize(
    ("scaled", "unscaled", "inputs", "forward"),
    [
        (functional.gelu, plain.gelu, PAIR[:1], 1.7668),
        (functional.silu, plain.silu, PAIR[:1], 1.7668),
        (functional.silu_glu, lambda x, gate: x * plain.silu(gate), PAIR, 1.6818),
        (
            partial(functional.scaled_dot_product_attention, is_causal=True),
            partial(plain.scaled_dot_product_attention, is_causal=True, scale=1 / 64),
            HEADS,
            12.04,
        ),
    ],
    ids=["gelu", "silu", "silu_glu", "attention"],
)
def test_the_factors_of_the_facts_are_theirs(
    scaled: Operator, unscaled: Operator, inputs: tuple[Tensor, ...], forward: float
) -> None:
    """docs/facts.md 2.9, the column at mult 1, as far as it is printed."""
    assert factors(scaled, unscaled, *inputs)[0] == pytest.approx(forward, rel=5e-4)  # four digits


def test_their_coupled_decay_follows_the_rate_of_the_tensor_and_ours_does_not() -> None:
    """Ours keeps rate x decay, as mup does; theirs is torch's, when independence is turned off."""
    theirs = groups("AdamW", independent_weight_decay=False)
    assert {group["weight_decay"] for group in theirs.values()} == {DECAY}
    found = rules("adamw")
    assert furthest(
        (found[name].weight_decay_factor * group["lr"], RATE) for name, group in theirs.items()
    ) == pytest.approx(0, abs=1e-15)


def test_a_linear_input_layer_has_their_multiplier_and_the_rate_of_an_embedding() -> None:
    """Table 2 prints the input with 1/sqrt(fan_out); to the package it is a hidden layer."""
    theirs, pixels = unit_scaling.Linear(64, 256), torch.eye(64)
    multiplier = theirs(pixels).detach() / theirs.weight.detach().T
    torch.testing.assert_close(multiplier, torch.full_like(multiplier, 1 / 8))
    group = unit_scaling.optim.AdamW(theirs.parameters(), lr=1.0).param_groups[0]
    assert group["lr"] == 1 / 8
    dims = dimensions("mlp", {}, Size(256, 1, 256, 1))
    ours = weight_rules(Choice("u_mup", {}), "adamw", dims)["input"]
    assert (ours.multiplier, ours.learning_rate_factor) == (1 / 8, 1 / 16)
