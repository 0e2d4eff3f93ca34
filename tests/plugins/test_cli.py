"""The command line imports the plugins of its own environment."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from muscope.cli import app
from muscope.plugins import known
from tests.plugins import packages

STUDY = """
name: of plugins
arms:
  - model: {name: muscope-example/gated_mlp, batch_size: 8}
    optimizers: [{name: muscope-example/signum, learning_rate: 1e-3}]
parametrizations: [{name: muscope-example/half_mup, options: {power: 1.0}}]
widths: [16, 32]
depths: [1]
seeds: 2
steps: 1
record: standard
statistics: [muscope-example/kurtosis]
"""


@pytest.fixture(autouse=True)
def _example(folder: Path) -> Iterator[None]:
    packages.install_example(folder)
    yield
    known.offer(())


def test_a_study_of_plugins_is_checked_here(tmp_path: Path) -> None:
    study, rows = tmp_path / "study.yaml", tmp_path / "rows.csv"
    study.write_text(STUDY)
    done = CliRunner().invoke(app, ["check", str(study), "--csv", str(rows), "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert "Gated MLP [muscope-example 0.1.0]" in done.output
    with (tmp_path / "rows.plugins.csv").open() as file:
        found = list(csv.DictReader(file))
    assert {row["kind"] for row in found} == {"activation", "gradient"}
    first = [row for row in found if row["tensor"] == "input" and row["step"] == "0"]
    # 8 examples of 16 or 32 numbers that are nearly normal: between flat and heavy tails
    assert all(1.5 < float(row["value"]) < 6 for row in first if row["kind"] == "activation")


def test_rules_of_plugins_are_printed_and_what_is_left_out_is_said(folder: Path) -> None:
    packages.install(folder, "broken", "1.0", points={"x": "broken:x"}, code="raise OSError('no')")
    arguments = ["rules", "--parametrization", "muscope-example/half_mup:power=1.0"]
    done = CliRunner().invoke(app, [*arguments, "--model", "muscope-example/gated_mlp"])
    assert done.exit_code == 0, done.output
    assert "blocks.*.gate" in done.output
    assert "plugin broken/x@1.0 is left out: OSError: no" in done.output


def test_a_plugin_that_fails_in_training_is_one_sentence(tmp_path: Path, folder: Path) -> None:
    body = "class Bad(Optimizer):\n    def update(self, weight, gradient, **_): 1 / 0\n"
    code = f"{packages.OPTIMIZER}\n{body}\nbad = plugin(Bad)\n"
    packages.install(folder, "fails-here", "1.0", points={"bad": "fails_here:bad"}, code=code)
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("muscope-example/signum", "fails-here/bad"))
    done = CliRunner().invoke(app, ["check", str(study), "--threads", "1"])
    assert done.exit_code == 2
    said = "muscope check: plugin fails-here/bad@1.0 failed: ZeroDivisionError: division by zero"
    assert said in done.output


def test_an_unknown_plugin_is_refused_with_what_there_is(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("muscope-example/signum", "nobody/has_it"))
    done = CliRunner().invoke(app, ["check", str(study)])
    assert done.exit_code == 2
    assert "unknown optimizer 'nobody/has_it'; allowed: adamw, " in done.output
    assert "muscope-example/signum@0.1.0" in done.output
