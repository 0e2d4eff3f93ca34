"""The relations between the rules: equivalent forms, the base model, what no source gives."""

from dataclasses import astuple, replace

import pytest

from muscope.catalogue import PARAMETRIZATION_ENTRIES, OptionValue
from muscope.theory.parametrizations import PARAMETRIZATIONS
from muscope.theory.rule import WeightRule
from muscope.theory.symmetry import POWER, transform
from muscope.vocabulary import DecayForm, Role, UpdateFamily
from tests.core.theory.examples import (
    ADAM,
    EMB,
    HID,
    MUON,
    OUT,
    SCA,
    SGD,
    VEC,
    dims,
    options,
    rule,
)

MATRICES = (EMB, HID, OUT)
ROLES = (*MATRICES, VEC, SCA)


def assert_equal(one: WeightRule, other: WeightRule) -> None:
    assert astuple(one) == pytest.approx(astuple(other))


@pytest.mark.parametrize("family", list(UpdateFamily))
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("mup", {"form": "table3"}),
        ("mup", {"form": "table9"}),
        ("mean_field", {}),
    ],
)
def test_forms_of_mup_are_table_8_under_the_abc_symmetry(
    name: str, given: dict[str, OptionValue], role: Role, family: UpdateFamily
) -> None:
    table_8, other = rule("mup", dims(role), family), rule(name, dims(role), family, **given)
    theta = other.multiplier / table_8.multiplier
    assert_equal(transform(table_8, theta, family), other)


@pytest.mark.parametrize("family", [SGD, ADAM, UpdateFamily.PARAMETER_SCALED])
@pytest.mark.parametrize("role", ROLES)
def test_everetts_mup_and_mean_field_are_mup(role: Role, family: UpdateFamily) -> None:
    table_8 = rule("mup", dims(role), family)
    for form in ("mup", "mean_field"):
        other = rule("everett", dims(role), family, form=form)
        theta = other.multiplier / table_8.multiplier
        assert_equal(transform(table_8, theta, family), other)


@pytest.mark.parametrize("role", ROLES)
def test_ntk_at_its_largest_stable_rates_is_everetts_sp(role: Role) -> None:
    sp, ntk = rule("everett", dims(role)), rule("ntk", dims(role))
    assert_equal(transform(sp, ntk.multiplier, ADAM), ntk)


# Parametrizations with a base width; the others are absolute or bring constants of their own.
@pytest.mark.parametrize(
    "name", ["mup", "ntk", "mean_field", "everett", "depth_mup", "complete_p", "spectral"]
)
@pytest.mark.parametrize("role", ROLES)
def test_at_the_base_every_relative_parametrization_is_its_sp_twin(name: str, role: Role) -> None:
    if (name, role) == ("spectral", OUT):
        return  # its readout has min(1, sqrt(fan_out / fan_in)) at the base too
    base = dims(role, m=1, r=1)
    for family in PARAMETRIZATIONS[name].families:
        assert_equal(rule(name, base, family), rule("sp", base, family))
    assert PARAMETRIZATIONS[name].attention_scale(64, 64, options(name)) == pytest.approx(1 / 8)
    assert PARAMETRIZATIONS[name].residual_multiplier(2, 2, options(name)) == 1


@pytest.mark.parametrize("name", list(PARAMETRIZATIONS))
def test_a_zero_readout_zeroes_the_readout_only(name: str) -> None:
    stds = {role: rule(name, dims(role), zero_readout=True).init_std for role in MATRICES}
    assert [role for role, std in stds.items() if std == 0] == [OUT]


@pytest.mark.parametrize("name", list(PARAMETRIZATIONS))
def test_every_row_has_a_formula_at_every_choice(name: str) -> None:
    entry = PARAMETRIZATION_ENTRIES[name]
    for option in entry.options:
        for value in option.allowed or (option.default,):
            said = entry.theory.formulas(options(name, **{option.name: value}))
            assert all("C" in said[role] for role in MATRICES)
            assert "B = 0" in said.get(VEC, "B = 0")


@pytest.mark.parametrize(
    ("name", "family", "given"),
    [
        ("cerebras", SGD, {}),
        ("minicpm", MUON, {}),
        ("ntk", MUON, {}),
        ("depth_mup", UpdateFamily.TRUST_RATIO, {}),
        ("complete_p", SGD, {"alpha": 0.5}),
    ],
)
def test_a_pair_that_no_source_covers_is_refused_with_what_is_allowed(
    name: str, family: UpdateFamily, given: dict[str, OptionValue]
) -> None:
    with pytest.raises(ValueError, match="no source gives") as caught:
        rule(name, dims(HID), family, **given)
    assert name in str(caught.value)
    assert f"'{family.value}'; allowed: " in str(caught.value)


def test_an_activation_has_no_rule() -> None:
    with pytest.raises(ValueError, match="mup has no rule for a weight of role 'residual'"):
        rule("mup", replace(dims(HID), role=Role.RESIDUAL))


def test_attention_falls_as_the_source_says() -> None:
    fourth = {
        name: theory.attention_scale(256, 64, options(name))
        / theory.attention_scale(64, 64, options(name))
        for name, theory in PARAMETRIZATIONS.items()
    }
    root = {name for name, ratio in fourth.items() if ratio == pytest.approx(1 / 2)}
    assert root == {"sp", "ntk", "everett", "minicpm"}
    assert {round(ratio, 9) for name, ratio in fourth.items() if name not in root} == {0.25}


@pytest.mark.parametrize(
    ("name", "given"),
    [("mean_field", {}), ("everett", {"form": "mup"}), ("everett", {"form": "mean_field"})],
)
def test_what_is_mup_in_other_numbers_has_its_attention(
    name: str, given: dict[str, OptionValue]
) -> None:
    """Facts 2.3: the same function, so the same attention logits when heads grow."""
    one, other = (PARAMETRIZATIONS[each] for each in (name, "mup"))
    scale = one.attention_scale(256, 64, options(name, **given))
    assert scale == other.attention_scale(256, 64, options("mup"))


def test_independent_decay_is_the_same_in_every_form() -> None:
    moved = transform(rule("mup", dims(HID)), 3.0, ADAM, DecayForm.INDEPENDENT)
    assert moved.weight_decay_factor == rule("mup", dims(HID)).weight_decay_factor


def test_decay_inside_the_trust_ratio_stays_as_large_as_the_direction() -> None:
    """Facts 3: r = u + lambda w, so a weight 1/theta as large needs lambda theta as large."""
    table_3 = rule("mup", dims(OUT), UpdateFamily.TRUST_RATIO, form="table3")
    for theta in (1 / 4, 3.0):
        moved = transform(table_3, theta, UpdateFamily.TRUST_RATIO)
        kept = moved.weight_decay_factor * moved.init_std
        assert kept == pytest.approx(table_3.weight_decay_factor * table_3.init_std)
        assert moved.learning_rate_factor == table_3.learning_rate_factor


def test_l2_decay_of_adam_has_no_symmetry_and_says_so() -> None:
    with pytest.raises(ValueError, match="no abc-symmetry"):
        transform(rule("mup", dims(HID)), 3.0, ADAM, DecayForm.L2)


def test_every_family_has_its_power_of_theta() -> None:
    assert set(POWER) == set(UpdateFamily)
