"""The static audit on models whose powers of the width are written down (docs/facts.md 2)."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from muscope import catalogue
from muscope.catalogue.rules import Choice
from muscope.own_model import Parameter, Stepping, Values
from muscope.theory.rule import ROLES
from muscope.verdicts.audit import Level, Quantity
from tests.core.own_models import BASE, WIDE, By, ByRule, Powers, audited, changed
from tests.core.own_tables import (
    MUON,
    MUON_RMS,
    NTK,
    SGD_3,
    SGD_8,
    SGD_9,
    SP,
    TABLE_3,
    TABLE_8,
    TABLE_9,
    U_MUP,
    WITH_MUON,
    WITH_MUON_RMS,
)


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


def test_an_explicit_form_is_the_only_one_that_counts() -> None:
    assert audited("mup", TABLE_3, options={"form": "table3"}).deviations == ()
    quantities = {f.quantity for f in audited("mup", TABLE_3, options={"form": "table8"}).findings}
    assert {Quantity.STD, Quantity.RATE} <= quantities


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
