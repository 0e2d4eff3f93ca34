"""Studies: created once, read with a derived state, cancelled."""

import threading

import pytest

from muscope import plan
from muscope.spec import StudySpec
from muscope.storage import bundles, measurements, studies
from muscope.storage.database import Database
from muscope.vocabulary import RunState, StudyIntent, StudyState
from tests.storage import world


def create(db: Database, spec: StudySpec, key: str | None) -> tuple[str, bool]:
    with db.write() as conn:
        return studies.create(conn, spec, plan.plan(spec), idempotency_key=key)


def state(db: Database, study_id: str) -> StudyState:
    with db.read() as conn:
        found = studies.get(conn, study_id)
    assert found is not None
    return found.state


def test_a_study_is_read_as_it_was_asked(db: Database) -> None:
    spec = world.small_spec(name="µ ↗ <b>")
    study_id = world.submit(db, spec)
    with db.read() as conn:
        found = studies.get(conn, study_id)
        runs = studies.runs(conn, study_id)
    assert found is not None
    assert (found.spec, found.name, found.runs) == (spec, "µ ↗ <b>", 8)
    assert found.created_at.tzinfo is not None
    assert [run.ordinal for run in runs] == list(range(8))
    assert {run.variant for run in runs} == {variant.key for variant in spec.variants}


def test_an_unknown_study_is_none(db: Database) -> None:
    with db.read() as conn:
        assert studies.get(conn, "nobody") is None


def test_the_same_key_and_spec_give_the_same_study(db: Database) -> None:
    spec = world.small_spec()
    study_id, created = create(db, spec, "key")
    assert created
    assert create(db, spec, "key") == (study_id, False)
    assert create(db, spec, "another") != (study_id, False)


def test_the_same_key_with_another_spec_is_a_conflict(db: Database) -> None:
    create(db, world.small_spec(seeds=2), "key")
    with pytest.raises(studies.IdempotencyConflict, match="'key' was used for another study"):
        create(db, world.small_spec(seeds=3), "key")


def test_of_submissions_at_once_with_one_key_only_one_creates(db: Database) -> None:
    answers: list[tuple[str, bool]] = []
    start = threading.Barrier(4)

    def submit() -> None:
        start.wait()
        answers.append(create(db, world.small_spec(), "key"))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({study_id for study_id, _ in answers}) == 1
    assert sorted(created for _, created in answers) == [False, False, False, True]


def test_pages_show_the_newest_first(db: Database) -> None:
    ids = [world.submit(db) for _ in range(3)]
    with db.read() as conn:
        assert {row.id for row in studies.page(conn)} == set(ids)
        first, second = studies.page(conn, limit=1), studies.page(conn, limit=2, offset=1)
        assert studies.count(conn) == 3
    assert len({row.id for row in (*first, *second)}) == 3
    assert first[0].created_at >= second[0].created_at >= second[1].created_at


def test_the_state_of_a_study_follows_its_runs(db: Database) -> None:
    study_id = world.submit(db)
    assert state(db, study_id) is StudyState.QUEUED
    first = world.claim(db)
    assert state(db, study_id) is StudyState.RUNNING
    world.complete(db, first)
    assert state(db, study_id) is StudyState.RUNNING  # one bundle still waits
    world.complete(db, world.claim(db))
    assert state(db, study_id) is StudyState.FINISHED


def test_a_fault_shows_in_the_state_of_the_study() -> None:
    counts = {RunState.FINISHED: 7, RunState.FAILED: 1}
    assert studies.derived_state(counts) is StudyState.FAILED


def test_cancelling_what_waits_ends_it_at_once(db: Database) -> None:
    study_id = world.submit(db)
    with db.write() as conn:
        found = studies.cancel(conn, study_id)
    assert found is not None
    assert (found.state, found.counts) == (StudyState.CANCELLED, {RunState.CANCELLED: 8})
    assert found.ended_at is not None
    assert world.try_claim(db) is None


def test_cancelling_what_runs_is_seen_at_the_next_heartbeat_and_keeps_the_rows(
    db: Database,
) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    world.write(db, held, 0)
    with db.write() as conn:
        assert not bundles.heartbeat(conn, held, lease_s=60, step=0)
        studies.cancel(conn, study_id)
    world.write(db, held, 1)  # still its own: the worker has not seen the wish yet
    with db.write() as conn:
        assert bundles.heartbeat(conn, held, lease_s=60, step=1)
        bundles.cancelled(conn, held)
    assert state(db, study_id) is StudyState.CANCELLED
    with db.read() as conn:
        assert {sample.step for sample in measurements.samples(conn, study_id)} == {0, 1}


def test_a_worker_that_dies_with_a_cancelled_bundle_cancels_it(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    world.write(db, held, 0)
    with db.write() as conn:
        studies.cancel(conn, study_id)
        bundles.lost(conn, held.attempt_id, reason="signal 9", counts_as_loss=True)
    assert state(db, study_id) is StudyState.CANCELLED
    with db.read() as conn:
        assert measurements.samples(conn, study_id)


def test_what_has_ended_cannot_be_cancelled(db: Database) -> None:
    study_id = world.complete_study(db)
    with db.write() as conn:
        found = studies.cancel(conn, study_id)
        assert studies.cancel(conn, "nobody") is None
    assert found is not None
    assert (found.state, found.intent) == (StudyState.FINISHED, StudyIntent.OPEN)


def test_runs_judged_counts_runs_that_ended_with_rows(db: Database) -> None:
    study_id = world.submit(db)
    world.complete(db, world.claim(db))
    with db.write() as conn:
        studies.cancel(conn, study_id)
    with db.read() as conn:
        assert sorted(studies.runs_judged(conn, study_id).values()) == [2, 2]


def test_a_run_knows_who_executed_it_and_its_last_loss(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db, worker="gpu0@host")
    with db.write() as conn:
        bundles.describe_attempt(conn, held, torch_version="2", device="cpu", data_digest="d")
    world.complete(db, held)
    with db.read() as conn:
        run = studies.runs(conn, study_id)[0]
        waiting = studies.runs(conn, study_id)[-1]
    assert (run.worker_id, run.device, run.attempts) == ("gpu0@host", "cpu", 1)
    assert run.train_loss == 2.0 / 3
    assert run.seconds is not None
    assert (waiting.worker_id, waiting.train_loss, waiting.attempts) == (None, None, 0)
