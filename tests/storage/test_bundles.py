"""The queue: one winner, a fence on every write, success that is counted."""

import dataclasses
import threading

import pytest
from sqlalchemy import delete

from muscope.storage import bundles, events, measurements, studies
from muscope.storage.bundles import Claim, Counted, Incomplete, LeaseLost
from muscope.storage.database import Database
from muscope.storage.tables import measurement, study
from muscope.vocabulary import RunState
from tests.storage import world


def test_a_claim_gives_the_runs_and_the_tensors_of_its_bundle(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    assert [member.spec.width for member in held.members] == [8] * 4
    assert list(held.tensor_ids) == ["input", "hidden.0", "hidden.1", "readout"]
    assert held.attempt_no == 1


def test_of_two_workers_only_one_gets_a_bundle(db: Database) -> None:
    world.submit(db, world.small_spec(widths=tuple(range(8, 32)), seeds=1))
    claims: list[Claim] = []

    def work(barrier: threading.Barrier) -> None:
        barrier.wait()
        while (found := world.try_claim(db)) is not None:
            claims.append(found)

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=work, args=(barrier,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 24
    assert len({found.bundle_id for found in claims}) == 24


def test_one_bundle_has_one_winner_in_every_round(db: Database) -> None:
    world.submit(db, world.small_spec(widths=(8, 16)))
    world.claim(db)  # one is left
    for _ in range(10):
        found = _race(db, workers=2)
        assert len(found) == 1
        with db.write() as conn:
            bundles.hand_back(conn, found[0])


def _race(db: Database, *, workers: int) -> list[Claim]:
    start = threading.Barrier(workers)
    found: list[Claim] = []

    def take() -> None:
        start.wait()
        got = world.try_claim(db)
        if got is not None:
            found.append(got)

    threads = [threading.Thread(target=take) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_small_study_does_not_wait_behind_a_large_one(db: Database) -> None:
    large = world.submit(db, world.small_spec(widths=(8, 9, 10, 11, 12)))
    small = world.submit(db)
    order = [world.claim(db).study_id for _ in range(4)]
    assert order == [large, small, large, small]


def test_a_claim_that_was_lost_can_write_nothing(db: Database) -> None:
    world.submit(db)
    stale = world.claim(db)
    with db.write() as conn:
        bundles.hand_back(conn, stale)
    current = world.claim(db)
    assert current.bundle_id == stale.bundle_id
    forged = dataclasses.replace(current, lease_token="0" * 32)
    for dead in (stale, forged):
        for attempted in (
            lambda conn, dead=dead: measurements.write(conn, dead, world.record(dead, 0)),
            lambda conn, dead=dead: bundles.heartbeat(conn, dead, lease_s=9, step=0),
            lambda conn, dead=dead: bundles.finish(conn, dead, Counted(dead.attempt_id, ())),
            lambda conn, dead=dead: bundles.fail(conn, dead, code="E", text="no"),
            lambda conn, dead=dead: bundles.cancelled(conn, dead),
            lambda conn, dead=dead: bundles.hand_back(conn, dead),
            lambda conn, dead=dead: bundles.out_of_memory(conn, dead, text="no"),
            lambda conn, dead=dead: bundles.set_apart(conn, dead, most=1, text="no"),
        ):
            with pytest.raises(LeaseLost, match="no longer holds its lease"), db.write() as conn:
                attempted(conn)
    world.complete(db, current)


def test_handing_back_counts_nothing(db: Database) -> None:
    world.submit(db, world.small_spec(widths=(8, 16)))
    for number in range(1, 6):
        held = world.claim(db)
        assert held.attempt_no == number
        with db.write() as conn:
            bundles.hand_back(conn, held)


def test_a_finished_bundle_has_counted_runs(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    world.complete(db, held)
    with db.read() as conn:
        ended = [run for run in studies.runs(conn, study_id) if run.state is RunState.FINISHED]
    assert len(ended) == 4
    assert {run.row_count for run in ended} == {4 * 3}
    assert {run.accepted_attempt for run in ended} == {held.attempt_id}


def test_a_missing_row_is_noticed_at_the_end(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    written = [world.write(db, held, step) for step in range(3)]
    with db.write() as conn:
        lost = measurement.c.run_id == held.members[0].run_id, measurement.c.step == 1
        conn.execute(delete(measurement).where(*lost, measurement.c.tensor_id == 1))
    with pytest.raises(Incomplete, match="the database holds 11"), db.write() as conn:
        bundles.finish(conn, held, bundles.count(conn, held, world.outcomes(held, written)))


def test_a_changed_row_is_noticed_at_the_end(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    written = [world.write(db, held, step) for step in range(3)]
    with db.write() as conn:
        one = measurement.c.run_id == held.members[0].run_id, measurement.c.step == 1
        conn.execute(measurement.update().where(*one).values(l1=measurement.c.l1 + 1e-12))
    with pytest.raises(Incomplete, match="digest"), db.write() as conn:
        bundles.finish(conn, held, bundles.count(conn, held, world.outcomes(held, written)))


def test_a_step_that_was_never_written_is_noticed(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    written = [world.write(db, held, step) for step in range(2)]
    with pytest.raises(Incomplete, match="the plan asks for 12"), db.write() as conn:
        bundles.finish(conn, held, bundles.count(conn, held, world.outcomes(held, written)))


def test_an_outcome_for_every_run_or_none(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    written = [world.write(db, held, step) for step in range(3)]
    with pytest.raises(Incomplete, match="outcomes came for"), db.write() as conn:
        bundles.finish(conn, held, bundles.count(conn, held, world.outcomes(held, written)[1:]))


def test_divergence_is_counted_too(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    written = [world.write(db, held, step, nan_in=[2] if step else []) for step in range(3)]
    honest = world.outcomes(held, written)
    hidden = [dataclasses.replace(outcome, state=RunState.FINISHED) for outcome in honest]
    with pytest.raises(Incomplete, match="its rows say diverged"), db.write() as conn:
        bundles.finish(conn, held, bundles.count(conn, held, hidden))
    with db.write() as conn:
        bundles.finish(conn, held, bundles.count(conn, held, honest))
    with db.read() as conn:
        states = [run.state for run in studies.runs(conn, study_id)[:4]]
    assert states == ["finished", "finished", "diverged", "finished"]


def test_a_run_that_was_stopped_early_has_its_rows_up_to_the_rung(db: Database) -> None:
    study_id = world.submit(db)
    with db.write() as conn:  # the doctor wants a search
        conn.execute(study.update().values(kind="lr_transfer"))
    held = world.claim(db)
    written = [world.write(db, held, step) for step in range(2)]
    last = world.record(held, 2)
    last = dataclasses.replace(
        last,
        measurements=tuple(row for row in last.measurements if row.member != 3),
        progress=last.progress[:3],
    )
    with db.write() as conn:
        measurements.write(conn, held, last)
    *whole, short = world.outcomes(held, [*written, last])
    with pytest.raises(Incomplete, match="the plan asks for 12"), db.write() as conn:
        bundles.count(conn, held, [*whole, short])
    stopped = dataclasses.replace(short, state=RunState.SKIPPED, note="stopped early")
    never = dataclasses.replace(whole[0], state=RunState.SKIPPED, note="stopped early")
    with pytest.raises(Incomplete, match="the plan asks for 8"), db.write() as conn:
        bundles.count(conn, held, [never, *whole[1:], stopped])
    with db.write() as conn:
        bundles.finish(conn, held, bundles.count(conn, held, [*whole, stopped]))
    with db.read() as conn:
        *_, ended = studies.runs(conn, study_id)[:4]
    assert (ended.state, ended.error_text) == (RunState.SKIPPED, "stopped early")
    assert ended.row_count == 8


def test_a_fault_fails_the_runs_with_its_sentence_and_keeps_their_rows(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    world.write(db, held, 0)
    with db.write() as conn:
        bundles.fail(conn, held, code="E_CODE", text="width 3 does not fit")
    with db.read() as conn:
        run = studies.runs(conn, study_id)[0]
    assert (run.state, run.error_code, run.error_text) == (
        RunState.FAILED,
        "E_CODE",
        "width 3 does not fit",
    )
    assert (run.accepted_attempt, run.row_count) == (held.attempt_id, 4)


def test_the_supervisor_sees_what_its_worker_executes(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db, worker="w1")
    world.claim(db, worker="w2")
    with db.write() as conn:
        bundles.heartbeat(conn, held, lease_s=9, step=0)
        studies.cancel(conn, study_id)
        (live,) = bundles.live_attempts(conn, "w1")
    assert (live.attempt_id, live.bundle_id, live.pid) == (held.attempt_id, held.bundle_id, 1)
    assert live.cancel_requested
    assert live.last_step_at is not None
    assert 0 <= live.idle_s < 60


def test_what_was_sent_is_still_queued(db: Database) -> None:
    study_id = world.submit(db)
    with db.write() as conn:
        ids = bundles.queued_ids(conn, study_id)
        bundles.mark_sent(conn, ids)
        assert bundles.queued_ids(conn, study_id) == ids
    assert world.claim(db).bundle_id == ids[0]


def test_every_change_is_an_event_with_a_dense_number(db: Database) -> None:
    study_id = world.complete_study(db)
    with db.read() as conn:
        seen = events.since(conn, study_id, 0, limit=10_000)
        tail = events.since(conn, study_id, len(seen) - 3)
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert tail == seen[-3:]
    assert [event.kind for event in seen].count("attempt_ended") == 2
    steps = [event.data for event in seen if event.kind == "step"]
    assert steps[:2] == [{"bundle": 1, "step": 0, "steps": 2}, {"bundle": 1, "step": 1, "steps": 2}]
