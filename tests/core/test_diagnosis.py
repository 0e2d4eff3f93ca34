"""The fault that bent the slopes is named first; healthy slopes name none."""

import json
from dataclasses import replace
from itertools import product

import pytest

from muscope.catalogue.broken import applies
from muscope.catalogue.rules import Choice
from muscope.theory.faults import FAULTS, Visibility
from muscope.verdicts.diagnosis.signatures import Along
from muscope.verdicts.diagnosis.suspects import diagnose
from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.vocabulary import Axis, Statistic, TensorKind
from tests.core.diagnosed import (
    RANDOM,
    WIDTHS,
    after_a_fault,
    cell,
    cells,
    diagnosis,
    first,
    trained,
)

ACTIVATIONS = (TensorKind.ACTIVATION,)


def visible(model: str, optimizer: str, where: Visibility = Visibility.WIDTH) -> list[str]:
    """The faults that change something here and say that slopes show it."""
    return [
        name
        for name, fault in FAULTS.items()
        if where in fault.visible and applies(Choice("mup", RANDOM, name), optimizer, model, {})
    ]


@pytest.mark.parametrize(
    ("model", "optimizer"), [("mlp", "sgd"), ("gpt", "adamw"), ("llama", "muon")]
)
def test_every_fault_that_slopes_show_is_named_first(model: str, optimizer: str) -> None:
    of, names = trained(model, optimizer), visible(model, optimizer)
    assert len(names) > 15
    for number, name in enumerate(names):
        found = diagnosis(of, cells(of, FAULTS[name], seed=number))
        assert name in first(found), (name, [suspect.fault for suspect in found.suspects])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_healthy_slopes_name_no_fault(optimizer: str) -> None:
    for model, seed in product(("mlp", "gpt"), range(5)):
        of = trained(model, optimizer)
        # twice the spread of five seeds over widths of three octaves
        found = diagnosis(of, cells(of, noise=0.06, seed=seed), keeps_sizes=None)
        assert found == Diagnosis(suspects=())


@pytest.mark.parametrize("rule", ["mup", "spectral", "u_mup", "complete_p", "lingle"])
def test_no_rule_that_keeps_sizes_has_a_suspect(rule: str) -> None:
    of = trained("gpt", "adamw", rule)
    assert diagnosis(of, cells(of)) == Diagnosis(suspects=())


def test_one_odd_tensor_is_no_fault_of_a_rule() -> None:
    of = trained("gpt", "adamw")
    read = cells(of)
    odd = next(number for number, each in enumerate(read) if each.kind is TensorKind.GRADIENT)
    read[odd] = read[odd].model_copy(update={"slope": 1.0, "low": 0.95, "high": 1.05})
    assert diagnosis(of, read).suspects == ()


def test_faults_of_equal_exponents_are_named_together() -> None:
    of = trained("gpt", "adamw")
    found = after_a_fault(of, "hidden_std_by_m")
    assert first(found) >= {"hidden_std_by_m", "hidden_std_twice"}
    assert "; or " in found.suspects[0].title


def test_shares_add_up_and_the_likeliest_is_first() -> None:
    of = trained("mlp", "adamw")
    found = diagnosis(of, cells(of, FAULTS["hidden_rate_by_sqrt_m"], kinds=ACTIVATIONS))
    scores = [suspect.score for suspect in found.suspects]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0, abs=1e-3)  # four decimals each


def test_evidence_has_the_slope_and_what_it_should_be() -> None:
    of = trained("gpt", "adamw")
    found = diagnosis(of, cells(of, FAULTS["hidden_rate_not_scaled"], noise=0.0))
    said = " ".join(found.suspects[0].evidence)
    assert "update contribution of hidden weights" in said
    assert "grows as n^1.00 (expected n^0, with this fault n^1.00)" in said
    assert "1/m" in found.suspects[0].fix


@pytest.mark.parametrize("name", ["hidden_rate_not_scaled", "output_multiplier_missing"])
def test_activations_are_enough_for_what_moves_them(name: str) -> None:
    of = trained("gpt", "adamw")
    found = diagnosis(of, cells(of, FAULTS[name], kinds=ACTIVATIONS))
    assert name in first(found)


def test_what_was_not_recorded_is_said_to_tell_the_first_two_apart() -> None:
    of = trained("mlp", "adamw")
    read = cells(of, FAULTS["hidden_rate_not_scaled"], kinds=ACTIVATIONS)
    of_hidden = [each for each in read if each.tensor.startswith("hidden")]
    assert "record: full" in (diagnosis(of, of_hidden).separates or "")


@pytest.mark.parametrize("kinds", [ACTIVATIONS, tuple(TensorKind)])
@pytest.mark.parametrize(
    ("rule", "switches", "model", "fault"),
    [
        ("sp", {}, "mlp", "never_scaled"),
        ("sp", {}, "gpt", "never_scaled"),
        ("sp", {"init": "gpt2"}, "gpt", "everything_fixed"),
        ("nanotron", {}, "mlp", "sgd_rates_with_adam"),
        ("nanotron", {}, "llama", "sgd_rates_with_adam"),
    ],
)
def test_a_rule_that_does_as_its_theory_says_is_held_against_one_that_keeps_sizes(
    rule: str, switches: dict[str, str], model: str, fault: str, kinds: tuple[TensorKind, ...]
) -> None:
    of = trained(model, "adamw", rule, {**RANDOM, **switches})
    found = diagnosis(of, cells(of, kinds=kinds))
    assert found.suspects[0].fault == fault
    assert "own theory says" in (found.note or "")
    assert diagnosis(of, cells(of), keeps_sizes=None).suspects == ()


@pytest.mark.parametrize("name", ["residual_multiplier_missing", "residual_multiplier_twice"])
def test_slopes_on_depth_show_a_missing_depth_factor(name: str) -> None:
    switches = {**RANDOM, "alpha": 1.0}
    of = trained("gpt", "adamw", "complete_p", switches, depths=(4, 8, 16))
    found = after_a_fault(of, name)
    assert name in first(found)
    assert "as L^" in " ".join(found.suspects[0].evidence)


def test_growing_heads_show_a_scale_of_sqrt_d() -> None:
    of = trained("gpt", "adamw", options={"heads": 2})
    assert "attention_by_sqrt_d" in first(after_a_fault(of, "attention_by_sqrt_d"))


def test_one_seed_and_values_that_diverged_leave_the_rest_to_speak() -> None:
    of = trained("mlp", "adamw")
    read = cells(of, FAULTS["hidden_rate_inverted"])
    one_seed = [each.model_copy(update={"low": None, "high": None, "seeds": 1}) for each in read]
    along = Along(Axis.WIDTH, WIDTHS, 2, 64, 2)
    key = (TensorKind.ACTIVATION, "readout", Statistic.CHANGE, 2)
    lost = [each for each in one_seed if (each.tensor, each.step) != ("readout", 2)]
    assert "hidden_rate_inverted" in first(diagnosis(of, [*lost, cell(of, along, key, None)]))


def test_nothing_is_said_without_slopes_or_of_a_model_that_is_not_known() -> None:
    of = trained("mlp", "adamw")
    assert diagnose(of, [], confidence=0.9, keeps_sizes=None) is None
    other = replace(of, question=replace(of.question, model="somebody/s-model@1.0"))
    assert diagnose(other, cells(of), confidence=0.9, keeps_sizes=False) is None


def test_a_diagnosis_travels_as_json() -> None:
    of = trained("mlp", "adamw")
    found = after_a_fault(of, "hidden_std_fixed")
    assert Diagnosis.model_validate_json(json.dumps(found.model_dump(mode="json"))) == found
