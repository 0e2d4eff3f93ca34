"""The schema: migrations make what tables.py says, and nothing else is served."""

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, inspect, text

from muscope import assets
from muscope.settings import Settings
from muscope.storage import schema
from muscope.storage.database import Database, open_database
from muscope.storage.schema import SchemaError
from muscope.storage.tables import metadata
from tests import services
from tests.conftest import DATABASES


@pytest.fixture(params=DATABASES)
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'bare.db'}"
    else:
        service = request.getfixturevalue("postgres_service")
        name = f"bare_{secrets.token_hex(8)}"
        services.admin(service, f"CREATE DATABASE {name}")
        url = services.database_url(service, name)
    db = Database(url)
    yield db
    db.close()


def test_migrations_make_the_tables(database: Database) -> None:
    with database.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


def test_migrations_make_the_checks(database: Database) -> None:
    """Alembic compares no CHECK constraints, so this does."""
    with database.read() as conn:
        inspector = inspect(conn)
        found = {
            str(check["name"])
            for table in metadata.tables
            for check in inspector.get_check_constraints(table)
        }
    declared = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert found == declared


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory(str(assets.migrations()))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == schema.REVISIONS


def test_a_database_without_schema_is_refused_with_the_command(bare: Database) -> None:
    with pytest.raises(SchemaError, match="muscope db upgrade"):
        schema.check(bare)
    schema.upgrade(bare)
    schema.check(bare)


def test_upgrades_at_once_are_harmless(bare: Database) -> None:
    revisions: list[str] = []
    start = threading.Barrier(3)

    def upgrade() -> None:
        db = Database(bare.url.render_as_string(hide_password=False))
        start.wait()
        revisions.append(schema.upgrade(db))
        db.close()

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert revisions == [schema.REVISIONS[-1]] * 3
    schema.check(bare)


def test_a_newer_schema_is_refused(bare: Database) -> None:
    schema.upgrade(bare)
    with bare.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (schema.check, schema.upgrade):
        with pytest.raises(SchemaError, match=r"9999, which is newer .* install a newer muscope"):
            refused(bare)


def test_a_failed_upgrade_leaves_nothing_behind(
    bare: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "migrations"
    (broken / "versions").mkdir(parents=True)
    (broken / "env.py").write_text((assets.migrations() / "env.py").read_text())
    (source,) = (assets.migrations() / "versions").glob("0001*.py")
    code = source.read_text() + "\n    raise RuntimeError('in the middle')\n"
    (broken / "versions" / "0001.py").write_text(code)
    monkeypatch.setattr(assets, "migrations", lambda: broken)
    with pytest.raises(RuntimeError, match="in the middle"):
        schema.upgrade(bare)
    with bare.read() as conn:
        assert inspect(conn).get_table_names() == []


def test_a_database_of_somebody_else_is_left_alone(bare: Database) -> None:
    with bare.write() as conn:
        conn.execute(text("CREATE TABLE recipe (id INTEGER)"))
    for refused in (schema.check, schema.upgrade):
        with pytest.raises(SchemaError, match=r"not a muscope database: .*\(recipe\)"):
            refused(bare)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to look like one\n" * 50)
    db = Database(f"sqlite:///{file}")
    for refused in (schema.check, schema.upgrade):
        with pytest.raises(SchemaError, match="not a muscope database: the file"):
            refused(db)
    db.close()


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    db = Database("postgresql+psycopg://me:secret@127.0.0.1:1/name")
    for refused in (schema.check, schema.upgrade):
        with pytest.raises(SchemaError, match=r"cannot be used: .*refused") as caught:
            refused(db)
        assert "secret" not in str(caught.value)
    db.close()


def test_an_older_schema_is_refused_with_the_command(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = schema.REVISIONS[-1]
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    sentence = rf"has schema {newest}, .* needs 9999; run `muscope db up"
    with pytest.raises(SchemaError, match=sentence):
        schema.check(database)


def test_a_verdict_of_an_older_schema_has_the_kind_of_its_study(bare: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(assets.migrations()))
    study = {"id": "s", "name": "n", "spec_json": "{}", "spec_digest": "d", "intent": "open"}
    verdict = {"study_id": "s", "final": 1, "verdict": "flat", "runs_judged": 1}
    rows = {"verdict_json": "{}", "judged_at": 1.0}
    with bare.write() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0008")
        _insert(conn, "study", {**study, "kind": "lr_transfer", "created_at": 1.0})
        _insert(conn, "verdict", {**verdict, "variant": "v", **rows})
        command.upgrade(config, "0009")
        found = conn.execute(text("SELECT variant, kind, judged_at FROM verdict")).all()
        # a second verdict of the variant, of the other kind, is another row now
        _insert(conn, "verdict", {**verdict, "variant": "v", "kind": "coordinate_check", **rows})
    assert [tuple(row) for row in found] == [("v", "lr_transfer", 1.0)]


def _insert(conn: Connection, table: str, values: dict[str, object]) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    conn.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def test_looking_for_a_database_does_not_make_one(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'muscope.db'}")
    with pytest.raises(SchemaError, match="There is no database"):
        schema.check(db)
    db.close()
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_database_is_durable_and_its_folder_private(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    db = open_database(Settings(data_dir=folder, database_url=""))
    schema.upgrade(db)
    with db.write() as conn:
        pragmas = [
            conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    db.close()
    assert pragmas == ["wal", 2, 1, 10_000]
    assert folder.stat().st_mode & 0o777 == 0o700
    with sqlite3.connect(folder / "muscope.db") as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    conn.close()
