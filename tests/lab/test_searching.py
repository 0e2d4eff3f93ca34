"""`muscope check` of a hyperparameter search: progress, table, JSON, CSV and report."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from muscope.cli import app

STUDY = """
name: search
kind: hyperparameter_search
arms:
  - model: {name: mlp, batch_size: 16}
    optimizers: [{name: adamw, learning_rate: 0.015625}]
parametrizations: [{name: mup}]
widths: [16, 32]
depths: [1]
octaves: [-1, 0, 1]
seeds: 2
steps: 12
held_out: 2
tuning: {method: halton, samples: 3, ranges: {readout_multiplier: [-1, 1]}, keep: [2]}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    file = tmp_path / "search.yaml"
    file.write_text(STUDY)
    return file


def test_a_search_is_checked_here_and_written_out(study: Path) -> None:
    table, report = study.with_name("sets.csv"), study.with_name("report.html")
    asked = ["check", str(study), "--json", "--csv", str(table), "--report", str(report)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    (judged,) = said["verdicts"]
    assert [one["number"] for one in judged["sets"]] == [1, 2, 3, 4]
    assert "width 16: 6 runs done" in done.stderr
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert len(rows) == 4 + 2
    assert {row["set"] for row in rows if row["is_winner"] == "True"} == {str(judged["winner"])}
    assert judged["sentence"] in report.read_text()


def test_a_table_names_the_set_to_take(study: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(study)])
    assert done.exit_code == 0, done.output
    assert "take learning rate" in done.stdout
    assert "winner" in done.stdout


def test_what_a_search_has_not_is_refused_before_it_trains(study: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(study), "--fail-on", "any"])
    assert done.exit_code == 2
    assert "runs done" not in done.stderr
