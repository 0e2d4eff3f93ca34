"""`muscope audit` from the outside: what it prints, writes, refuses, and its exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from muscope.cli import app
from tests import needs

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_model" / "my_model.py"
SMALL = ("--base-width", "16", "--width", "64")


@pytest.fixture(autouse=True)
def _torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        needs.missing("torch is not installed")


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments], env={"COLUMNS": "100"})


def test_the_example_is_clean_and_says_what_it_could_not_see() -> None:
    done = audit(f"{EXAMPLE}:build", "--strict")
    assert done.exit_code == 0, done.output
    assert "✓ no deviation from µP in 6 parameters" in done.stdout
    said = " ".join(done.stdout.split())
    assert "(Table 8), if forward() multiplies by m^-1" in said
    assert "building at width 128 (2 of 3)" in done.stderr


def test_the_faulty_example_has_its_three_mistakes_named_and_the_worst_comes_last() -> None:
    done = audit(f"{EXAMPLE}:build_faulty", *SMALL)
    assert done.exit_code == 1, done.output
    said = " ".join(done.stdout.split())
    first, second, third = (
        said.index(words)
        for words in (
            "a variance used as a std",
            "one learning rate for every weight and width",
            "readout.weight: no optimizer holds it",
        )
    )
    assert first < second < third
    assert "✗ 3 deviations from µP" in said
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_json_is_all_that_stdout_holds() -> None:
    done = audit(f"{EXAMPLE}:build_faulty", *SMALL, "--json", "--lr", "3e-3")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["deviations"], found["widths"]) == (1, 3, [16, 32, 64])
    quantities = [finding["quantity"] for finding in found["findings"]]
    assert quantities[:3] == ["optimizer", "learning rate", "initial std"]
    by_name = {parameter["name"]: parameter for parameter in found["parameters"]}
    up = by_name["up.0.weight"]
    assert (up["role"], up["learning_rate_factor"]) == ("hidden", 0.25)  # 16 / 64
    assert up["powers_of_m"]["learning rate"] == {"found": 0.0, "wanted": -1.0}
    assert up["at"]["width 64"]["shape"] == [256, 64]


DEEP = """
from torch import nn, optim
def build(width, depth=None):
    model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(depth)))
    return model, optim.AdamW(model.parameters(), lr={rate}, eps=1e-16 / width / depth ** 0.5,
                              weight_decay=0)
"""


@pytest.mark.parametrize(
    ("rate", "code", "words"),
    [
        ("1 / width / depth ** 0.5", 0, "depth 8 over depth 2, r = 4, at width 64"),
        ("1 / width", 1, "the factor for depth is missing"),
    ],
)
def test_with_two_depths_the_scaling_in_depth_is_audited(
    tmp_path: Path, rate: str, code: int, words: str
) -> None:
    (tmp_path / "deep.py").write_text(DEEP.format(rate=rate))
    depths = ("--parametrization", "depth_mup", "--depth", "8", "--base-depth", "2")
    done = audit(str(tmp_path / "deep.py"), *depths)
    assert done.exit_code == code, done.output
    assert words in " ".join(done.stdout.split())


def test_a_rule_without_depth_says_that_depths_were_not_compared() -> None:
    done = audit(f"{EXAMPLE}:build", "--depth", "4", "--base-depth", "2")
    assert done.exit_code == 0
    assert "µP says nothing of depth" in " ".join(done.stdout.split())


def test_roles_are_written_corrected_and_read_back(tmp_path: Path) -> None:
    roles = tmp_path / "roles.yaml"
    audit(f"{EXAMPLE}:build", *SMALL, "--write-roles", str(roles))
    written = roles.read_text()
    assert "up.*.weight: hidden\n" in written
    roles.write_text(written.replace("up.*.weight: hidden", "up.*.weight: embedding"))
    done = audit(f"{EXAMPLE}:build", *SMALL, "--roles", str(roles), "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {name for finding in found["findings"] for name in finding["parameters"]} == {
        "up.0.weight",
        "up.1.weight",
    }


def test_options_are_given_as_in_the_rules_or_one_by_one() -> None:
    together = audit(f"{EXAMPLE}:build", *SMALL, "--parametrization", "mup:form=table3")
    apart = audit(f"{EXAMPLE}:build", *SMALL, "--option", "form=table3")
    assert together.exit_code == apart.exit_code == 1
    assert together.stdout == apart.stdout


RAISES = "def build(width):\n    raise RuntimeError('no such width')\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.py:build"], "there is no file nowhere.py"),
        ([f"{EXAMPLE}:make"], "has no function 'make'"),
        (["raises.py"], "build raised at width 64: RuntimeError: no such width"),
        ([f"{EXAMPLE}", "--parametrization", "nope"], "unknown parametrization 'nope'; allowed:"),
        ([f"{EXAMPLE}", "--optimizer", "nope"], "unknown optimizer 'nope'; allowed: "),
        ([f"{EXAMPLE}", "--base-depth", "2"], "--base-depth needs a --depth"),
        ([f"{EXAMPLE}", *SMALL, "--optimizer", "sgd"], "leave --optimizer out"),
        ([f"{EXAMPLE}", "--option", "form=table4"], "must be one of table8, table3, table9"),
        ([f"{EXAMPLE}", *SMALL, "--roles", "roles.yaml"], "did you mean 'readout.weight'?"),
        ([f"{EXAMPLE}", *SMALL, "--roles", "torn.yaml"], "torn.yaml is neither YAML nor JSON"),
        ([f"{EXAMPLE}", *SMALL, "--roles", "word.yaml"], "must be one of embedding, hidden"),
        ([f"{EXAMPLE}", *SMALL, "--roles", "missing.yaml"], "missing.yaml"),
    ],
)
def test_what_cannot_be_carried_out_is_one_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raises.py").write_text(RAISES)
    (tmp_path / "torn.yaml").write_text("up: [")
    (tmp_path / "word.yaml").write_text("up.*: matrix")
    (tmp_path / "roles.yaml").write_text("readuot.weight: output")
    done = audit(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_traceback_is_the_user_s_and_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "raises.py").write_text(RAISES)
    done = audit(str(tmp_path / "raises.py"), "--traceback")
    assert done.exit_code == 2
    assert "raise RuntimeError('no such width')" in done.stderr
    assert done.stderr.rstrip().endswith("RuntimeError: no such width")
