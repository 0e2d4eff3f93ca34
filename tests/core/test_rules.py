"""`muscope rules` from the outside: what it prints, compares, and refuses."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from muscope import catalogue
from muscope.cli import app


def rules(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rules", *arguments], env={"COLUMNS": "100"})


@pytest.mark.parametrize("name", catalogue.ALL_PARAMETRIZATIONS)
def test_every_parametrization_fits_in_100_columns_with_its_source(name: str) -> None:
    printed = rules("--parametrization", name, "--width", "8192", "--depth", "32")
    assert printed.exit_code == 0, printed.output
    assert max(map(len, printed.stdout.splitlines())) <= 100
    assert "readout" in printed.stdout
    assert "source:" in printed.stdout
    assert ("Rules only" in printed.stdout) == (name not in catalogue.PARAMETRIZATION_ENTRIES)


def test_json_says_the_numbers_of_every_kind_of_weight() -> None:
    printed = rules(
        "--json", "--depth", "8", "--base-depth", "2", "--parametrization", "complete_p"
    )
    (table,) = json.loads(printed.stdout)
    assert table["residual_multiplier"] == 1 / 4
    by_name = {weight["name"]: weight for weight in table["weights"]}
    assert by_name["blocks.*.attn.q"]["learning_rate_factor"] == 1 / 4
    assert by_name["readout"]["multiplier"] == 1 / 4
    assert "1/m (Adam)" in by_name["blocks.*.mlp.up"]["formula"]


def test_muon_hands_the_readout_to_adamw() -> None:
    (table,) = json.loads(rules("--json", "--optimizer", "muon").stdout)
    families = {weight["name"]: weight["update_family"] for weight in table["weights"]}
    assert (families["blocks.*.attn.o"], families["readout"]) == ("orthogonal", "sign_like")


def test_independent_decay_is_the_same_for_every_weight() -> None:
    (table,) = json.loads(rules("--json", "--optimizer", "adamw_independent").stdout)
    assert {weight["weight_decay_factor"] for weight in table["weights"]} == {1.0}


def test_a_difference_shows_only_what_differs() -> None:
    printed = rules("--parametrization", "mup:form=table3", "--diff", "mup:form=table8").stdout
    assert "0.25 → 1" in printed
    assert "attn.q" not in printed
    assert "no weight differs" in rules("--parametrization", "mup", "--diff", "mup").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--parametrization", "nope"], "unknown parametrization 'nope'; allowed: sp, mup"),
        (["--optimizer", "nope"], "unknown optimizer 'nope'; allowed: "),
        (["--model", "nope"], "unknown model 'nope'; allowed: gpt, mlp"),
        (["--parametrization", "mup:form=table4"], "must be one of table8, table3, table9"),
        (["--parametrization", "mup:speed=1"], "unknown option 'speed'"),
        (["--parametrization", "mup:zero_readout=maybe"], "must be true or false, got 'maybe'"),
        (["--parametrization", "minicpm:scale_emb=much"], "must be a number, got 'much'"),
        (
            ["--parametrization", "cerebras", "--optimizer", "sgd"],
            "no source gives parametrization 'cerebras' a learning rate",
        ),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(arguments: list[str], sentence: str) -> None:
    refused = rules(*arguments)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
