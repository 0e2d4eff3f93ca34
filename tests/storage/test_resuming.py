"""Rows of an earlier attempt are taken over by the one that goes on: moved, never copied."""

import pytest
from sqlalchemy import select, update

from muscope.storage import bundles, doctor, measurements, resuming, studies
from muscope.storage.bundles import Claim, LeaseLost
from muscope.storage.database import Database
from muscope.storage.tables import bundle, measurement, progress
from tests.storage import world

STEPS = 4
SPEC = world.small_spec(steps=STEPS)


def claimed_again(db: Database, held: Claim) -> Claim:
    """The next attempt at a bundle whose worker vanished."""
    with db.write() as conn:
        bundles.lost(conn, held.attempt_id, reason="in this test", counts_as_loss=False)
        conn.execute(update(bundle).values(not_before=None))
    again = world.claim(db)
    assert again.bundle_id == held.bundle_id
    return again


def begin(db: Database, held: Claim, first: Claim, *, step: int) -> None:
    with db.write() as conn:
        resuming.begin(conn, held, first.attempt_id, step=step, note="went on")


def take_over(db: Database, held: Claim, first: Claim, *steps: int) -> None:
    for step in steps:
        with db.write() as conn:
            resuming.take_over(conn, held, first.attempt_id, steps=(step, step))


def steps_of(db: Database, held: Claim) -> tuple[list[int], list[int]]:
    """Of an attempt, the steps with measurements and those with losses."""
    with db.read() as conn:
        measured, told = (
            list(
                conn.execute(
                    select(table.c.step)
                    .distinct()
                    .where(table.c.attempt_id == held.attempt_id)
                    .order_by(table.c.step)
                ).scalars()
            )
            for table in (measurement, progress)
        )
        return measured, told


@pytest.fixture
def first(db: Database) -> Claim:
    """An attempt that has written steps 0 to 2."""
    world.submit(db, SPEC)
    held = world.claim(db)
    for step in range(3):
        world.write(db, held, step)
    return held


def test_the_study_ends_as_if_there_had_been_one_attempt(db: Database, first: Claim) -> None:
    second = claimed_again(db, first)
    begin(db, second, first, step=1)
    take_over(db, second, first, 0, 1)
    records = [world.record(second, step) for step in (0, 1)]
    records += [world.write(db, second, step) for step in (2, 3, 4)]
    with db.write() as conn:
        counted = bundles.count(conn, second, world.outcomes(second, records))
        bundles.finish(conn, second, counted)
    while (other := world.try_claim(db)) is not None:
        world.complete(db, other)

    calm = world.complete_study(db, SPEC)
    with db.read() as conn:
        assert doctor.violations(conn) == []
        runs, undisturbed = studies.runs(conn, first.study_id), studies.runs(conn, calm)
        seen = measurements.samples(conn, first.study_id)
        assert seen == measurements.samples(conn, calm)
    assert [run.digest for run in runs] == [run.digest for run in undisturbed]
    assert [run.train_loss for run in runs] == [run.train_loss for run in undisturbed]
    assert steps_of(db, first) == ([2], [2])


def test_taking_over_again_changes_nothing(db: Database, first: Claim) -> None:
    second = claimed_again(db, first)
    begin(db, second, first, step=1)
    for _ in range(2):
        take_over(db, second, first, 0, 1)
        assert steps_of(db, second) == ([0, 1], [0, 1])
    world.write(db, second, 2)
    take_over(db, second, first, 0, 1)
    assert steps_of(db, second) == ([0, 1, 2], [0, 1, 2])


def test_what_two_attempts_hold_is_found_together_once(db: Database, first: Claim) -> None:
    """The second one took over one step of two, and had gone on when it died."""
    second = claimed_again(db, first)
    begin(db, second, first, step=1)
    take_over(db, second, first, 0)
    world.write(db, second, 2)
    third = claimed_again(db, second)
    with db.read() as conn:
        kept = resuming.kept(conn, third, first.attempt_id, step=1)
    written = [world.record(third, step) for step in (0, 1)]
    for outcome in world.outcomes(third, written):
        found = kept[outcome.run_id]
        assert (found.digest.count, found.digest.hex()) == (outcome.row_count, outcome.digest)
        assert found.losses == 2
    begin(db, third, first, step=1)
    take_over(db, third, first, 0, 1)
    assert steps_of(db, third) == ([0, 1], [0, 1])


def test_attempts_that_began_anew_lend_no_rows(db: Database, first: Claim) -> None:
    second = claimed_again(db, first)
    world.write(db, second, 0)
    third = claimed_again(db, second)
    with db.read() as conn:
        kept = resuming.kept(conn, third, second.attempt_id, step=0)
    assert {one.losses for one in kept.values()} == {1}
    begin(db, third, second, step=0)
    take_over(db, third, second, 0)
    assert steps_of(db, first) == ([0, 1, 2], [0, 1, 2])


def test_who_has_lost_the_lease_takes_over_and_says_nothing(db: Database, first: Claim) -> None:
    second = claimed_again(db, first)
    begin(db, second, first, step=1)
    third = claimed_again(db, second)
    with pytest.raises(LeaseLost):
        take_over(db, second, first, 0)
    with pytest.raises(LeaseLost):
        begin(db, second, first, step=0)
    with pytest.raises(LeaseLost), db.write() as conn:
        resuming.left_checkpoint(conn, second, step=1)
    with pytest.raises(LeaseLost), db.write() as conn:
        resuming.explain(conn, second, "began at the first step")
    assert steps_of(db, second) == steps_of(db, third) == ([], [])


def test_the_latest_checkpoint_is_named_and_else_the_latest_attempt(
    db: Database, first: Claim
) -> None:
    second = claimed_again(db, first)
    with db.read() as conn:
        found = resuming.latest(conn, second)
    assert found == resuming.Earlier(first.attempt_id, 1, "w1", None)
    with db.write() as conn:
        resuming.left_checkpoint(conn, second, step=2)
    third = claimed_again(db, claimed_again(db, second))
    with db.read() as conn:
        found = resuming.latest(conn, third)
        assert resuming.latest(conn, first) is None
    assert found == resuming.Earlier(second.attempt_id, 2, "w1", 2)


def test_bundles_go_on_until_they_have_ended(db: Database, first: Claim) -> None:
    own = (first.study_id, first.bundle_id)
    with db.read() as conn:
        assert resuming.going_on(conn, {first.bundle_id, 10_000}) == {own}
    with db.write() as conn:
        studies.cancel(conn, first.study_id)
        bundles.cancelled(conn, first)
    with db.read() as conn:
        assert resuming.going_on(conn, {first.bundle_id}) == set()
