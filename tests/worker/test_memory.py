"""Memory that does not last: the bundle is trained in smaller ones, and other runs go on."""

from collections.abc import Iterator, Sequence

import pytest
import torch

from muscope import in_process, plan
from muscope.lab import engine, environment
from muscope.records import StepRecord
from muscope.spec import RunSpec
from muscope.storage import measurements, studies
from muscope.storage.database import Database
from muscope.vocabulary import RunState
from muscope_worker.execute import TrainingProcess
from tests.worker.studies import submit, tiny
from tests.worker.test_execute import runs_of, work_off

FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


class Lab:
    """The engine with memory for some members; `sizes` are those of the bundles it was given.

    Memory ends after the first step, so that an attempt which is lost has written rows.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        most: int = 100,
        never: Sequence[int] = (),
        error: Exception | None = None,
    ) -> None:
        self.sizes: list[int] = []
        trained = engine.train

        def train(
            members: Sequence[RunSpec], stop: engine.Stop | None = None
        ) -> Iterator[StepRecord]:
            self.sizes.append(len(members))
            fits = len(members) <= most and not {member.seed for member in members} & set(never)
            for record in trained(members, stop):
                if not fits and record.step == 1:
                    raise error or FULL[0]
                yield record

        monkeypatch.setattr(engine, "train", train)


def free(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Pretend that there is room for so many runs of the larger width by the plan."""
    room = plan.together(tuple(plan.runs(tiny()))[-number:]).memory_bytes / plan.USABLE
    monkeypatch.setattr(environment, "free_bytes", lambda: round(room) + 1)


@pytest.mark.parametrize("error", FULL)
def test_a_bundle_that_runs_out_of_memory_is_trained_in_pieces(
    db: Database, process: TrainingProcess, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = submit(db, tiny())
    lab = Lab(monkeypatch, most=2, error=error)

    work_off(process)

    ended = runs_of(db, study_id)
    assert sorted(lab.sizes) == [2, 2, 2, 2, 4, 4]
    assert {run.state for run in ended} == {RunState.FINISHED}
    with db.read() as conn:
        assert len(measurements.samples(conn, study_id)) == 8 * 3 * 3  # runs, steps, tensors


def test_a_run_that_never_fits_ends_with_its_sentence_and_the_others_finish(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = submit(db, tiny())
    Lab(monkeypatch, never=[1])
    monkeypatch.setattr(environment, "free_bytes", lambda: 3 * 2**30)

    work_off(process)

    ended = runs_of(db, study_id)
    assert {run.state for run in ended if run.seed == 0} == {RunState.FINISHED}
    for run in ended:
        if run.seed == 1:
            assert (run.state, run.error_code) == (RunState.OUT_OF_MEMORY, "E_OUT_OF_MEMORY")
            assert "KiB by the plan, 3 GiB were free; take smaller widths" in str(run.error_text)
            assert "Tried to allocate 2.00 GiB" in str(run.error_text)


def test_what_does_not_fit_by_the_plan_is_never_tried_together(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = submit(db, tiny())
    lab = Lab(monkeypatch)
    free(monkeypatch, 3)

    work_off(process)

    ended = runs_of(db, study_id)
    assert lab.sizes == [4, 3, 1]  # as many of the smaller width need less
    assert {(run.state, run.attempts) for run in ended} == {(RunState.FINISHED, 1)}


def test_a_single_run_is_tried_whatever_the_plan_says(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = submit(db, tiny())
    lab = Lab(monkeypatch)
    monkeypatch.setattr(environment, "free_bytes", lambda: 1)

    work_off(process)

    assert lab.sizes == [1] * 8
    assert {run.state for run in runs_of(db, study_id)} == {RunState.FINISHED}


def test_a_cancel_before_the_training_is_obeyed(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = submit(db, tiny())
    lab = Lab(monkeypatch)

    def cancel() -> int:
        with db.write() as conn:
            studies.cancel(conn, study_id)
        return 1

    monkeypatch.setattr(environment, "free_bytes", cancel)

    work_off(process)

    assert lab.sizes == []
    assert {run.state for run in runs_of(db, study_id)} == {RunState.CANCELLED}


def test_in_process_the_same_runs_are_trained_in_bundles_that_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free(monkeypatch, 3)
    planned = plan.plan(tiny()).bundles
    pieces = in_process.fitting(planned)
    assert [len(piece.runs) for piece in pieces] == [4, 3, 1]
    assert [run for piece in pieces for run in piece.runs] == list(plan.runs(tiny()))
