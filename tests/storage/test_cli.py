"""`muscope db upgrade` and `muscope doctor`, as a user runs them."""

from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from muscope.cli import app
from muscope.storage import schema
from muscope.storage.database import Database


def run(database_url: str, *command: str) -> Result:
    return CliRunner().invoke(app, command, env={"MUSCOPE_DATABASE_URL": database_url})


def test_upgrade_makes_a_database_that_the_doctor_finds_healthy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    before = run(url, "doctor")
    assert (before.exit_code, "muscope db upgrade" in before.output) == (3, True)
    made = run(url, "db", "upgrade")
    assert (made.exit_code, made.output) == (0, f"{url} has schema {schema.REVISIONS[-1]}.\n")
    assert run(url, "db", "upgrade").exit_code == 0
    healthy = run(url, "doctor", "--strict")
    assert (healthy.exit_code, healthy.output) == (0, f"{url}: no violations.\n")


def test_the_doctor_says_where_it_looked_and_leaves_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    environment = {"MUSCOPE_DATA_DIR": str(folder), "MUSCOPE_DATABASE_URL": ""}
    found = CliRunner().invoke(app, ["doctor"], env=environment)
    assert found.exit_code == 3
    assert found.output.startswith(f"There is no database in {folder}.")
    assert found.output.index("MUSCOPE_DATA_DIR") < found.output.index("muscope db upgrade")
    assert not folder.exists()


def test_the_doctor_finds_what_make_run_has_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MUSCOPE_DATA_DIR", "MUSCOPE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["db", "upgrade"], env={"MUSCOPE_DATA_DIR": ".muscope"})
    assert made.exit_code == 0, made.output
    found = CliRunner().invoke(app, ["doctor"])
    assert found.output == f"sqlite:///{tmp_path}/.muscope/muscope.db: no violations.\n"


def test_the_doctor_exits_with_1_when_something_is_wrong(sqlite_url: str) -> None:
    db = Database(sqlite_url)
    with db.write() as conn:
        conn.execute(
            text(
                "INSERT INTO study (id, name, kind, spec_json, spec_digest, intent, event_seq, "
                "created_at) VALUES ('s', 'n', 'k', '{}', '', 'open', 3, 0)"
            )
        )
    db.close()
    found = run(sqlite_url, "doctor")
    assert found.exit_code == 1
    assert found.output.startswith("Not so for s: the events of a study are numbered")


def test_a_newer_schema_is_refused_with_exit_3(sqlite_url: str) -> None:
    db = Database(sqlite_url)
    with db.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    db.close()
    for command in (("db", "upgrade"), ("doctor",)):
        refused = run(sqlite_url, *command)
        assert refused.exit_code == 3
        assert "install a newer muscope" in refused.output


@pytest.mark.parametrize("command", [("doctor", "--help"), ("db", "--help")])
def test_help_comes_without_a_database(command: tuple[str, ...]) -> None:
    assert run("mysql://nowhere", *command).exit_code == 0
