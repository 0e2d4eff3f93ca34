"""`muscope extend`, and `muscope submit` of a study that extends, against a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from muscope.cli import app
from muscope.reports.html import spec_yaml
from muscope.storage.database import open_database
from tests.server import measured
from tests.server.running import Running


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MUSCOPE_DATA_DIR", str(tmp_path / "empty"))
    for name in ("MUSCOPE_URL", "MUSCOPE_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def study_id(server: Running) -> Iterator[str]:
    """A study of 16 runs that has ended."""
    database = open_database(server.settings)
    yield measured.finished(database, measured.small())
    database.close()


def run(server: Running, *arguments: str) -> Result:
    where = ("--url", server.origin, "--token", server.token)
    return CliRunner().invoke(app, [*arguments, *where])


def test_a_study_grows_by_what_is_said(server: Running, study_id: str) -> None:
    result = run(server, "extend", study_id, "--seeds", "3", "--widths", "1024, 2048")
    assert result.exit_code == 0, result.output
    assert f"20 new runs, 16 reused from study {study_id}" in result.output
    with server.script() as client:
        newest = client.get("/api/v1/studies").json()["studies"][0]
    assert f"{server.origin}/studies/{newest['id']}" in result.output
    assert (newest["extends"], newest["runs"]) == (study_id, 36)


def test_a_file_that_extends_is_planned_as_what_is_new(
    server: Running, study_id: str, tmp_path: Path
) -> None:
    spec = measured.small().model_copy(update={"extends": study_id, "seeds": 4})
    (tmp_path / "study.yaml").write_text(spec_yaml(spec))
    result = run(server, "submit", str(tmp_path / "study.yaml"))
    assert result.exit_code == 0, result.output
    assert f"16 new runs in 4 bundles, 16 reused from study {study_id}" in result.output


def test_what_cannot_be_added_is_one_sentence(server: Running, study_id: str) -> None:
    for arguments, sentence in (
        ((study_id,), "does not ask for anything that could be added"),
        ((study_id, "--seeds", "1"), "seeds: the study that it extends has 2"),
        ((study_id, "--widths", "a,b"), "--widths takes whole numbers"),
        (("nobody", "--seeds", "4"), "There is no such study"),
        (("../../x", "--seeds", "4"), "There is no such"),
    ):
        result = run(server, "extend", *arguments)
        assert result.exit_code == 2, result.output
        assert sentence in result.output
        assert len(result.output.strip().splitlines()) == 1
