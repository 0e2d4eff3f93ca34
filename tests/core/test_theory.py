"""The rules against the papers' tables, and the relations between the rules."""

import pytest

from muscope.theory.mup import MUP
from muscope.theory.parametrizations import PARAMETRIZATIONS
from muscope.theory.rule import WeightDims, WeightRule
from muscope.theory.sp import SP
from muscope.vocabulary import Role, UpdateFamily

SGD, ADAM = UpdateFamily.SGD_LIKE, UpdateFamily.SIGN_LIKE
RANDOM_READOUT = {"zero_readout": False}
BASE, M = 64, 8
"""Base width and width multiplier of the examples."""


def dims(role: Role, *, m: int = M) -> WeightDims:
    """A weight of each role in a model of width m * BASE with 256 inputs and outputs."""
    n = m * BASE
    match role:
        case Role.EMBEDDING:
            return WeightDims(role, fan_in=1, fan_out=n, base_fan_in=1, base_fan_out=BASE)
        case Role.HIDDEN:
            return WeightDims(role, fan_in=n, fan_out=n, base_fan_in=BASE, base_fan_out=BASE)
        case _:
            return WeightDims(role, fan_in=n, fan_out=256, base_fan_in=BASE, base_fan_out=256)


# Yang et al. 2022 (Tensor Programs V), Table 8, relative to the base width: one row per role and
# optimizer; columns A, B, C as (multiplier, init std, learning rate). facts.md 2.4 adds the
# factors of AdamW's weight decay and epsilon.
TABLE_8 = [
    (Role.EMBEDDING, ADAM, 1, 1, 1),
    (Role.HIDDEN, ADAM, 1, (M * BASE) ** -0.5, 1 / M),
    (Role.OUTPUT, ADAM, 1 / M, BASE**-0.5, 1),
    (Role.EMBEDDING, SGD, 1, 1, M),
    (Role.HIDDEN, SGD, 1, (M * BASE) ** -0.5, 1),
    (Role.OUTPUT, SGD, 1 / M, BASE**-0.5, M),
]


@pytest.mark.parametrize(("role", "family", "multiplier", "init_std", "rate"), TABLE_8)
def test_mup_is_table_8(
    role: Role, family: UpdateFamily, multiplier: float, init_std: float, rate: float
) -> None:
    rule = MUP.weight_rule(dims(role), family, RANDOM_READOUT)
    assert rule.multiplier == pytest.approx(multiplier)
    assert rule.init_std == pytest.approx(init_std)
    assert rule.learning_rate_factor == pytest.approx(rate)


@pytest.mark.parametrize("role", [Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT])
def test_mup_keeps_rate_times_decay_and_moves_epsilon_with_the_gradient(role: Role) -> None:
    rule = MUP.weight_rule(dims(role), ADAM, RANDOM_READOUT)
    assert rule.learning_rate_factor * rule.weight_decay_factor == pytest.approx(1)
    assert rule.epsilon_factor == pytest.approx(1 / M)


@pytest.mark.parametrize("family", list(UpdateFamily))
@pytest.mark.parametrize("role", [Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT])
def test_at_the_base_width_mup_equals_its_sp_twin(role: Role, family: UpdateFamily) -> None:
    base = dims(role, m=1)
    twins = [entry.weight_rule(base, family, RANDOM_READOUT) for entry in (SP, MUP)]
    assert twins[0] == twins[1]


# Table 3 -> Table 8 is theta = n on the readout and 1 elsewhere (facts.md section 1); what a
# model computes depends only on A B, and on A C (sign-like) or A^2 C (SGD-like).
TABLE_3 = {
    (Role.EMBEDDING, ADAM): (1, 1),
    (Role.HIDDEN, ADAM): (M**-0.5, 1 / M),
    (Role.OUTPUT, ADAM): (1 / M, 1 / M),
    (Role.EMBEDDING, SGD): (1, M),
    (Role.HIDDEN, SGD): (M**-0.5, 1),
    (Role.OUTPUT, SGD): (1 / M, 1 / M),
}


@pytest.mark.parametrize(("role", "family"), list(TABLE_3))
def test_mup_is_table_3_under_the_abc_symmetry(role: Role, family: UpdateFamily) -> None:
    here = MUP.weight_rule(dims(role), family, RANDOM_READOUT)
    base = MUP.weight_rule(dims(role, m=1), family, RANDOM_READOUT)
    (spread, step), (base_spread, base_step) = seen(here, family), seen(base, family)
    assert (spread / base_spread, step / base_step) == pytest.approx(TABLE_3[role, family])


def seen(rule: WeightRule, family: UpdateFamily) -> tuple[float, float]:
    """What the function sees of a rule: its effective init std and learning rate."""
    power = 2 if family is SGD else 1
    return (
        rule.multiplier * rule.init_std,
        rule.multiplier**power * rule.learning_rate_factor,
    )


@pytest.mark.parametrize("family", list(UpdateFamily))
@pytest.mark.parametrize("role", [Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT])
def test_sp_scales_only_the_initialization(role: Role, family: UpdateFamily) -> None:
    rule = SP.weight_rule(dims(role), family, RANDOM_READOUT)
    assert rule == WeightRule(1, dims(role).fan_in ** -0.5, 1, 1, 1)


@pytest.mark.parametrize("name", list(PARAMETRIZATIONS))
def test_a_zero_readout_zeroes_the_readout_only(name: str) -> None:
    options = {"zero_readout": True}
    stds = {
        role: PARAMETRIZATIONS[name].weight_rule(dims(role), ADAM, options).init_std
        for role in (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT)
    }
    assert [role for role, std in stds.items() if std == 0] == [Role.OUTPUT]


@pytest.mark.parametrize("name", list(PARAMETRIZATIONS))
def test_attention_is_that_of_vaswani_at_the_base_head_size(name: str) -> None:
    assert PARAMETRIZATIONS[name].attention_scale(64, 64) == pytest.approx(1 / 8)


def test_mup_attention_falls_as_one_over_the_head_size() -> None:
    assert MUP.attention_scale(128, 64) == pytest.approx(MUP.attention_scale(64, 64) / 2)
