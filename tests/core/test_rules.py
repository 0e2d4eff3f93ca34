"""`muscope rules` from the outside: what it prints, compares, and refuses."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from muscope import catalogue
from muscope.cli import app


def rules(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rules", *arguments], env={"COLUMNS": "100"})


@pytest.mark.parametrize("name", catalogue.PARAMETRIZATION_ENTRIES)
def test_every_parametrization_fits_in_100_columns_with_its_source(name: str) -> None:
    printed = rules("--parametrization", name, "--width", "8192", "--depth", "32")
    assert printed.exit_code == 0, printed.output
    assert max(map(len, printed.stdout.splitlines())) <= 100
    assert "readout" in printed.stdout
    assert "source:" in printed.stdout


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


def test_the_scales_of_u_mups_operators_are_said_and_others_have_none() -> None:
    given = ("--json", "--width", "256", "--depth", "4", "--parametrization")
    (ours,) = json.loads(rules(*given, "u_mup:alpha_loss_softmax=2").stdout)
    assert ours["operator_scales"]["logits"] == 2
    assert ours["operator_scales"]["readout.backward"] == 1 / 16
    (plain,) = json.loads(rules(*given, "mup").stdout)
    assert plain["operator_scales"] == {}
    said = rules(*given[1:], "u_mup").stdout
    assert "branches: a f(h) + b h, a from 0.4472 to 0.2887, b from 0.8944 to 0.9574" in said


def test_biases_and_gains_are_rows_of_their_own() -> None:
    given = ("--optimizer", "sgd", "--model", "gpt:biases=true,norm_gains=vector,heads=8")
    (table,) = json.loads(rules("--json", *given).stdout)
    by_name = {weight["name"]: weight for weight in table["weights"]}
    for name in ("blocks.*.attn.q.bias", "blocks.*.mlp.norm.gain", "norm.gain"):
        assert (by_name[name]["role"], by_name[name]["learning_rate_factor"]) == ("vector", 4)
        assert by_name[name]["formula"] == "A = 1, B = 0, C: m (SGD), 1 (Adam)"


def test_attention_is_scaled_by_the_head_size_of_the_width() -> None:
    """8 heads: size 128 at width 1024 and 32 at the base, so sqrt(32) / 128 under µP."""
    (table,) = json.loads(rules("--json", "--model", "gpt:heads=8").stdout)
    assert table["attention_scale"] == pytest.approx(32**0.5 / 128)
    (table,) = json.loads(rules("--json", "--model", "gpt:attention_scale=1/d").stdout)
    assert table["attention_scale"] == 1 / 32


def test_tied_embeddings_show_the_multiplier_of_their_logits() -> None:
    tied = ("--model", "gpt:tied_embeddings=true")
    (table,) = json.loads(rules("--json", "--parametrization", "cerebras", *tied).stdout)
    assert table["tied_multiplier"] == 1 / 4
    assert "readout" not in {weight["name"] for weight in table["weights"]}
    printed = rules("--parametrization", "cerebras", *tied).stdout
    assert "logits: the token embedding times 0.25" in printed


def test_weights_of_one_rule_share_a_line_and_others_do_not() -> None:
    (table,) = json.loads(rules("--json", "--model", "resnet", "--depth", "3").stdout)
    names = [weight["name"] for weight in table["weights"]]
    assert names[:4] == ["stem", "stages.0.*.conv1", "stages.0.*.conv2", "stages.1.down"]


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
    unit_scaled = rules("--parametrization", "mup", "--diff", "u_mup").stdout
    assert "u_mup, operators: " in unit_scaled
    assert "u_mup, branches: a f(h) + b h" in unit_scaled
    assert "no weight differs" in rules("--parametrization", "mup", "--diff", "mup").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--parametrization", "nope"], "unknown parametrization 'nope'; allowed: sp, mup"),
        (["--optimizer", "nope"], "unknown optimizer 'nope'; allowed: "),
        (["--model", "nope"], "unknown model 'nope'; allowed: gpt, llama, mlp"),
        (["--parametrization", "mup:form=table4"], "must be one of table8, table3, table9"),
        (["--parametrization", "mup:speed=1"], "unknown option 'speed'"),
        (["--parametrization", "mup:zero_readout=maybe"], "must be true or false, got 'maybe'"),
        (["--parametrization", "minicpm:scale_emb=much"], "must be a number, got 'much'"),
        (["--model", "gpt:heads=some"], "must be a whole number, got 'some'"),
        (["--width", "100"], "width 100 is not a multiple of the head size 32"),
        (["--base-width", "100"], "width 100 is not a multiple of the head size 32"),
        (["--model", "gpt:tied_embeddings=true"], "an embedding that starts at zero"),
        (["--parametrization", "complete_p", "--model", "mlp"], "scales residual branches"),
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
