"""What the commands make, only its owner can read (shared/attacks.md, A119)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from muscope.cli import app, configured
from muscope.settings import Settings
from muscope.storage.database import open_database
from tests.storage import world


@pytest.fixture
def generous_umask() -> Iterator[None]:
    """The usual one: files that everybody may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("generous_umask")
def test_a_new_database_is_private_with_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deep" / "data"
    monkeypatch.setenv("MUSCOPE_DATA_DIR", str(folder))
    assert CliRunner().invoke(app, ["db", "upgrade"]).exit_code == 0
    database = open_database(Settings())
    world.submit(database)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [folder, *folder.iterdir()]}
    database.close()
    assert modes == {
        "data": 0o700, "muscope.db": 0o600, "muscope.db-wal": 0o600, "muscope.db-shm": 0o600,
    }  # fmt: skip


class Stop(Exception):
    """Far enough."""


@pytest.mark.usefixtures("generous_umask")
@pytest.mark.parametrize("command", [["server"], ["up"], ["worker"], ["db", "upgrade"]], ids=str)
def test_a_command_that_makes_files_makes_them_private(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def read() -> Settings:
        seen.append(os.umask(0o077))
        raise Stop

    monkeypatch.setattr(configured, "Settings", read)
    assert isinstance(CliRunner().invoke(app, command).exception, Stop)
    assert seen == [0o077]
    assert os.umask(0o022) == 0o022, "it was put back"
