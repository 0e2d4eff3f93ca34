"""What a slope is held against on every axis: tolerances by role, and what is legal in depth."""

import math

import pytest

from muscope.theory.expected import (
    Coordinates,
    Standard,
    on_batch_size,
    on_depth,
    on_step,
    on_width,
)
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind, UpdateFamily
from tests.core.verdicts import cell

SIGN = UpdateFamily.SIGN_LIKE
ACTIVATION = TensorKind.ACTIVATION


def mup(role: Role, step: int, *, zero_readout: bool = False) -> Standard:
    return on_width(
        Coordinates(
            row="mup",
            zero_readout=zero_readout,
            family=SIGN,
            role=role,
            statistic=Statistic.L1,
            step=step,
        )
    )


def stream(scheme: str, step: int, statistic: Statistic = Statistic.CHANGE) -> Standard:
    return on_depth(scheme, SIGN, role=Role.RESIDUAL, statistic=statistic, step=step)


@pytest.mark.parametrize(
    "role", [Role.EMBEDDING, Role.HIDDEN, Role.ATTENTION_LOGITS, Role.RESIDUAL]
)
@pytest.mark.parametrize("step", [0, 1, 4])
def test_every_role_but_the_readout_keeps_its_size_within_a_tenth(role: Role, step: int) -> None:
    standard = mup(role, step)
    assert (standard.tolerance, standard.agreement) == (0.10, 0.10)
    assert standard.legal is None


def test_a_random_readout_may_start_within_0_15_of_minus_one_half() -> None:
    start = mup(Role.OUTPUT, 0)
    assert (start.expectation.exponent, start.agreement) == (-0.5, 0.15)
    assert mup(Role.OUTPUT, 2).agreement == 0.10
    assert mup(Role.OUTPUT, 2, zero_readout=True).agreement == 0.10


@pytest.mark.parametrize(
    ("scheme", "step", "agreement"),
    [
        ("none", 0, 0.25),
        ("none", 4, 0.25),
        ("depth_mup", 4, 0.15),
        ("complete_p", 4, 0.15),
        ("depth_mup", 1, 0.5),
        ("none", 3, 0.5),
    ],
)
def test_depth_is_as_near_as_facts_10_4_ask_at_step_4(
    scheme: str, step: int, agreement: float
) -> None:
    assert stream(scheme, step).agreement == agreement
    assert stream(scheme, step).tolerance == 0.15


def test_growth_is_legal_in_depth_where_theory_says_so_and_nowhere_on_width() -> None:
    grows = stream("none", 4).legal
    assert grows is not None
    assert grows.growth
    assert grows.high == math.inf
    assert stream("depth_mup", 4).legal is None
    assert stream("depth_mup", 0, Statistic.L1).legal is None
    for role in Role:
        legal = mup(role, 1).legal
        assert legal is None or not legal.growth


def test_a_missing_depth_factor_lies_outside_of_what_is_legal_for_complete_p() -> None:
    legal = stream("complete_p", 4).legal
    assert legal is not None
    assert legal.low < -0.33 < legal.high < 0.5  # full branches; without the multiplier
    assert not legal.growth
    assert legal.low > -1.0  # SGD's rate without the factor of the depth (facts 5.4)


def test_of_other_tensors_depth_has_no_law() -> None:
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT):
        standard = on_depth("depth_mup", SIGN, role=role, statistic=Statistic.L1, step=0)
        assert standard.expectation.exponent is None
        assert standard.legal is None
    assert stream("", 4).expectation.exponent is None


def test_a_mean_over_examples_is_flat_in_their_number_and_nothing_else_is_known() -> None:
    assert on_batch_size(ACTIVATION, Statistic.L1, 0).expectation.exponent == 0.0
    for kind, statistic, step in (
        (ACTIVATION, Statistic.L1, 1),
        (ACTIVATION, Statistic.CHANGE, 1),
        (TensorKind.GRADIENT, Statistic.L1, 0),
    ):
        assert on_batch_size(kind, statistic, step).expectation.exponent is None
    assert on_step().expectation.exponent is None


def test_what_is_flat_where_theory_shrinks_departs_though_shrinking_would_be_legal() -> None:
    """A readout that starts as SP's: µP's logits start at -1/2, and may be up to +0.10 later."""
    start = cell("readout", 0.0, step=0).model_copy(
        update={"expected": -0.5, "as_expected": False, "legal_low": -0.65, "legal_high": 0.1}
    )
    assert start.is_against_theory
    open_one = start.model_copy(update={"verdict": CellVerdict.INCONCLUSIVE, "low": -0.3})
    assert not open_one.is_against_theory
