"""`muscope check FILE.py` from the outside: the examples, what it prints, writes and refuses."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from muscope.cli import app
from tests import needs

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PLAIN = EXAMPLES / "own_model" / "my_model.py"
SMALL = ("--widths", "32,64,128", "--seeds", "3", "--steps", "2", "--threads", "1")

MODEL = """
import torch
from torch import nn
def build(width):
    model = nn.Sequential(nn.Linear(6, width), nn.Linear(width, width), nn.Linear(width, 4))
    {line}
    return model, torch.optim.{optimizer}
def batch(seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(20, 6, generator=random), torch.arange(20) % 4
"""


@pytest.fixture(autouse=True)
def _torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        needs.missing("torch is not installed")


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], env={"COLUMNS": "100"})


def written(folder: Path, line: str = "", optimizer: str = "Adam(model.parameters(), 3e-3)") -> str:
    path = folder / "my_model.py"
    path.write_text(MODEL.format(line=line, optimizer=optimizer))
    return str(path)


def test_the_plain_example_does_not_grow_and_its_raw_logits_are_explained() -> None:
    done = check(str(PLAIN), *SMALL, "--fail-on", "grows,diverged")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "its own AdamW" in said
    assert "changed before it reaches the loss: judged there" in said
    assert "cross-entropy of model(inputs) and the targets" in said
    assert "training width 128" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_an_optimizer_of_another_model_is_refused_and_one_of_a_part_is_told(tmp_path: Path) -> None:
    other = "SGD(nn.Linear(2, 2).parameters(), 0.1)"
    done = check(written(tmp_path, optimizer=other), *SMALL)
    assert done.exit_code == 2
    assert "holds no parameter of the model" in " ".join(done.stderr.split())
    done = check(written(tmp_path, optimizer="SGD(model[2].parameters(), 0.1)"), *SMALL)
    assert "no optimizer holds it" in " ".join(done.stdout.split())


def test_the_faulty_example_grows() -> None:
    done = check(f"{PLAIN}:build_faulty", *SMALL, "--fail-on", "grows")
    assert done.exit_code == 1, done.output
    assert "↗ grows in" in done.stdout


@pytest.mark.parametrize(("function", "code"), [("build", 0), ("build_with_torch_s_adam", 1)])
def test_the_example_of_the_package_mup(function: str, code: int) -> None:
    needs.package("mup", "pip install --no-deps mup==1.0.0")
    path = EXAMPLES / "mup_model" / "my_model.py"
    done = check(f"{path}:{function}", *SMALL, "--fail-on", "grows,shrinks,diverged")
    assert done.exit_code == code, done.output
    assert "MuReadout" in done.stdout


def test_the_example_of_the_package_unit_scaling() -> None:
    needs.package("unit_scaling", "pip install unit-scaling")
    path = EXAMPLES / "unit_scaling_model" / "my_model.py"
    done = check(str(path), *SMALL, "--json", "--fail-on", "grows,shrinks,diverged")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    by_name = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert by_name["layers.0.mhsa.attention_logits"]["role"] == "attention_logits"
    assert by_name["layers.0"]["role"] == "residual"


def test_a_plain_model_is_parametrized_and_json_is_all_that_stdout_holds(tmp_path: Path) -> None:
    rule = ("--parametrize", "mup", "--optimizer", "adamw", "--lr", "3e-3")
    done = check(written(tmp_path), *SMALL, *rule, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert found["study"]["parametrization"] == "mup"
    assert found["study"]["learning_rate"] == 3e-3
    assert found["verdicts"][0]["label"].endswith("· µP · AdamW 0.003")
    assert [(t["name"], t["role"]) for t in found["tensors"] if t["judged"]] == [
        ("0", "embedding"),
        ("1", "hidden"),
        ("2", "output"),
    ]


def test_report_and_csv_hold_what_was_measured(tmp_path: Path) -> None:
    outputs = ("--report", str(tmp_path / "report.html"), "--csv", str(tmp_path / "rows.csv"))
    done = check(written(tmp_path), *SMALL, *outputs)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.html").read_text()
    assert "its own Adam" in text
    assert "reaches the loss" in text
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * 3 * 3  # widths × seeds × steps × tensors


def test_roles_are_written_corrected_and_read_back(tmp_path: Path) -> None:
    target, roles = written(tmp_path), tmp_path / "roles.yaml"
    check(target, *SMALL, "--write-roles", str(roles))
    text = roles.read_text()
    assert "  '1': hidden\n" in text
    roles.write_text(text.replace("  '1': hidden", "  '1': ignore"))
    done = check(target, *SMALL, "--roles", str(roles), "--json")
    judged = {t["name"]: t["judged"] for t in json.loads(done.stdout)["tensors"]}
    assert judged == {"0": True, "1": False, "2": True}


def test_a_width_that_fails_is_a_sentence_and_fails_a_gate(tmp_path: Path) -> None:
    target = written(tmp_path, "if width == 128: raise RuntimeError('not this one')")
    done = check(target, *SMALL)
    assert done.exit_code == 0
    assert "not judged: build raised at width 128: RuntimeError: not this one" in done.stderr
    assert "Traceback" not in done.stderr
    gate = check(target, *SMALL, "--fail-on", "diverged", "--traceback")
    assert gate.exit_code == 1
    assert "raise RuntimeError('not this one')" in gate.stderr


def test_the_model_s_own_words_do_not_reach_stdout(tmp_path: Path) -> None:
    done = check(written(tmp_path, "print('chatter')"), *SMALL, "--json")
    assert "chatter" not in done.stdout
    assert "chatter" in done.stderr


ADAM = ("--optimizer", "adamw")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.py:build"], "there is no file nowhere.py"),
        (["my_model.py:make"], "has no function 'make'"),
        (["my_model.py", "--widths", "64"], "--widths needs two widths at least"),
        (["my_model.py", "--widths", "64,wide"], "--widths takes numbers with commas"),
        (["my_model.py", "--widths", "64,64"], "each number may be there once"),
        (["my_model.py", "--depths", "0"], "--depths takes numbers with commas"),
        (["my_model.py", "--depths", "2"], "build takes no depth"),
        (["my_model.py", "--parametrize", "mup"], "--parametrize needs --optimizer"),
        (["my_model.py", "--lr", "0.1"], "--lr needs --optimizer"),
        (["my_model.py", *ADAM, "--parametrize", "nope"], "unknown parametrization 'nope'"),
        (["my_model.py", "--optimizer", "nope"], "unknown optimizer 'nope'; allowed: "),
        (["my_model.py", *ADAM, "--parametrize", "u_mup"], "write it with the package unit_scal"),
        (["my_model.py", "--fail-on", "explodes"], "--fail-on knows grows, shrinks"),
        (["my_model.py", "--report", "missing/report.html"], "cannot be written"),
        (["my_model.py", "--roles", "missing.yaml"], "missing.yaml"),
        (["lonely.py"], "build returns no optimizer"),
        (["without.py"], "def batch(seed):"),
        (["study.yaml", "--widths", "64,128"], "--widths: only for a model of your own"),
    ],
)
def test_what_cannot_be_carried_out_is_said_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    text = (tmp_path / "my_model.py").read_text()
    (tmp_path / "lonely.py").write_text(text.replace("return model, ", "return model #"))
    (tmp_path / "without.py").write_text(text.replace("def batch", "def data"))
    done = check(*arguments)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
