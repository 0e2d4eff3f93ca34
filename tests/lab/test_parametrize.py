"""First values: who shares the draws with whom, and what the rules make of them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from muscope.catalogue.models.entries import gain, matrix
from muscope.lab import parametrize
from muscope.theory.rule import WeightRule
from muscope.vocabulary import Role
from tests.lab import specs

WEIGHT = matrix("a", Role.HIDDEN, 64, 128)


def draw(name: str = "a", *, seed: int = 0, init_std: float = 1.0) -> Tensor:
    rule = WeightRule(1.0, init_std, 1.0, 1.0, 1.0)
    return parametrize.initial(replace(WEIGHT, name=name), rule, seed=seed)


def test_parametrizations_of_one_seed_scale_the_same_draws() -> None:
    assert torch.equal(draw(seed=3, init_std=0.5), 2 * draw(seed=3, init_std=0.25))


def test_every_weight_and_seed_has_a_stream_of_its_own() -> None:
    draws = [draw("a"), draw("b"), draw("a", seed=1)]
    for index, other in ((0, 1), (0, 2), (1, 2)):
        correlation = (draws[index] * draws[other]).mean()
        assert abs(correlation) < 0.05  # 8192 independent products: 1 / sqrt(8192) = 0.011


def test_initial_values_have_the_standard_deviation_of_the_rule() -> None:
    assert abs(draw(init_std=0.125).std() / 0.125 - 1) < 0.03  # 1 / sqrt(2 * 8192) = 0.008


def test_a_standard_deviation_of_zero_is_exactly_zero() -> None:
    assert not draw(init_std=0.0).any()


@pytest.mark.parametrize("multiplier", [1.0, 4.0])
def test_a_gain_starts_at_one_whatever_its_multiplier(multiplier: float) -> None:
    rule = WeightRule(multiplier, 0.0, 1.0, 1.0, 1.0)
    start = parametrize.initial(gain("norm.gain", 8, in_branch=False), rule, seed=0)
    assert torch.equal(multiplier * start, torch.ones(8, 1))


def test_attention_is_scaled_by_the_rule_or_by_the_model() -> None:
    def scale(parametrization: str, **options: bool | int | float | str) -> float:
        run = specs.run("gpt", parametrization=parametrization, model_options=options)
        return parametrize.attention_scale(run)

    assert scale("sp") == pytest.approx(8**-0.5)
    assert scale("sp", attention_scale="1/d", attention_alpha=2.0) == 2 / 8
    assert scale("mup") == pytest.approx(8**0.5 / 8)
    # width 32, base width 16: heads of 16 elements, 8 in the base (facts 2.4)
    assert scale("mup", heads=2) == pytest.approx(8**0.5 / 16)
    assert scale("mup", heads=2, attention_scale="1/sqrt(d)") == 1 / 4


def test_width_multipliers_come_from_the_base_width() -> None:
    dims = parametrize.dimensions(specs.run("gpt", width=32, base_width=8))
    assert (dims["embedding.token"].m_in, dims["embedding.token"].m_out) == (1, 4)
    assert (dims["blocks.1.mlp.up"].m_in, dims["blocks.1.mlp.up"].m_out) == (4, 4)
    assert (dims["readout"].m_in, dims["readout"].m_out) == (4, 1)
