"""The static audit on models whose powers of the width are written down (docs/facts.md 2)."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from muscope import catalogue
from muscope.catalogue.rules import Choice
from muscope.own_model import Layout, Parameter, Stepping, Values
from muscope.theory.rule import ROLES
from muscope.verdicts.audit import Audit, Level, Quantity
from tests.core.own_models import (
    BASE,
    WIDE,
    By,
    ByRule,
    Powers,
    audited,
    changed,
)

# Rows of facts 2.1 to 2.9 as powers of m: std, learning rate, weight decay (lr times decay stays).
VECTOR = Powers(None, 0)
ADAM_HIDDEN = Powers(-0.5, -1, 1)
TABLE_8: By = {
    "embedding": Powers(0, 0),
    "hidden": ADAM_HIDDEN,
    "output": Powers(0, 0),
    "vector": VECTOR,
}
TABLE_3: By = {**TABLE_8, "output": Powers(-1, -1, 1)}
TABLE_9: By = {
    **TABLE_8,
    "embedding": Powers(-0.5, -0.5, 0.5),
    "output": Powers(-0.5, -0.5, 0.5),
}
SGD_VECTOR = Powers(None, 1, -1)
SGD_8: By = {
    "embedding": Powers(0, 1, -1),
    "hidden": Powers(-0.5, 0),
    "output": Powers(0, 1, -1),
    "vector": SGD_VECTOR,
}
SGD_3: By = {**SGD_8, "output": Powers(-1, -1, 1)}
SGD_9: By = {**SGD_8, "embedding": Powers(-0.5, 0), "output": Powers(-0.5, 0)}
MUON: By = {**TABLE_8, "hidden": Powers(-0.5, 0)}
MUON_RMS: By = {**TABLE_8, "hidden": Powers(-0.5, -0.5, 0.5)}
SP: By = {
    "embedding": Powers(0, 0),
    "hidden": Powers(-0.5, 0),
    "output": Powers(-0.5, 0),
    "vector": VECTOR,
}
U_MUP: By = {
    "embedding": Powers(0, -0.5, 0.5),
    "hidden": Powers(0, -0.5, 0.5),
    "output": Powers(0, 0),
    "vector": VECTOR,
}
NTK: By = {
    "embedding": Powers(0, 0),
    "hidden": Powers(0, -0.5, 0.5),
    "output": Powers(0, -0.5, 0.5),
    "vector": VECTOR,
}
WITH_MUON = {"hidden": "muon"}
WITH_MUON_RMS = {"hidden": "muon_match_rms"}


@pytest.mark.parametrize(
    ("parametrization", "optimizer", "by", "form"),
    [
        ("mup", "adamw", TABLE_8, "Table 8"),
        ("mup", "adamw", TABLE_3, "Table 3"),
        ("mup", "adamw", TABLE_9, "Table 9"),
        ("mup", "adamw", {**TABLE_8, "output": Powers(None, 0)}, "Table 8"),
        ("mup", "lion", TABLE_8, "Table 8"),
        ("mup", "sgd", SGD_8, "Table 8"),
        ("mup", "sgd", SGD_3, "Table 3"),
        ("mup", "sgd", SGD_9, "Table 9"),
        ("mup", WITH_MUON, MUON, "Table 8"),
        ("mup", WITH_MUON_RMS, MUON_RMS, "Table 8"),
        ("mup", None, TABLE_8, "Table 8"),
        ("sp", "adamw", SP, "as printed"),
        ("sp", "sgd", SP, "as printed"),
        ("sp", WITH_MUON, SP, "as printed"),
        ("ntk", "adamw", NTK, "as printed"),
        ("cerebras", "adamw", {**TABLE_8, "hidden": Powers(-0.5, -1)}, "as printed"),
        ("complete_p", "adamw", TABLE_8, "as printed"),
        ("complete_p", "adamw", TABLE_3, "without multipliers"),
        ("u_mup", "adamw", U_MUP, "as printed"),
    ],
)
def test_a_model_that_follows_its_rule_has_no_deviation_and_is_told_which_form(
    parametrization: str, optimizer: str | Mapping[str, str] | None, by: By, form: str
) -> None:
    found = audited(parametrization, by, optimizer=optimizer)
    assert [finding.sentence() for finding in found.deviations] == []
    assert any(f"({form})" in note for note in found.notes)


def test_with_scaled_epsilon_there_is_not_even_a_warning() -> None:
    by = {kind: powers._replace(epsilon=-1) for kind, powers in TABLE_8.items()}
    assert audited("mup", by).findings == ()


def first(found: Audit) -> tuple[Quantity, set[str], str]:
    """What comes first: quantity, the last words of the parameters' names, and the mistake."""
    finding = found.findings[0]
    assert finding.level is Level.DEVIATION
    kinds = {name.split(".")[-2] for name in finding.parameters}
    return finding.quantity, kinds, finding.mistake


HIDDEN_NAMES = {"q", "o", "up", "down"}


@pytest.mark.parametrize(
    ("by", "optimizer", "quantity", "names", "words"),
    [
        (  # gpt-neox#956: µP was never switched on
            SP,
            "adamw",
            Quantity.RATE,
            HIDDEN_NAMES,
            "one learning rate for every weight",
        ),
        (
            {**TABLE_8, "hidden": Powers(0, -1, 1)},
            "adamw",
            Quantity.STD,
            HIDDEN_NAMES,
            "one fixed std",
        ),
        (  # gpt-neox#1087
            {**TABLE_8, "hidden": Powers(-1, -1, 1)},
            "adamw",
            Quantity.STD,
            HIDDEN_NAMES,
            "a variance used as a std",
        ),
        (
            {**TABLE_8, "hidden": Powers(-0.5, -2, 2)},
            "adamw",
            Quantity.RATE,
            HIDDEN_NAMES,
            "scaled twice",
        ),
        (
            {**TABLE_8, "embedding": Powers(-0.5, -1, 1)},
            "adamw",
            Quantity.RATE,
            {"wte"},
            "fan_in and fan_out are swapped",
        ),
        (
            {**TABLE_8, "embedding": Powers(-0.5, 0)},
            "adamw",
            Quantity.STD,
            {"wte"},
            "fan_in and fan_out are swapped",
        ),
        (
            {**TABLE_8, "output": Powers(-0.5, 0)},
            "adamw",
            Quantity.STD,
            {"lm_head"},
            "the initialization of SP",
        ),
        (
            {**TABLE_8, "output": Powers(0, -1, 1)},
            "adamw",
            Quantity.RATE,
            {"lm_head"},
            "the rate of a hidden weight",
        ),
        (
            {**TABLE_8, "output": Powers(0.5, 0)},
            "adamw",
            Quantity.STD,
            {"lm_head"},
            "√m too much",
        ),
        (  # the rule of SGD, with Adam
            {kind: powers._replace(epsilon=0) for kind, powers in SGD_8.items()},
            "adamw",
            Quantity.RATE,
            {"wte", "lm_head", "up", "norm", *HIDDEN_NAMES},
            "the rates are those of SGD",
        ),
        (
            TABLE_8,
            "sgd",
            Quantity.RATE,
            {"wte", "lm_head", "up", "norm", *HIDDEN_NAMES},
            "the rates are those of Adam",
        ),
        (
            {**TABLE_8, "hidden": Powers(-0.5, -1)},
            "adamw",
            Quantity.DECAY,
            HIDDEN_NAMES,
            "decay is coupled to the learning rate",
        ),
        (
            {**TABLE_8, "vector": Powers(None, -1, 1)},
            "adamw",
            Quantity.RATE,
            {"up", "norm"},
            "biases and gains have the rate of hidden weights",
        ),
        (  # Megatron#3715
            {**TABLE_8, "hidden": Powers(-0.5, -1, 1)},
            WITH_MUON,
            Quantity.RATE,
            HIDDEN_NAMES,
            "1/m on top counts it twice",
        ),
        (
            {**SGD_8, "embedding": Powers(0, 0)},
            "sgd",
            Quantity.RATE,
            {"wte"},
            "not multiplied by the width",
        ),
    ],
)
def test_a_single_fault_comes_first_with_its_name(
    by: By,
    optimizer: str | Mapping[str, str],
    quantity: Quantity,
    names: set[str],
    words: str,
) -> None:
    found, guilty, mistake = first(audited("mup", by, optimizer=optimizer))
    assert (found, words) == (quantity, words if words in mistake else mistake)
    assert guilty <= names


def test_the_audited_width_may_lie_below_the_base() -> None:
    narrow = (BASE, BASE // 2, BASE // 4)
    assert audited("mup", TABLE_3, widths=narrow).deviations == ()
    fault = {**TABLE_8, "hidden": Powers(-0.5, 0)}
    finding = audited("mup", fault, widths=narrow).findings[0]
    assert "4 times too small" in finding.sentence()  # m = 1/4


RULES = [
    (parametrization, optimizer)
    for parametrization, entry in catalogue.PARAMETRIZATION_ENTRIES.items()
    for optimizer, stepper in catalogue.OPTIMIZERS.items()
    if {stepper.family_of(role) for role in ROLES} <= set(entry.theory.families)
]


@pytest.mark.parametrize(("parametrization", "optimizer"), RULES)
@pytest.mark.parametrize("is_seen", [False, True], ids=["unseen", "seen"])
def test_every_rule_of_the_catalogue_finds_nothing_in_a_model_made_by_it(
    parametrization: str, optimizer: str, is_seen: bool
) -> None:
    """In width and depth, with the multiplier in sight or not."""
    choice = Choice(parametrization, {"zero_readout": False})
    found = ByRule(choice, optimizer, is_seen).audited()
    assert [finding.sentence() for finding in found.findings] == []


@pytest.mark.parametrize(
    ("made_by", "audited_as", "quantity", "names"),
    [
        ("mup", "depth_mup", Quantity.RATE, {"q", "o", "up", "down"}),
        ("mup", "complete_p", Quantity.EPSILON, {"q", "o", "up", "down"}),
        ("mup", "cerebras", Quantity.STD, {"o", "down"}),
    ],
)
def test_a_missing_factor_of_depth_is_named(
    made_by: str, audited_as: str, quantity: Quantity, names: set[str]
) -> None:
    models = ByRule(Choice(made_by, {"zero_readout": False}), "adamw", False)
    found = replace(models, judged_by=Choice(audited_as, {})).audited()
    in_depth = [f for f in found.findings if "r^" in f.found and f.quantity is quantity]
    guilty = {name.split(".")[-2] for finding in in_depth for name in finding.parameters}
    assert guilty == names
    assert all("factor for depth is missing" in finding.mistake for finding in in_depth)


def test_a_deviation_says_by_how_much_where_and_against_which_line() -> None:
    found = audited("mup", {**TABLE_8, "hidden": Powers(-0.5, 0)})
    sentence = found.findings[0].sentence()
    assert "blocks.*.attn.q.weight, blocks.*.attn.o.weight" in sentence
    assert "(8 tensors)" in sentence
    assert "4 times too large" in sentence  # m = 4
    assert "1/m (Adam)" in sentence
    assert "Yang et al. 2022 (Tensor Programs V), Table 8" in sentence


def test_the_rates_of_nanotron_are_recognised_by_the_shapes_of_the_matrices() -> None:
    def spectral(parameter: Parameter, width: int) -> Parameter:
        if not parameter.name.endswith(("q.weight", "o.weight", "up.weight", "down.weight")):
            return parameter
        rate = 1e-3 * parameter.shape[0] / parameter.shape[1]
        return replace(parameter, steppings=(Stepping("adamw", "AdamW", rate),))

    found = audited("mup", TABLE_8, change=spectral)
    assert found.findings[0].quantity is Quantity.RATE
    assert "fan_out/fan_in is the rule of SGD" in found.findings[0].mistake


def test_an_explicit_form_is_the_only_one_that_counts() -> None:
    assert audited("mup", TABLE_3, options={"form": "table3"}).deviations == ()
    quantities = {f.quantity for f in audited("mup", TABLE_3, options={"form": "table8"}).findings}
    assert {Quantity.STD, Quantity.RATE} <= quantities


@pytest.mark.parametrize(
    ("multiplier", "words"), [(0.0, "multiplier is missing"), (-2.0, "multiplier is applied twice")]
)
def test_a_multiplier_that_is_known_is_compared(multiplier: float, words: str) -> None:
    def readout(parameter: Parameter, width: int) -> Parameter:
        if parameter.name != "lm_head.weight":
            return parameter
        return replace(parameter, multiplier=(width / BASE) ** multiplier)

    quantity, names, mistake = first(audited("mup", TABLE_8, change=readout))
    assert (quantity, names) == (Quantity.MULTIPLIER, {"lm_head"})
    assert words in mistake


def tied(std: float, **options: str) -> Audit:
    """The readout is the embedding, whose std goes with that power of the width."""
    by = {**TABLE_8, "embedding": Powers(std, 0)}
    layouts = (Layout.MATRIX,)
    tie = changed("wte.weight", aliases=("readout.weight",), alias_layouts=layouts)
    return audited("mup", by, options=options, change=tie)


def test_tied_weights_fit_table_8_and_a_factor_of_sqrt_m_on_them_is_recognised() -> None:
    assert tied(0).deviations == ()
    quantity, names, mistake = first(tied(0.5))
    assert (quantity, names) == (Quantity.STD, {"wte"})
    assert "mup#55" in mistake


def test_weights_cannot_be_tied_under_table_3() -> None:
    finding = tied(0, form="table3").findings[0]
    assert finding.quantity is Quantity.TIES
    assert "different learning rates" in finding.sentence()


def test_tensors_that_nobody_steps_or_two_do_are_named() -> None:
    twice = Stepping("adamw", "AdamW", 3e-3)
    missing = audited("mup", TABLE_8, change=changed("lm_head.weight", steppings=()))
    double = audited("mup", TABLE_8, change=changed("norm.weight", steppings=(twice, twice)))
    assert missing.findings[0].sentence().startswith("lm_head.weight: no optimizer holds it")
    assert double.findings[0].sentence().startswith("norm.weight: it is in the optimizer more")


def test_a_base_width_that_is_not_the_codes_is_a_warning_with_the_other_width() -> None:
    def base_is_256(parameter: Parameter, width: int) -> Parameter:
        (stepping,) = parameter.steppings
        factor = 4 if len(parameter.shape) == 2 and parameter.name.startswith("blocks") else 1
        rate = stepping.learning_rate * factor
        return replace(parameter, steppings=(replace(stepping, learning_rate=rate),))

    found = audited("mup", TABLE_8, change=base_is_256)
    (warning,) = [finding for finding in found.warnings if finding.quantity is Quantity.BASE]
    assert found.deviations == ()
    assert f"the code has base width {WIDE}" in warning.mistake


def test_a_constant_epsilon_is_a_warning_and_any_other_power_a_deviation() -> None:
    (warning,) = audited("mup", TABLE_8).findings
    assert (warning.level, warning.quantity) == (Level.WARNING, Quantity.EPSILON)
    grows = {kind: powers._replace(epsilon=1) for kind, powers in TABLE_8.items()}
    assert audited("mup", grows).findings[0].level is Level.DEVIATION


def test_a_mean_in_a_matrix_is_named() -> None:
    constant = changed("lm_head.weight", values=Values(10_000, 0.01, 0.02))
    quantity, names, _ = first(audited("mup", TABLE_8, change=constant))
    assert (quantity, names) == (Quantity.MEAN, {"lm_head"})


def test_too_few_values_give_a_note_and_no_verdict() -> None:
    def small(parameter: Parameter, width: int) -> Parameter:
        if parameter.name != "lm_head.weight":
            return parameter
        # 5 standard errors of the ratio: 5 sqrt(2/(2·20)) = 1.1, more than ln 4 / 4
        return replace(parameter, values=Values(20, 0.0, 0.02 * width))

    found = audited("mup", TABLE_8, change=small)
    assert found.deviations == ()
    assert any("Too few values" in note and "lm_head.weight" in note for note in found.notes)


def test_one_number_is_no_evidence_for_another_form() -> None:
    """Without rates, an embedding like 1/√m would fit Table 9; the readout says Table 8."""
    by = {**TABLE_8, "embedding": Powers(-0.5, 0)}
    assert audited("mup", by, optimizer=None).findings[0].quantity is Quantity.STD


def test_a_multiplier_in_forward_is_said_to_be_out_of_sight() -> None:
    notes = " ".join(audited("mup", TABLE_8).notes)
    assert "if forward() multiplies by m^-1" in notes
    assert "cannot be seen statically, only by a coordinate check" in notes
    assert "Table 3), assuming no multiplier" in " ".join(audited("mup", TABLE_3).notes)


def test_an_unknown_optimizer_needs_its_name_and_a_wrong_name_is_refused() -> None:
    with pytest.raises(ValueError, match="the optimizer None is not known: say with --optimizer"):
        audited("mup", TABLE_8, change=_stepped_by(None))
    with pytest.raises(ValueError, match="no source gives parametrization 'cerebras'"):
        audited("cerebras", TABLE_8, optimizer="sgd")


def _stepped_by(name: str | None) -> object:
    return changed("weight", steppings=(Stepping(name, str(name), 3e-3),))
