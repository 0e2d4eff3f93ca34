"""The reaper: nothing is lost with its worker, nothing is tried for ever."""

import threading

from sqlalchemy import select, update

from muscope.storage import bundles, events, measurements, reap, studies, workers
from muscope.storage.database import Database
from muscope.storage.endings import MAX_VANISHINGS
from muscope.storage.tables import attempt, bundle
from muscope.vocabulary import BundleState, RunState
from tests.storage import world


def no_back_off(db: Database) -> None:
    """Instead of waiting."""
    with db.write() as conn:
        conn.execute(update(bundle).values(not_before=None))


def die(db: Database, claim: bundles.Claim) -> None:
    with db.write() as conn:
        bundles.lost(conn, claim.attempt_id, reason="host-1: signal 9", counts_as_loss=True)
    no_back_off(db)


def states(db: Database, study_id: str) -> list[RunState]:
    with db.read() as conn:
        return [run.state for run in studies.runs(conn, study_id)]


def a_worker_idles(db: Database) -> None:
    with db.write() as conn:
        workers.beat(conn, workers.WorkerRow("idle", "host", 1, "cpu", 1, "muscope", 1, "0"))


def test_an_expired_lease_puts_the_bundle_back_after_a_pause(db: Database) -> None:
    study_id = world.submit(db, world.small_spec(widths=(8, 16)))
    first = world.claim(db, lease_s=0)
    world.claim(db)
    reap.reap(db, resend_s=60)
    assert states(db, study_id) == [RunState.QUEUED] * 4 + [RunState.RUNNING] * 4
    assert world.try_claim(db) is None  # not_before has not passed
    no_back_off(db)
    again = world.claim(db)
    assert (again.bundle_id, again.attempt_no) == (first.bundle_id, 2)


def test_a_living_lease_is_left_alone(db: Database) -> None:
    world.submit(db)
    held = world.claim(db, lease_s=0)
    with db.write() as conn:
        bundles.heartbeat(conn, held, lease_s=60, step=None)
    reap.reap(db, resend_s=60)
    world.write(db, held, 0)


def test_the_third_death_is_poison_for_the_guilty_run_only(db: Database) -> None:
    study_id = world.submit(db, world.small_spec(widths=(8, 16)))
    guilty = 2
    while (held := world.try_claim(db)) is not None:
        if guilty in {
            member.spec.seed + 2 * _is_mup(member)
            for member in held.members
            if member.spec.width == 8
        }:
            die(db, held)
        else:
            world.complete(db, held)
    assert (
        states(db, study_id)
        == [RunState.FINISHED] * 2 + [RunState.FAILED] + [RunState.FINISHED] * 5
    )
    with db.read() as conn:
        failed = studies.runs(conn, study_id)[guilty]
    assert failed.error_code == "E_POISON"
    assert failed.error_text is not None
    assert "died 3 times" in failed.error_text
    assert "host-1: signal 9" in failed.error_text


def _is_mup(member: bundles.Member) -> bool:
    return member.spec.variant.parametrization.name == "mup"


def test_vanishing_is_counted_apart_and_ends_after_ten(db: Database) -> None:
    study_id = world.submit(db)
    world.claim(db)  # the other bundle is out of the way
    for _ in range(MAX_VANISHINGS):
        assert RunState.FAILED not in states(db, study_id)
        world.claim(db, lease_s=0)
        reap.reap(db, resend_s=60)
        no_back_off(db)
    with db.read() as conn:
        failed = studies.runs(conn, study_id)[-1]
    assert failed.state is RunState.FAILED
    assert failed.error_text is not None
    assert "vanished 10 times" in failed.error_text


def test_the_pause_doubles_and_is_bounded(db: Database) -> None:
    world.submit(db)
    pauses = []
    for _ in range(9):
        held = world.claim(db)
        with db.write() as conn:
            bundles.lost(conn, held.attempt_id, reason="gone", counts_as_loss=False)
            ended = select(attempt.c.ended_at).where(attempt.c.id == held.attempt_id)
            row = select(bundle.c.not_before).where(bundle.c.id == held.bundle_id)
            pauses.append(conn.execute(row).scalar_one() - conn.execute(ended).scalar_one())
        no_back_off(db)
    assert [round(pause) for pause in pauses[:6]] == [1, 2, 4, 8, 16, 32]
    assert max(pauses) < 61


def test_reapers_at_once_free_a_bundle_once(db: Database) -> None:
    study_id = world.submit(db)
    world.claim(db, lease_s=0)
    start = threading.Barrier(3)

    def run() -> None:
        start.wait()
        reap.reap(db, resend_s=60)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as conn:
        kinds = [event.kind for event in events.since(conn, study_id, 0)]
        counted = conn.execute(select(bundle.c.vanishings).where(bundle.c.id == 1)).scalar_one()
    assert kinds.count("attempt_ended") == 1
    assert counted == 1


def test_a_death_is_told_once(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    for _ in range(3):
        with db.write() as conn:
            bundles.lost(conn, held.attempt_id, reason="signal 9", counts_as_loss=True)
            bundles.lost(conn, 4711, reason="never was", counts_as_loss=True)
    with db.read() as conn:
        losses = select(bundle.c.losses).where(bundle.c.id == held.bundle_id)
        assert conn.execute(losses).scalar_one() == 1


def test_what_was_never_sent_is_sent_once(db: Database) -> None:
    study_id = world.submit(db)
    with db.read() as conn:
        queued = bundles.queued_ids(conn, study_id)
    assert reap.reap(db, resend_s=60) == queued
    assert reap.reap(db, resend_s=60) == []


def test_a_lost_message_is_sent_again_when_a_worker_idles(db: Database) -> None:
    study_id = world.submit(db)
    with db.write() as conn:
        queued = bundles.queued_ids(conn, study_id)
        bundles.mark_sent(conn, queued)
    assert reap.reap(db, resend_s=0) == []  # nobody is there to hear it
    a_worker_idles(db)
    assert reap.reap(db, resend_s=0) == queued
    world.claim(db, worker="idle")
    assert reap.reap(db, resend_s=0) == []  # it is busy


def test_a_cancelled_study_is_not_sent(db: Database) -> None:
    study_id = world.submit(db)
    with db.write() as conn:
        studies.cancel(conn, study_id)
    assert reap.reap(db, resend_s=0) == []


def test_after_a_split_every_run_is_there_once(db: Database) -> None:
    study_id = world.submit(db, world.small_spec(widths=(8, 16)))
    world.claim(db)  # width 8 is out of the way
    for _ in range(2):
        die(db, world.claim(db))
    with db.read() as conn:
        queued = select(bundle.c.id).where(bundle.c.state == BundleState.QUEUED)
        assert len(conn.execute(queued).all()) == 4
    while (held := world.try_claim(db)) is not None:
        assert len(held.members) == 1
        world.complete(db, held)
    with db.read() as conn:
        seen = [sample for sample in measurements.samples(conn, study_id) if sample.width == 16]
    assert len(seen) == len(set(seen)) == 4 * 3 * 4
