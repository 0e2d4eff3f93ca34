"""Who claims what needs a plugin, and what is kept of one that is gone."""

import json
import math
from dataclasses import replace

import pytest
from sqlalchemy import select

from muscope import catalogue
from muscope.plan import plan
from muscope.plugins import known
from muscope.plugins.descriptions import Described, OptimizerDescription
from muscope.records import EXTRA_HEADER, Extra
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import bundles, measurements, plugins, studies, workers
from muscope.storage.database import Database
from muscope.storage.measurements import MeasurementConflict
from muscope.storage.tables import attempt
from muscope.storage.workers import WorkerRow
from muscope.vocabulary import TensorKind, UpdateFamily
from tests.storage import world


def described(name: str, help: str = "Sign descent.") -> Described:
    """An optimizer."""
    description = OptimizerDescription(
        kind="optimizer", title="Sign", help=help, family=UpdateFamily.SIGN_LIKE, learning_rate=1e-3
    )
    return Described(name=name, description=description)


def beat(db: Database, worker_id: str, *entries: Described) -> None:
    """A living worker that says it has these."""
    report = {"described": [one.model_dump(mode="json") for one in entries]}
    row = WorkerRow(worker_id, "here", 1, "cpu", 2**33, "muscope", 1, "versions")
    with db.write() as conn:
        workers.beat(conn, replace(row, plugins=json.dumps(report)))
        plugins.offer(conn)


def submit(db: Database, optimizer: str) -> str:
    """A study of one bundle per width."""
    chosen = OptimizerSpec(name=optimizer, learning_rate=1e-3)
    spec = StudySpec(
        name="of plugins",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(chosen,)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(16, 32),
        steps=1,
        seeds=1,
    )
    with db.write() as conn:
        study_id, _ = studies.create(conn, spec, plan(spec))
    return study_id


def claim(db: Database, *entries: Described) -> bundles.Claim | None:
    with db.write() as conn:
        return bundles.claim(
            conn,
            worker_id="w",
            pid=1,
            code_version="0.9",
            lease_s=60,
            have={one.key for one in entries},
        )


@pytest.fixture(autouse=True)
def _nothing_is_offered_afterwards() -> object:
    yield
    known.offer(())


def test_only_who_has_a_plugin_claims_what_needs_it(database: Database) -> None:
    ours, other = described("claims/sign@1"), described("claims/sign@1", help="Another.")
    beat(database, "w", ours)
    submit(database, "claims/sign")
    assert claim(database) is None
    assert claim(database, other) is None
    taken = claim(database, other, ours)
    assert taken is not None
    assert taken.members[0].spec.variant.optimizer.name == "claims/sign@1"
    with database.read() as conn:
        assert conn.execute(select(attempt.c.code_version)).scalar() == f"0.9+{ours.key}"


def test_who_has_plugins_claims_everything_else_too(database: Database) -> None:
    submit(database, "sgd")
    assert claim(database, described("claims/sign@1")) is not None
    assert claim(database) is not None


def test_one_version_cannot_mean_two_things(sqlite_database: Database) -> None:
    beat(sqlite_database, "w", described("means/sign@1"))
    submit(sqlite_database, "means/sign")
    beat(sqlite_database, "w", described("means/sign@1", help="Another."))
    assert "means/sign@1" not in list(catalogue.OPTIMIZERS)
    known.learn([described("means/sign@1", help="Another.")])
    known.offer(["means/sign@1"])
    with pytest.raises(plugins.PluginConflict, match="raise the version of its package"):
        submit(sqlite_database, "means/sign")


def test_a_new_version_takes_the_place_of_the_old_one(sqlite_database: Database) -> None:
    beat(sqlite_database, "w", described("moves/sign@1"))
    study_id = submit(sqlite_database, "moves/sign")
    beat(sqlite_database, "w", described("moves/sign@2"))
    assert OptimizerSpec(name="moves/sign", learning_rate=1).name == "moves/sign@2"
    with sqlite_database.read() as conn:
        row = studies.get(conn, study_id)
        assert row is not None
        text = row.spec.model_dump_json()
        lacking = plugins.missing_in_words(conn, text)
    assert "moves/sign@1" in text
    assert lacking == (
        "No living worker has moves/sign@1: install moves 1 where a worker runs, and start that "
        "worker again"
    )


def test_a_row_that_cannot_be_read_offers_nothing(sqlite_database: Database) -> None:
    row = WorkerRow("w", "here", 1, "cpu", 2**33, "muscope", 1, "versions")
    for text in ("{", '{"described": [{"name": "adamw", "description": {}}]}', "[1]"):
        with sqlite_database.write() as conn:
            workers.beat(conn, replace(row, plugins=text))
            plugins.offer(conn)
        assert catalogue.OPTIMIZERS.offered() == ()


def test_a_plugin_s_numbers_are_kept_once_and_exactly(database: Database) -> None:
    study_id = world.submit(database)
    held = world.claim(database)
    extras = tuple(
        Extra(member, "readout", TensorKind.ACTIVATION, "a/tails@1", value)
        for member, value in enumerate((3.25, math.nan, -math.inf))
    )
    whole = replace(world.record(held, 0), extras=extras)
    for record in (whole, whole):
        with database.write() as conn:
            measurements.write(conn, held, record)
    with database.read() as conn:
        rows = list(plugins.csv_rows(conn, study_id))
    assert [row[EXTRA_HEADER.index("value")] for row in rows] == pytest.approx(
        [3.25, math.nan, -math.inf], nan_ok=True, abs=0
    )
    assert {row[-2] for row in rows} == {"a/tails@1"}
    other = replace(whole, extras=(replace(extras[0], value=3.5),))
    with pytest.raises(MeasurementConflict, match="plugin_measurement"), database.write() as conn:
        measurements.write(conn, held, other)


def test_the_code_of_an_attempt_says_the_plugins_too() -> None:
    assert plugins.is_code_of(plugins.code_version("0.9", "abc"), "0.9")
    assert plugins.is_code_of("0.9", "0.9")
    assert not plugins.is_code_of("0.9.1+abc", "0.9")
    assert len(plugins.code_version("0.10.0.dev12", ",".join(["0" * 12] * 9))) <= 40


def test_a_study_with_a_name_like_an_entry_s_is_a_study_like_others(
    sqlite_database: Database,
) -> None:
    spec = world.small_spec().model_copy(update={"name": "team/run@2"})
    study_id = world.submit(sqlite_database, spec)
    with sqlite_database.read() as conn:
        row = studies.get(conn, study_id)
    assert row is not None
    assert row.name == "team/run@2"
