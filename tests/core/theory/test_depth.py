"""Residual multipliers, and u-µP's residual scheme against its golden values (facts 2.9-2.11)."""

import math

import pytest

from muscope.theory.parametrizations import PARAMETRIZATIONS
from muscope.theory.u_mup import residual_factors, residual_taus
from tests.core.theory.examples import options


@pytest.mark.parametrize(
    ("name", "given", "multiplier"),
    [
        ("mup", {}, 1),
        ("depth_mup", {}, 1 / 2),
        ("complete_p", {}, 1 / 4),
        ("complete_p", {"alpha": 0.5}, 1 / 2),
        ("minicpm", {}, 1.4 / math.sqrt(8)),
    ],
)
def test_branches_are_multiplied_as_the_source_says(
    name: str, given: dict[str, float], multiplier: float
) -> None:
    residual = PARAMETRIZATIONS[name].residual_multiplier(8, 2, options(name, **given))
    assert residual == pytest.approx(multiplier)


def test_the_taus_of_u_mup_are_those_of_unit_scaling() -> None:
    assert residual_taus(4) == pytest.approx((0.7071, 0.5774, 0.5, 0.4472), abs=1e-4)
    assert residual_taus(8)[0] == pytest.approx(0.5)
    assert residual_taus(8)[-1] == pytest.approx(0.3015, abs=1e-4)


@pytest.mark.parametrize(("alpha_res", "alpha_ratio"), [(1.0, 1.0), (0.5, 2.0)])
def test_the_factors_of_a_branch_keep_the_stream_at_unit_size(
    alpha_res: float, alpha_ratio: float
) -> None:
    """And the branches together weigh alpha_res against the embedding."""
    pairs = [
        residual_factors(tau)
        for tau in residual_taus(8, alpha_res=alpha_res, alpha_ratio=alpha_ratio)
    ]
    assert all(a**2 + b**2 == pytest.approx(1) for a, b in pairs)
    embedding = math.prod(b for _, b in pairs)
    share = math.sqrt((1 / embedding**2 - 1) / 2)  # root mean square of attention and feed-forward
    assert share == pytest.approx(alpha_res)
