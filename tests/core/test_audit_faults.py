"""The static audit on models with one thing wrong: what is wrong comes first, by its name."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from muscope.catalogue.rules import Choice
from muscope.own_model import Layout, Parameter, Stepping, Values
from muscope.verdicts.audit import Audit, Level, Quantity
from tests.core.own_models import BASE, By, ByRule, Powers, audited, changed
from tests.core.own_tables import SGD_8, SP, TABLE_8, WITH_MUON


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


def test_a_mean_in_a_matrix_is_named() -> None:
    constant = changed("lm_head.weight", values=Values(10_000, 0.01, 0.02))
    quantity, names, _ = first(audited("mup", TABLE_8, change=constant))
    assert (quantity, names) == (Quantity.MEAN, {"lm_head"})
