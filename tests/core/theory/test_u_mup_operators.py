"""The factors of u-µP's operators against the golden values of facts 2.9."""

import pytest

from muscope.theory import u_mup_operators as operators


@pytest.mark.parametrize(
    ("factors", "golden"),
    [
        (operators.gelu(), (1.7668, 1.5157)),
        (operators.silu(), (1.7668, 1.6818)),
        (operators.silu_glu(), (1.6818, 1.6818)),
        (operators.softmax(256), (256**0.9, 256**0.9)),
        (operators.linear(64, 16), (1 / 8, 1 / 4)),
        (operators.linear_readout(64, 16), (1 / 64, 1 / 4)),
    ],
)
def test_factors_at_multiplier_one(
    factors: tuple[float, float], golden: tuple[float, float]
) -> None:
    assert factors == pytest.approx(golden, abs=1e-4)


def test_causal_attention_of_64_elements_per_head_over_1024_tokens() -> None:
    assert operators.attention(64, 1024)[0] == pytest.approx(12.04, abs=5e-3)


def test_the_gradient_of_the_logits_has_unit_size_and_sums_add_variances() -> None:
    assert operators.cross_entropy(256) == pytest.approx(256 / 255**0.5)
    assert operators.add() == pytest.approx(0.5**0.5)
