"""The command line as a whole: what `muscope` alone says of itself."""

from typer.testing import CliRunner

import muscope
from muscope.cli import app


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"muscope {muscope.__version__}\n")


def test_help_promises_no_more_than_there_is() -> None:
    told = CliRunner().invoke(app, ["--help"])
    assert "Coordinate checks and verdicts" in told.stdout
    assert "transfer" not in told.stdout
