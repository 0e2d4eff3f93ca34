"""Runs where the grid has them, and what a variant took: on every kind of database."""

import pytest

from muscope import budget
from muscope.storage import budgets, grid, studies, taken
from muscope.storage.database import Database
from muscope.vocabulary import RunState
from tests.core.machines import ROUND
from tests.storage import world


def test_every_run_is_there_with_its_state_and_its_number_in_the_list(db: Database) -> None:
    study_id, claim = world.submit(db), world.claim(db)
    with db.read() as conn:
        before = grid.runs(conn, study_id)
    world.complete(db, claim)
    with db.read() as conn:
        found, listed = grid.runs(conn, study_id), studies.runs(conn, study_id)
    assert [run.number for run in found] == list(range(1, 9))
    assert [run.state for run in before] == [RunState.RUNNING] * 4 + [RunState.QUEUED] * 4
    assert [run.state for run in found] == [RunState.FINISHED] * 4 + [RunState.QUEUED] * 4
    assert [run.loss for run in found] == [run.train_loss for run in listed]
    assert [run.step for run in found] == [2] * 4 + [None] * 4
    assert all(run.is_check for run in found)


def test_the_time_of_a_bundle_is_shared_by_its_runs(db: Database) -> None:
    study_id, claim = world.submit(db), world.claim(db)
    members = [member.spec for member in claim.members]
    with db.write() as conn:
        budgets.record(
            conn,
            claim,
            budget.of_bundle(members, warm_up_s=0.5, train_s=3.5, peak_bytes=None, machine=ROUND),
        )
    world.complete(db, claim)
    sp, mup = (variant.key for variant in world.small_spec().variants)
    with db.read() as conn:
        shares = taken.device_seconds(conn, study_id)
        said = taken.surroundings(conn, study_id)
    # two of four runs each, of 4 s
    assert shares == pytest.approx({sp: 2.0, mup: 2.0})
    assert said[sp]["code"] == "test"
