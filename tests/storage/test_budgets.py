"""What bundles took: under the lease, per bundle in the order of the plan."""

from pathlib import Path

import pytest
from sqlalchemy import text

from muscope import assets, budget
from muscope.budget import Budget
from muscope.storage import budgets, bundles, schema, workers
from muscope.storage.bundles import Claim, LeaseLost
from muscope.storage.database import Database
from muscope.vocabulary import BundleState
from tests.core.machines import ROUND
from tests.storage import world


def taken(claim: Claim) -> Budget:
    members = [member.spec for member in claim.members]
    return budget.of_bundle(members, warm_up_s=0.5, train_s=2.0, peak_bytes=2**33, machine=ROUND)


def test_a_bundle_keeps_what_it_took_and_others_have_nothing(db: Database) -> None:
    study_id, claim = world.submit(db), world.claim(db)
    with db.write() as conn:
        budgets.record(conn, claim, taken(claim))
        budgets.record(conn, claim, taken(claim))  # an unknown commit is repeated
    world.complete(db, claim)

    with db.read() as conn:
        first, second = budgets.of_study(conn, study_id)
    assert (first.number, first.state, first.runs) == (1, BundleState.FINISHED, 4)
    assert first.budget == taken(claim)
    assert first.spec.width < second.spec.width
    assert second.budget is None


def test_who_has_lost_the_lease_writes_no_budget(db: Database) -> None:
    world.submit(db)
    claim = world.claim(db)
    with db.write() as conn:
        bundles.hand_back(conn, claim)
    with db.write() as conn, pytest.raises(LeaseLost):
        budgets.record(conn, claim, taken(claim))


def test_rows_of_the_first_schema_are_kept_and_say_that_nothing_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "migrations"
    (old / "versions").mkdir(parents=True)
    for name in ("env.py", "versions/0001_the_first_schema.py"):
        (old / name).write_text((assets.migrations() / name).read_text())
    db = Database(f"sqlite:///{tmp_path / 'old.db'}")
    with monkeypatch.context() as patched:
        patched.setattr(assets, "migrations", lambda: old)
        schema.upgrade(db)
    with db.write() as conn:
        conn.execute(
            text("INSERT INTO worker VALUES ('w1', 'host', 1, 'cpu', 1, 'q', '', 1, 'v', 1, 1)")
        )

    schema.upgrade(db)

    schema.check(db)
    with db.read() as conn:
        (row,) = workers.all_workers(conn)
    db.close()
    assert (row.id, row.machine) == ("w1", None)
