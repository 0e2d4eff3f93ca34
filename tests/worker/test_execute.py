"""One bundle from its claim to its end, with the real lab and a real database."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select

from muscope import costs
from muscope.lab import data, engine, environment
from muscope.plan import plan
from muscope.storage import (
    attempts,
    budgets,
    bundles,
    disk,
    measurements,
    studies,
    verdicts,
    workers,
)
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope.storage.doctor import violations
from muscope.storage.studies import RunRow
from muscope.storage.tables import bundle, progress
from muscope.vocabulary import RunState, StudyState
from muscope_worker import execute, introduction
from muscope_worker.execute import TrainingProcess, next_bundle
from tests.core.machines import ROUND
from tests.worker.studies import submit, tiny


def work_off(process: TrainingProcess) -> None:
    """Execute bundles until none is queued."""
    while next_bundle(process):
        pass


def runs_of(db: Database, study_id: str) -> list[RunRow]:
    """The runs of a study, after the doctor has found nothing wrong."""
    with db.read() as conn:
        assert violations(conn) == []
        return studies.runs(conn, study_id)


def test_a_study_is_trained_recorded_and_judged(
    db: Database, process: TrainingProcess, study_id: str
) -> None:
    work_off(process)

    assert {run.state for run in runs_of(db, study_id)} == {RunState.FINISHED}
    with db.read() as conn:
        judged = verdicts.of_study(conn, study_id)
        samples = measurements.samples(conn, study_id)
    assert [verdict.final for verdict in judged] == [True, True]
    assert [verdict.runs_judged for verdict in judged] == [4, 4]
    assert len(samples) == 8 * 3 * 3  # runs, steps 0 to 2, tensors


def test_of_a_study_recorded_every_other_step_these_rows_and_all_losses_are_kept(
    db: Database, process: TrainingProcess
) -> None:
    spec = tiny(steps=5).model_copy(update={"record": "standard", "record_every": 2})
    study_id = submit(db, spec)
    work_off(process)

    assert {run.state for run in runs_of(db, study_id)} == {RunState.FINISHED}
    with db.read() as conn:
        judged = verdicts.of_study(conn, study_id)
        samples = measurements.samples(conn, study_id)
        losses = conn.execute(select(func.count()).select_from(progress)).scalar()
    assert {sample.step for sample in samples} == {0, 2, 4, 5}
    assert len(samples) == plan(spec).measurement_rows
    assert losses == plan(spec).loss_rows == 8 * 6  # runs, steps 0 to 5
    assert {cell.step for one in judged for cell in one.cells} == {0, 2, 4, 5}


def test_every_bundle_says_what_it_took(
    db: Database, process: TrainingProcess, study_id: str
) -> None:
    row = introduction.of_parent(process.worker_id)
    with db.write() as conn:
        workers.beat(conn, replace(row, machine=ROUND.model_copy(update=_this_machine())))
    work_off(process)

    with db.read() as conn:
        rows = budgets.of_study(conn, study_id)
        ended = studies.runs(conn, study_id)
    for found in rows:
        assert (found.threads, found.matmul_precision) == (1, "highest")
        assert found.budget
        assert found.budget.flops == 4 * costs.flops(found.spec)
        # the attempt also claims, records and judges
        seconds = [run.seconds for run in ended if run.bundle_id == found.bundle_id]
        assert 0 < found.budget.seconds < min(filter(None, seconds))
        assert found.budget.fraction
        assert found.budget.planned_s


def _this_machine() -> dict[str, str | int]:
    here = environment.describe()
    return {"device": here.device, "torch_version": here.torch_version, "threads": 1}


def test_after_the_first_bundle_the_verdict_is_provisional(
    db: Database, process: TrainingProcess, study_id: str
) -> None:
    next_bundle(process)

    with db.read() as conn:
        judged = verdicts.of_study(conn, study_id)
    assert [verdict.final for verdict in judged] == [False, False]


def test_the_same_study_twice_gives_the_same_digests(
    db: Database, process: TrainingProcess, study_id: str
) -> None:
    again = submit(db, tiny())

    work_off(process)

    first, second = runs_of(db, study_id), runs_of(db, again)
    assert [run.digest for run in first] == [run.digest for run in second]


def test_divergence_is_a_result_with_its_first_step_and_tensor(
    db: Database, process: TrainingProcess
) -> None:
    study_id = submit(db, tiny(learning_rate=1e6, steps=12))

    work_off(process)

    runs = runs_of(db, study_id)
    diverged = [run for run in runs if run.state is RunState.DIVERGED]
    assert diverged
    assert {run.state for run in runs} <= {RunState.DIVERGED, RunState.FINISHED}
    assert all(run.first_nonfinite_step and run.first_nonfinite_tensor for run in diverged)
    assert all(run.row_count == 13 * 3 for run in runs)


@pytest.mark.parametrize(
    "fault",
    [
        (KeyError("lost"), "E_LAB"),
        (ValueError("width 3 is odd"), "E_SPEC"),
    ],
)
def test_a_fault_of_the_lab_fails_the_runs_with_a_sentence(
    db: Database,
    process: TrainingProcess,
    study_id: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: tuple[Exception, str],
) -> None:
    error, code = fault

    def broken(*_: object) -> object:
        raise error

    monkeypatch.setattr(engine, "train", broken)

    work_off(process)

    runs = runs_of(db, study_id)
    assert {(run.state, run.error_code) for run in runs} == {(RunState.FAILED, code)}
    assert all(run.error_text for run in runs)


def test_a_cancelled_study_stops_at_the_next_step_and_keeps_its_rows(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel_and_stop() -> None:
        with db.write() as conn:
            studies.cancel(conn, study_id)
        process.stop.set()

    after_step(monkeypatch, 0, cancel_and_stop)

    work_off(process)

    runs = runs_of(db, study_id)
    assert {run.state for run in runs} == {RunState.CANCELLED}
    assert [run.row_count for run in runs if run.row_count] == [3] * 4


def test_a_stopping_worker_hands_its_bundle_back(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_step(monkeypatch, 1, process.stop.set)

    next_bundle(process)

    assert {run.state for run in runs_of(db, study_id)} == {RunState.QUEUED}
    monkeypatch.undo()
    work_off(process)
    runs = runs_of(db, study_id)
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert [run.attempts for run in runs] == [2] * 4 + [1] * 4


def test_who_has_lost_the_lease_writes_nothing_more(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_step(monkeypatch, 0, lambda: lose(db, process))

    next_bundle(process)

    with db.read() as conn:
        study = studies.get(conn, study_id)
        assert measurements.samples(conn, study_id) == []
    assert study is not None
    assert study.state is StudyState.QUEUED


def test_who_fails_after_the_lease_was_lost_says_no_more(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_and_fail() -> None:
        lose(db, process)
        raise KeyError("lost")

    after_step(monkeypatch, 0, lose_and_fail)

    assert next_bundle(process)

    assert {run.state for run in runs_of(db, study_id)} == {RunState.QUEUED}


def test_missing_data_end_a_run_with_the_place_where_they_should_be(
    db: Database, process: TrainingProcess
) -> None:
    study_id = submit(db, tiny(dataset="cifar10"))

    work_off(process)

    run, *_ = runs_of(db, study_id)
    assert (run.state, run.error_code) == (RunState.FAILED, "E_DATA")
    assert str(process.settings.data_dir / "datasets/cifar-10-batches-bin") in str(run.error_text)


def test_a_full_disk_hands_the_bundle_back_with_what_to_do(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step finds no room, and neither does the first try to hand back."""
    monkeypatch.setattr(execute, "ROOM_AGAIN_S", 0.0)
    monkeypatch.setattr(execute, "ROOM_TICK_S", 0.0)
    after_step(monkeypatch, 1, full_once(monkeypatch, times=2))

    next_bundle(process)

    runs = runs_of(db, study_id)
    assert {run.state for run in runs} == {RunState.QUEUED}
    with db.read() as conn:
        assert attempts.given_back(conn, study_id) == disk.SENTENCE
        assert conn.execute(select(func.sum(bundle.c.vanishings))).scalar() == 0
    monkeypatch.undo()
    work_off(process)
    assert {run.state for run in runs_of(db, study_id)} == {RunState.FINISHED}


def test_nothing_is_claimed_while_there_is_no_room(
    process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "SPARE_BYTES", 2**62)
    assert not next_bundle(process)
    monkeypatch.undo()
    assert next_bundle(process)


def test_an_attempt_says_which_data_it_has_read(db: Database, process: TrainingProcess) -> None:
    spec = tiny(dataset="photo_patches")
    study_id = submit(db, spec)

    next_bundle(process)

    with db.read() as conn:
        (found,) = attempts.surroundings(conn, study_id)
    assert found.data_digest == data.digest(spec.arms[0].model)


def test_without_work_nothing_happens(process: TrainingProcess) -> None:
    assert not next_bundle(process)


def test_the_heartbeat_keeps_the_lease_of_a_long_step(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = threading.Event()
    seen = []

    def count(conn: object, claim: Claim, **how: object) -> bool:
        seen.append(renew(conn, claim, **how))  # type: ignore[arg-type]
        if len(seen) == 3:
            beats.set()
        return seen[-1]

    renew = bundles.heartbeat
    monkeypatch.setattr(bundles, "heartbeat", count)
    after_step(monkeypatch, 0, lambda: beats.wait(5.0))

    next_bundle(process)

    assert beats.is_set()
    assert not any(seen)


def lose(db: Database, process: TrainingProcess) -> None:
    """What the reaper does when nobody has heard of the worker."""
    with db.write() as conn:
        (live,) = bundles.live_attempts(conn, process.worker_id)
        bundles.lost(conn, live.attempt_id, reason="in this test", counts_as_loss=False)


def full_once(monkeypatch: pytest.MonkeyPatch, *, times: int) -> Callable[[], None]:
    """From its call on, the next writes find the disk full."""
    write, left = Database.write, [0]

    def written(self: Database) -> AbstractContextManager[Connection]:
        if left[0]:
            left[0] -= 1
            raise DiskFull(disk.SENTENCE)
        return write(self)

    def fill() -> None:
        left[0] = times

    monkeypatch.setattr(Database, "write", written)
    return fill


def after_step(monkeypatch: pytest.MonkeyPatch, step: int, act: object) -> None:
    """Let something happen right after a step has been recorded."""
    record = execute.Recorder.write

    def write(self: execute.Recorder, rows: object) -> None:
        record(self, rows)  # type: ignore[arg-type]
        if rows.step == step:  # type: ignore[attr-defined]
            act()  # type: ignore[operator]

    monkeypatch.setattr(execute.Recorder, "write", write)
