"""Each fault changes what it says and nothing else; what is equal by arithmetic is one class."""

import math
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from muscope import spec_file
from muscope.catalogue import MODELS, broken, rules
from muscope.catalogue.fault_classes import classes
from muscope.catalogue.options import OptionValue
from muscope.catalogue.rules import Choice, Size
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec, digest
from muscope.theory.faults import FAULTS, Visibility
from muscope.vocabulary import Role

BASE = Size(64, 2, 64, 2)
WIDE = Size(256, 2, 64, 2)
DEEP = Size(64, 8, 64, 2)
EMB, HID, OUT, VEC = Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT, Role.VECTOR
A, B, C, DECAY, EPS = (
    "multiplier",
    "init_std",
    "learning_rate_factor",
    "weight_decay_factor",
    "epsilon_factor",
)
Shifts = Mapping[tuple[Role, str], float]

EPSILONS: Shifts = {(role, EPS): 1 for role in (EMB, HID, OUT, VEC)}
UNSCALED: Shifts = {(HID, DECAY): -1, **EPSILONS}

# By how many powers of the width a fault shifts a number of the healthy rule (µP, Table 8).
ADAMW: dict[str, Shifts] = {
    "hidden_std_fixed": {(HID, B): 0.5},
    "hidden_std_by_m": {(HID, B): -0.5},
    "hidden_std_twice": {(HID, B): -0.5},
    "embedding_std_by_sqrt_m": {(EMB, B): -0.5},
    "embedding_std_times_sqrt_m": {(EMB, B): 0.5},
    "embedding_as_hidden": {(EMB, B): -0.5, (EMB, C): -1},
    "output_std_by_sqrt_m": {(OUT, B): -0.5},
    "output_std_times_sqrt_m": {(OUT, B): 0.5},
    "output_multiplier_missing": {(OUT, A): 1},
    "output_multiplier_twice": {(OUT, A): -1},
    "output_multiplier_by_sqrt_m": {(OUT, A): 0.5},
    "rates_not_scaled": {(HID, C): 1},
    "hidden_rate_not_scaled": {(HID, C): 1},
    "hidden_rate_twice": {(HID, C): -1},
    "hidden_rate_inverted": {(HID, C): 2},
    "hidden_rate_by_sqrt_m": {(HID, C): 0.5},
    "output_rate_as_hidden": {(OUT, C): -1},
    "embedding_rate_as_hidden": {(EMB, C): -1},
    "vector_rate_as_hidden": {(VEC, C): -1},
    "sgd_rates_with_adam": {(EMB, C): 1, (HID, C): 1, (OUT, C): 1, (VEC, C): 1},
    "fused_rate": {},
    "decay_coupled": {(HID, DECAY): -1},
    "epsilon_not_scaled": EPSILONS,
    "epsilon_large": EPSILONS,
    "never_scaled": {(HID, C): 1, (OUT, A): 1, (OUT, B): -0.5, **UNSCALED},
    "base_follows_width": {(HID, C): 1, (OUT, A): 1, (OUT, B): -0.5, **UNSCALED},
    "everything_fixed": {(HID, B): 0.5, (HID, C): 1, (OUT, A): 1, **UNSCALED},
    "wrong_base": {},
}
SGD: dict[str, Shifts] = {
    "rates_not_scaled": {(EMB, C): -1, (OUT, C): -1, (VEC, C): -1},
    "output_rate_not_scaled": {(OUT, C): -1},
    "output_rate_twice": {(OUT, C): 1},
    "output_rate_as_hidden": {(OUT, C): -1},
    "embedding_rate_not_scaled": {(EMB, C): -1},
    "embedding_rate_twice": {(EMB, C): 1},
    "embedding_rate_as_hidden": {(EMB, C): -1},
    "vector_rate_not_scaled": {(VEC, C): -1},
    "vector_rate_as_hidden": {(VEC, C): -1},
    "adam_rates_with_sgd": {(EMB, C): -1, (HID, C): -1, (OUT, C): -1, (VEC, C): -1},
    "muon_rate_by_m": {},
}
MUON: dict[str, Shifts] = {
    "muon_rate_by_m": {(HID, C): -1},
    "muon_rate_by_sqrt_m": {(HID, C): -0.5},
    "hidden_rate_twice": {},
}
TABLE_3: dict[str, Shifts] = {
    "output_std_fixed": {(OUT, B): 1},
    "output_rate_not_scaled": {(OUT, C): 1},
    "output_rate_twice": {(OUT, C): -1},
}
CASES = [
    (table, optimizer, fault, shifts)
    for table, optimizer, rows in (
        ("table8", "adamw", ADAMW),
        ("table8", "sgd", SGD),
        ("table8", "muon", MUON),
        ("table3", "adamw", TABLE_3),
    )
    for fault, shifts in rows.items()
]
# What the powers leave equal: no coordinate check can tell them apart.
SP = ("never_scaled", "base_follows_width")
TWICE = ("hidden_std_by_m", "hidden_std_twice")
EQUAL = {
    "adamw": {
        ("", "decay_coupled", "epsilon_not_scaled", "wrong_base"),
        ("rates_not_scaled", "hidden_rate_not_scaled"),
        SP,
        TWICE,
    },
    "sgd": {
        ("", "wrong_base"),
        ("output_rate_not_scaled", "output_rate_as_hidden"),
        ("embedding_rate_not_scaled", "embedding_rate_as_hidden"),
        SP,
        TWICE,
    },
    "muon": {("", "epsilon_not_scaled", "wrong_base"), SP, TWICE},
}


def model(**options: OptionValue) -> dict[str, OptionValue]:
    """The GPT's options."""
    return MODELS["gpt"].complete(options)


def shifts(choice: Choice, optimizer: str, size: Size) -> dict[tuple[Role, str], float]:
    """By which powers a fault shifts every number of a GPT with biases, by role."""
    dims = rules.dimensions("gpt", model(biases=True), size)
    right = rules.weight_rules(choice.healthy, optimizer, dims)
    wrong = rules.weight_rules(choice, optimizer, dims)
    return {
        (dims[name].role, number): math.log(getattr(rule, number) / getattr(right[name], number), 4)
        for name, rule in wrong.items()
        for number in (A, B, C, DECAY, EPS)
        if getattr(right[name], number)
    }


@pytest.mark.parametrize(("table", "optimizer", "fault", "expected"), CASES)
def test_a_fault_shifts_what_it_says_and_nothing_else(
    table: str, optimizer: str, fault: str, expected: Shifts
) -> None:
    choice = Choice("mup", {"zero_readout": False, "form": table}, fault)
    wide, base = shifts(choice, optimizer, WIDE), shifts(choice, optimizer, BASE)
    found = {key: round(wide[key] - base[key], 6) for key in wide}
    assert {key: power for key, power in found.items() if power} == dict(expected)


@pytest.mark.parametrize("fault", FAULTS)
def test_at_the_base_only_constants_are_wrong(fault: str) -> None:
    constants = {"wrong_base", "epsilon_large", "fused_rate"}
    for optimizer in ("adamw", "sgd", "muon"):
        found = shifts(Choice("mup", {"zero_readout": False}, fault), optimizer, BASE)
        assert fault in constants or not any(abs(power) > 1e-9 for power in found.values())


def test_scalars_of_attention_and_of_depth_are_shifted_as_said() -> None:
    def power(fault: str, right: float, of: str, name: str, size: Size) -> None:
        choice = Choice(name, {"zero_readout": False}, fault)
        scale = getattr(rules, of)
        wrong = scale(choice, "gpt", model(heads=2), size)
        healthy = scale(choice.healthy, "gpt", model(heads=2), size)
        assert math.log(wrong / healthy, 4) == pytest.approx(right)

    power("attention_by_sqrt_d", 0.5, "attention_scale", "mup", WIDE)
    power("attention_twice", -0.5, "attention_scale", "mup", WIDE)
    power("residual_multiplier_missing", 1, "residual_multiplier", "complete_p", DEEP)
    power("residual_multiplier_twice", -1, "residual_multiplier", "complete_p", DEEP)
    power("residual_multiplier_missing", 0.5, "residual_multiplier", "depth_mup", DEEP)


def test_a_missing_rate_of_depth_is_missing_in_branches_only() -> None:
    choice = Choice("complete_p", {"zero_readout": False}, "depth_rate_missing")
    found = shifts(choice, "sgd", DEEP)
    assert found[HID, C] == found[VEC, C] == pytest.approx(-1)
    assert found[EMB, C] == found[OUT, C] == pytest.approx(0)


def test_a_tied_readout_without_its_multiplier_has_logits_m_times_as_large() -> None:
    options = model(tied_embeddings=True)
    choice = Choice("mup", {"zero_readout": False}, "output_multiplier_missing")
    wrong = rules.tied_multiplier(choice, "adamw", "gpt", options, WIDE)
    assert wrong / rules.tied_multiplier(choice.healthy, "adamw", "gpt", options, WIDE) == (
        pytest.approx(4)
    )


@pytest.mark.parametrize("optimizer", EQUAL)
def test_faults_of_equal_powers_are_one_class(optimizer: str) -> None:
    found = classes(Choice("mup", {"zero_readout": False}), optimizer, "mlp", {"biases": False})
    assert {names for names in found if len(names) > 1} == EQUAL[optimizer]


def test_over_a_zero_readout_a_wrong_multiplier_is_a_wrong_rate() -> None:
    found = classes(Choice("mup", {"zero_readout": True}), "adamw", "gpt", model())
    assert ("output_multiplier_twice", "output_rate_as_hidden") in found


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("mup", "adamw"), ("mup", "sgd"), ("depth_mup", "muon"), ("complete_p", "sgd")],
)
def test_slopes_see_a_fault_exactly_where_its_powers_differ(name: str, optimizer: str) -> None:
    options = model(heads=2, biases=True, fused_projections=True)
    by_class = classes(Choice(name, {"zero_readout": False}), optimizer, "gpt", options)
    for names in by_class:
        for fault in filter(None, names):
            seen = {Visibility.WIDTH, Visibility.DEPTH} & set(FAULTS[fault].visible)
            assert ("" in names) != bool(seen), fault


def study(**parametrization: object) -> StudySpec:
    """A study of one variant."""
    return StudySpec(
        name="faults",
        arms=(
            Arm(
                model=ModelSpec(name="mlp", batch_size=8),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=1e-3),),
            ),
        ),
        parametrizations=(ParametrizationSpec.model_validate({"name": "mup", **parametrization}),),
        widths=(64, 128),
    )


def test_a_fault_is_said_in_the_label_and_leaves_other_digests_alone() -> None:
    right, wrong = study(), study(fault="hidden_rate_not_scaled")
    assert "fault" not in right.parametrizations[0].model_dump()
    assert digest(right) != digest(wrong)
    assert ", broken: the learning rate of hidden weights" in wrong.variants[0].label
    assert right.variants[0].key != wrong.variants[0].key


def test_a_study_file_may_break_a_rule() -> None:
    text = """
name: broken
arms:
  - model: {name: mlp, batch_size: 8}
    optimizers: [{name: adamw, learning_rate: 1e-3}]
parametrizations: [{name: mup}, {name: mup, fault: hidden_std_fixed}]
widths: [64, 128]
"""
    assert spec_file.from_yaml(text, "text").parametrizations[1].fault == "hidden_std_fixed"


@pytest.mark.parametrize(
    ("parametrization", "words"),
    [
        ({"fault": "typo"}, "unknown fault 'typo'; allowed: hidden_std_fixed, "),
        ({"fault": "attention_by_sqrt_d"}, "changes nothing in parametrization 'mup'"),
        ({"fault": "output_std_fixed"}, "faults that do: hidden_std_fixed"),
        ({"name": "u_mup", "fault": "wrong_base"}, "take parametrization 'mup'"),
        ({"name": "lingle", "fault": "sgd_rates_with_adam"}, "no source gives parametrization"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_a_sentence(
    parametrization: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        study(**parametrization)


def test_refusals_list_only_faults_that_apply() -> None:
    choice = Choice("sp", {}, "attention_by_sqrt_d")
    options = MODELS["mlp"].complete({})
    for name in broken.applying(choice, "adamw", "mlp", options):
        assert broken.complaint(Choice("sp", {}, name), "adamw", "mlp", options) is None
