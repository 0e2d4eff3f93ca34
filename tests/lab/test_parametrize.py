"""First values: who shares the draws with whom, and what the rules make of them."""

import torch

from muscope.lab import parametrize
from muscope.lab.models.model import Weight
from muscope.vocabulary import Role
from tests.lab import specs

WEIGHT = Weight(Role.HIDDEN, (64, 128))


def test_parametrizations_of_one_seed_scale_the_same_draws() -> None:
    sp = parametrize.initial("readout", WEIGHT, seed=3, init_std=0.5)
    mup = parametrize.initial("readout", WEIGHT, seed=3, init_std=0.25)
    assert torch.equal(sp, 2 * mup)


def test_every_weight_and_seed_has_a_stream_of_its_own() -> None:
    draws = [
        parametrize.initial(name, WEIGHT, seed=seed, init_std=1.0)
        for name, seed in (("a", 0), ("b", 0), ("a", 1))
    ]
    for index, other in ((0, 1), (0, 2), (1, 2)):
        correlation = (draws[index] * draws[other]).mean()
        assert abs(correlation) < 0.05  # 8192 independent products: 1 / sqrt(8192) = 0.011


def test_initial_values_have_the_standard_deviation_of_the_rule() -> None:
    draws = parametrize.initial("a", WEIGHT, seed=0, init_std=0.125)
    assert abs(draws.std() / 0.125 - 1) < 0.03  # 8192 draws: 1 / sqrt(2 * 8192) = 0.008


def test_a_standard_deviation_of_zero_is_exactly_zero() -> None:
    assert not parametrize.initial("a", WEIGHT, seed=0, init_std=0.0).any()


def test_width_multipliers_come_from_the_base_width() -> None:
    dims = parametrize.dimensions(specs.run("gpt", width=32, base_width=8))
    assert (dims["embedding.token"].m_in, dims["embedding.token"].m_out) == (1, 4)
    assert (dims["blocks.1.mlp.up"].m_in, dims["blocks.1.mlp.up"].m_out) == (4, 4)
    assert (dims["readout"].m_in, dims["readout"].m_out) == (4, 1)
