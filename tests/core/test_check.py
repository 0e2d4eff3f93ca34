"""`muscope check` from the outside: what it prints, writes, refuses, and its exit codes."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from muscope.cli import app
from tests import needs

SMALL = """\
name: Small
arms:
  - model: {name: mlp, batch_size: 16}
    optimizers: [{name: adamw, learning_rate: 3e-3}]
parametrizations: [{name: sp}, {name: mup}]
widths: [16, 32, 64]
depths: [1]
seeds: 3
steps: 1
"""


def muscope(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a small study in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture
def _torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        needs.missing("torch is not installed")


@pytest.mark.usefixtures("_torch")
def test_what_no_machine_can_hold_is_refused_before_it_is_tried(folder: Path) -> None:
    (folder / "huge.yaml").write_text(SMALL.replace("[16, 32, 64]", "[32768, 65536]"))
    huge = (folder / "huge.yaml").read_text().replace("batch_size: 16", "batch_size: 65536")
    (folder / "huge.yaml").write_text(huge.replace("depths: [1]", "depths: [512]"))
    refused = muscope("check", "huge.yaml")
    assert refused.exit_code == 2
    assert "one run of width 65536 and depth 512 needs about" in refused.stderr


@pytest.mark.usefixtures("_torch")
def test_a_text_too_short_for_fresh_batches_is_refused_before_the_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCOPE_DATASETS_DIR", str(folder))
    (folder / "short.txt").write_text("twenty characters of")
    study = json.dumps({"dataset": "text_file", "dataset_name": "short.txt", "head_size": 8})
    model = f"{{name: gpt, batch_size: 2, options: {study[:-1]}, sequence_length: 8}}}}"
    text = SMALL.replace("{name: mlp, batch_size: 16}", model) + "batches: fresh\n"
    (folder / "short.yaml").write_text(text)
    refused = muscope("check", "short.yaml")
    assert refused.exit_code == 2, refused.output
    assert "too short for fresh batches" in refused.stderr


@pytest.mark.usefixtures("_torch")
def test_a_study_is_trained_judged_printed_and_written(folder: Path) -> None:
    done = muscope("check", "small.yaml", "--report", "report.html", "--csv", "rows.csv")
    assert done.exit_code == 0, done.output
    assert "MLP · SP · AdamW 0.003" in done.stdout
    assert "bundle 3 of 3" in done.stderr
    said = done.stderr.splitlines()
    assert said[0] == "reading small.yaml"
    assert said[1].startswith("18 runs in 3 bundles")
    assert any(line.startswith("note: fewer than 4 widths") for line in said[2:])
    assert said.index("loading torch") < len(said) - 3
    assert "<html" in (folder / "report.html").read_text()
    with (folder / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # 2 variants × 3 widths × 3 seeds × 2 steps × 3 tensors
    assert len(rows) == 108


@pytest.mark.usefixtures("_torch")
def test_record_every_says_which_steps_are_measured(folder: Path) -> None:
    (folder / "longer.yaml").write_text(SMALL.replace("steps: 1", "steps: 3"))
    done = muscope("check", "longer.yaml", "--record-every", "2", "--csv", "rows.csv")
    assert done.exit_code == 0
    rows = csv.DictReader((folder / "rows.csv").read_text().splitlines())
    assert {row["step"] for row in rows} == {"0", "2", "3"}


@pytest.mark.usefixtures("_torch")
def test_json_is_all_that_stdout_holds_and_fail_on_decides_the_exit_code(folder: Path) -> None:
    done = muscope("check", "small.yaml", "--json", "--fail-on", "grows")
    found = json.loads(done.stdout)
    verdicts = {verdict["label"]: verdict["verdict"] for verdict in found["verdicts"]}
    assert verdicts["MLP · SP · AdamW 0.003"] == "grows"
    assert done.exit_code == 1
    assert found["study"]["widths"] == [16, 32, 64]


@pytest.mark.usefixtures("_torch")
def test_missing_data_are_told_in_a_sentence_that_says_where_to_put_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCOPE_DATASETS_DIR", "elsewhere")
    text = SMALL.replace("batch_size: 16}", "batch_size: 16, options: {dataset: cifar10}}")
    (folder / "missing.yaml").write_text(text)
    done = muscope("check", "missing.yaml")
    assert done.exit_code == 2
    assert f"{folder}/elsewhere/cifar-10-batches-bin/data_batch_1.bin" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.yaml"], "nowhere.yaml is not a study"),
        (["small.yaml", "--fail-on", "explodes"], "grows, shrinks, inconclusive, diverged"),
        (
            ["small.yaml", "--report", "missing/report.html"],
            "missing/report.html cannot be written",
        ),
        (["rates.yaml", "--fail-on", "grows"], "knows drifts, inconclusive, not_bracketed"),
        (["rates.yaml", "--write-baseline", "base.json"], "--write-baseline keeps slopes"),
        (["small.yaml", "--fail-on", "drifts"], "--fail-on drifts: a coordinate check knows"),
        (["rates.yaml", "--record-every", "2"], "record_every is for coordinate checks"),
        (["small.yaml", "--csv", "./small.yaml"], "small.yaml is what is checked"),
        (["wrong.yaml"], "widths[0]: must be a whole number"),
        (["huge.yaml"], "at most 2000 are allowed"),
        (["more.yaml"], "send it there with `muscope submit`"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_trained(
    folder: Path, arguments: list[str], words: str
) -> None:
    (folder / "wrong.yaml").write_text(SMALL.replace("[16,", '["16",'))
    widths = ", ".join(str(16 * n) for n in range(1, 65))
    huge = SMALL.replace("16, 32, 64", widths).replace("seeds: 3", "seeds: 64")
    (folder / "huge.yaml").write_text(huge)
    (folder / "more.yaml").write_text(SMALL + "\nextends: abc\n")
    (folder / "rates.yaml").write_text(SMALL + "\nkind: lr_transfer\noctaves: [-1, 0, 1]\n")
    done = muscope("check", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
