"""The command line as a whole: what `muscope` alone says of itself, and of settings."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import muscope
from muscope.cli import app


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"muscope {muscope.__version__}\n")


def test_help_promises_no_more_than_there_is() -> None:
    told = CliRunner().invoke(app, ["--help"])
    promised = set(re.findall(r"`muscope (\w+)`", told.stdout))
    listed = set(re.findall(r"^. (\w+) ", told.stdout, re.MULTILINE))
    assert {"up", "check", "presets", "recipe"} <= promised <= listed


@pytest.mark.parametrize(
    "command",
    [
        ("up",),
        ("server",),
        ("worker",),
        ("doctor",),
        ("db", "upgrade"),
        ("check",),
        ("presets", "run", "lingle-sp"),
    ],
    ids=" ".join,
)
def test_a_setting_that_makes_no_sense_is_one_sentence_everywhere(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCOPE_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("MUSCOPE_MAX_RUNS", "many")
    told = CliRunner().invoke(app, list(command))
    assert told.exit_code == 2, told.output
    assert not (tmp_path / "none").exists()
    (said,) = [line for line in told.stderr.splitlines() if "many" in line]
    assert said.startswith("MUSCOPE_MAX_RUNS: ")
