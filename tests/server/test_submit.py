"""`muscope submit` against a real server."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from muscope.cli import app, submit
from muscope.cli.remote import Remote
from tests.server.running import Running
from tests.server.specs import small


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MUSCOPE_DATA_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("MUSCOPE_URL", "MUSCOPE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("muscope.cli.remote.TRIES", 1)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["submit", *arguments])


def write(folder: Path, spec: object) -> str:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(spec))
    return str(path)


def test_a_file_becomes_a_study(server: Running, tmp_path: Path) -> None:
    result = run(write(tmp_path, small()), "--url", server.origin, "--token", server.token)
    assert result.exit_code == 0, result.output
    assert "4 runs in 2 bundles" in result.output
    with server.script() as client:
        study = client.get("/api/v1/studies").json()["studies"][0]
    assert f"{server.origin}/studies/{study['id']}" in result.output


def test_the_token_of_the_data_directory_is_found(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCOPE_DATA_DIR", str(server.settings.data_dir))
    monkeypatch.setenv("MUSCOPE_URL", server.origin + "/")
    assert run(write(tmp_path, small())).exit_code == 0


def test_waiting_for_a_cancelled_study_ends_with_1(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(remote: Remote, study_id: str) -> str:
        with server.script() as client:
            client.post(f"/api/v1/studies/{study_id}/cancel")
        return follow(remote, study_id)

    follow = submit._follow
    monkeypatch.setattr(submit, "_follow", cancel)
    arguments = ("--url", server.origin, "--token", server.token, "--wait")
    result = run(write(tmp_path, small()), *arguments)
    assert result.exit_code == 1, result.output
    assert "is cancelled" in result.output


@pytest.mark.parametrize(
    ("spec", "arguments", "sentence"),
    [
        (small(widths=[0, 64]), (), "widths[0]: must be at least 1"),
        (small(name="x", path="/etc/passwd"), (), "unknown field"),
        (small(), ("--token", "wrong"), "not the access token"),
        (small(), ("--url", "http://127.0.0.1:9"), "muscope up"),
        (small(), ("--url", "ftp://x"), "not the address of a server"),
        (small(), ("--url", "http://[::1"), "not the address of a server"),
        (small(), ("--token", "ü"), "the token must be printable ASCII"),
        (small(), ("--token", ""), "empty; set MUSCOPE_DATA_DIR to the folder of the server"),
        (small(seeds=64, widths=[*range(32, 64)]), (), "at most 2000"),
    ],
)
def test_what_is_refused_says_why_and_ends_with_2(
    shared: Running, tmp_path: Path, spec: object, arguments: tuple[str, ...], sentence: str
) -> None:
    given = {"--url": shared.origin, "--token": shared.token}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    result = run(write(tmp_path, spec), *(part for pair in given.items() for part in pair))
    assert result.exit_code == 2, result.output
    assert sentence in result.output
    assert "bundles" not in result.output  # the plan is of what was accepted


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = run(str(tmp_path / "nosuch.yaml"))
    assert result.exit_code == 2
    assert "cannot be read" in result.output
    assert "Traceback" not in result.output


def test_json_is_read_too(server: Running, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps(small()))
    assert run(str(path), "--url", server.origin, "--token", server.token).exit_code == 0
