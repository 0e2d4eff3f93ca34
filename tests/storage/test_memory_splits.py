"""Memory that does not last: bundles become smaller, and only a run that was alone ends by it."""

from collections import Counter
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from muscope.storage import attempts, bundles, events, failures, measurements, reap, studies
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.storage.endings import MAX_MEMORY_SPLITS
from muscope.storage.studies import RunRow
from muscope.storage.tables import attempt, bundle
from muscope.vocabulary import AttemptState, RunState, StudyState
from tests.storage import world

TEXT = "the run needs 3 GiB, 1 GiB were free"


def runs_of(db: Database, study_id: str) -> list[RunRow]:
    with db.read() as conn:
        return studies.runs(conn, study_id)


def run_out(db: Database, held: Claim) -> None:
    with db.write() as conn:
        bundles.out_of_memory(conn, held, text=TEXT)


def two_bundles(db: Database, *, seeds: int) -> str:
    """Two runs per seed in each of two bundles."""
    return world.submit(db, world.small_spec(seeds=seeds))


def work_off(db: Database, *, most: int, never: Sequence[int] = ()) -> Counter[int]:
    """Execute everything with memory for so many runs, but never for these seeds.

    Gives how many attempts there were of every size. What was written before memory ended has
    other numbers than what the next attempt writes.
    """
    sizes: Counter[int] = Counter()
    while (held := world.try_claim(db)) is not None:
        sizes[len(held.members)] += 1
        if len(held.members) > most or any(member.spec.seed in never for member in held.members):
            world.write(db, held, 0, nan_in=[0])
            run_out(db, held)
        else:
            world.complete(db, held)
    return sizes


def test_a_bundle_without_memory_is_halved_until_it_fits(db: Database) -> None:
    study_id = two_bundles(db, seeds=4)
    sizes = work_off(db, most=2)
    ended = runs_of(db, study_id)
    assert sizes == {8: 2, 4: 4, 2: 8}
    assert {run.state for run in ended} == {RunState.FINISHED}
    with db.read() as conn:
        assert len(measurements.samples(conn, study_id)) == 16 * 3 * 4  # runs, steps, tensors
        lost = conn.execute(select(bundle.c.losses + bundle.c.vanishings)).scalars()
        assert set(lost) == {0}


def test_the_third_split_is_into_single_runs(db: Database) -> None:
    study_id = two_bundles(db, seeds=5)
    assert work_off(db, most=1) == {10: 2, 5: 4, 3: 4, 2: 4, 1: 20}
    assert {run.state for run in runs_of(db, study_id)} == {RunState.FINISHED}
    with db.read() as conn:
        splits = set(conn.execute(select(bundle.c.memory_splits)).scalars())
    assert splits == {MAX_MEMORY_SPLITS}


def test_a_run_that_never_fits_ends_alone_with_the_sentence(db: Database) -> None:
    study_id = two_bundles(db, seeds=3)
    work_off(db, most=6, never=[1])
    ended = runs_of(db, study_id)
    guilty = [run for run in ended if run.seed == 1]
    assert {(run.state, run.error_code, run.error_text) for run in guilty} == {
        (RunState.OUT_OF_MEMORY, "E_OUT_OF_MEMORY", TEXT)
    }
    assert {run.state for run in ended if run.seed != 1} == {RunState.FINISHED}
    with db.read() as conn:
        assert failures.commonest(conn, study_id) == TEXT
        study = studies.get(conn, study_id)
    assert study is not None
    assert study.state is StudyState.FAILED


def test_the_attempt_says_why_it_ended_and_events_tell_of_the_split(db: Database) -> None:
    study_id = two_bundles(db, seeds=2)
    run_out(db, world.claim(db))
    with db.read() as conn:
        (ended,) = conn.execute(select(attempt)).all()
        seen = events.since(conn, study_id, 0)
    assert (ended.state, ended.end_reason) == (AttemptState.FAILED, TEXT)
    assert [event.data for event in seen if event.kind == "bundle_split"] == [
        {"bundle": 1, "into": 2, "reason": TEXT}
    ]
    assert [event.to_state for event in seen if event.run_id][-4:] == [RunState.QUEUED] * 4


def test_a_message_is_due_for_every_piece(db: Database) -> None:
    two_bundles(db, seeds=4)
    run_out(db, world.claim(db))
    held = world.claim(db)
    with db.write() as conn:
        bundles.set_apart(conn, held, most=2, text=TEXT)
        bundles.mark_sent(conn, [held.bundle_id])
    assert reap.reap(db, resend_s=60) == [2, 3, 4]


def test_what_does_not_fit_by_the_plan_is_set_apart_before_the_training(db: Database) -> None:
    study_id = two_bundles(db, seeds=5)
    held = world.claim(db)
    with db.read() as conn:
        whole = conn.execute(select(bundle.c.need_memory).where(bundle.c.id == 1)).scalar_one()
    for _ in range(2):  # the first commit may not have been heard of
        with db.write() as conn:
            bundles.set_apart(conn, held, most=4, text=TEXT)
    states = [run.state for run in runs_of(db, study_id)]
    assert states == [RunState.RUNNING] * 4 + [RunState.QUEUED] * 16
    with db.read() as conn:
        rows = conn.execute(select(bundle).order_by(bundle.c.id)).all()
        kinds = [event.kind for event in events.since(conn, study_id, 0)]
    assert {row.memory_splits for row in rows} == {0}
    assert kinds.count("bundle_split") == 1
    # shares of what the bundle needed, each rounded down
    needs = [row.need_memory for row in rows if row.id != 2]
    assert needs[0] == needs[1] == pytest.approx(2 * needs[2], abs=2)
    assert sum(needs) == pytest.approx(whole, abs=3)


def test_a_cancel_is_obeyed_instead_of_a_split(db: Database) -> None:
    for split in (
        lambda conn, held: bundles.out_of_memory(conn, held, text=TEXT),
        lambda conn, held: bundles.set_apart(conn, held, most=1, text=TEXT),
    ):
        study_id = two_bundles(db, seeds=2)
        held = world.claim(db)
        with db.write() as conn:
            studies.cancel(conn, study_id)
            split(conn, held)
        assert {run.state for run in runs_of(db, study_id)} == {RunState.CANCELLED}
        with db.read() as conn:
            assert attempts.given_back(conn, study_id) is None


def test_pieces_remember_how_often_they_have_died(db: Database) -> None:
    two_bundles(db, seeds=2)
    with db.write() as conn:
        conn.execute(bundle.update().values(losses=1, vanishings=2))
    run_out(db, world.claim(db))
    with db.read() as conn:
        rows = conn.execute(select(bundle.c.losses, bundle.c.vanishings)).all()
    assert [tuple(row) for row in rows] == [(1, 2)] * 3
