"""The factors of u-µP's operators against the golden values of facts 2.9."""

import math
import random

import pytest

from muscope.theory import u_mup_operators as operators
from muscope.theory import u_mup_scales as scales
from tests.core.theory.examples import options


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


def test_relu_is_the_limit_of_gelu_and_silu_and_makes_the_variance_1() -> None:
    forward, backward = operators.relu()
    assert operators.gelu(1e6) == pytest.approx((forward, backward))
    assert operators.silu(1e6) == pytest.approx((forward, backward))
    draw = random.Random(0)
    outputs = [max(draw.gauss(), 0.0) for _ in range(100_000)]
    mean = math.fsum(outputs) / len(outputs)
    variance = math.fsum((output - mean) ** 2 for output in outputs) / len(outputs)
    assert forward**2 * variance == pytest.approx(1, abs=0.02)  # 4 standard errors
    assert backward**2 * 0.5 == pytest.approx(1)  # half of the gradients pass


def test_gradients_of_what_is_shared_are_divided_by_the_root_of_the_uses() -> None:
    assert operators.weight_gradient(64) == 1 / 8
    assert operators.table_gradient(256, 64) == 2
    assert operators.gain_gradient(16, 1024) == 1 / 8


FORWARD = scales.Forward(
    nonlinearity="swiglu",
    branches=4,
    readout_fan_in=64,
    readout_fan_out=16,
    head_size=64,
    sequence_length=1024,
    attention=1 / 64,
)


def test_at_1_the_five_multipliers_leave_the_golden_values() -> None:
    found = scales.scales(FORWARD, options("u_mup"))
    branches = [found[scales.inside(i)] / found[scales.skip(i)] for i in range(4)]
    assert branches == pytest.approx((0.7071, 0.5774, 0.5, 0.4472), abs=1e-4)  # facts 2.9
    assert found[scales.ATTENTION_OUTPUT] == pytest.approx(12.04, abs=5e-3)
    assert found[scales.NONLINEARITY_OUTPUT] == pytest.approx(1.6818, abs=1e-4)
    assert (found[scales.NONLINEARITY], found[scales.LOGITS]) == (1, 1)
    assert found[scales.READOUT_BACKWARD] == 1 / 4


def test_each_multiplier_moves_its_own_scales() -> None:
    before = scales.scales(FORWARD, options("u_mup"))
    moved = {
        name: {k for k, v in scales.scales(FORWARD, options("u_mup", **{name: 2.0})).items()
               if v != before[k]}
        for name in ("alpha_ffn_act", "alpha_res", "alpha_res_attn_ratio", "alpha_loss_softmax")
    }  # fmt: skip
    shares = {name(branch) for branch in range(4) for name in (scales.inside, scales.skip)}
    assert moved == {
        "alpha_ffn_act": {scales.NONLINEARITY, scales.NONLINEARITY_OUTPUT},
        "alpha_res": shares,
        "alpha_res_attn_ratio": moved["alpha_res_attn_ratio"] & shares,
        "alpha_loss_softmax": {scales.LOGITS},
    }


@pytest.mark.parametrize(("constraint", "factor"), [("none", 1 / 4), ("to_output_scale", 1 / 64)])
def test_the_readouts_constraint_is_a_number_of_the_backward(
    constraint: str, factor: float
) -> None:
    found = scales.scales(FORWARD, options("u_mup", readout_constraint=constraint))
    assert found[scales.READOUT_BACKWARD] == factor


def test_a_model_without_attention_and_branches_has_neither_of_their_scales() -> None:
    found = scales.scales(scales.Forward("relu", 0, 64, 10), options("u_mup"))
    assert set(found) == {
        *(scales.NONLINEARITY, scales.NONLINEARITY_OUTPUT),
        *(scales.LOGITS, scales.READOUT_BACKWARD),
    }
