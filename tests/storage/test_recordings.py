"""What recorders send is written exactly once, whatever the network makes of it."""

import itertools
import math
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from muscope.ingest import LAST_STEP, Batch, Closing
from muscope.recorded import RecordedSpec
from muscope.records import Sample
from muscope.storage import doctor, measurements, recordings, studies
from muscope.storage.database import Database
from muscope.vocabulary import Role, RunState, StudyState
from tests.storage.recorded import TENSORS, add, batch, begin, close, opening, whole


def samples(db: Database, study_id: str) -> list[Sample]:
    with db.read() as conn:
        return measurements.samples(conn, study_id)


@contextmanager
def limited_to_mib(more: int) -> Iterator[None]:
    """Let this process take only so much more address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + more * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def study(db: Database, study_id: str) -> studies.StudyRow:
    with db.read() as conn:
        found = studies.get(conn, study_id)
    assert found is not None
    return found


def test_recordings_with_one_key_are_one_study_that_knows_its_grid(db: Database) -> None:
    places = itertools.product((64, 256), (7, 1234))
    ids = {whole(db, opening(width=width, seed=seed)) for width, seed in places}
    (study_id,) = ids
    found = study(db, study_id)
    assert isinstance(found.spec, RecordedSpec)
    assert (found.spec.widths, found.spec.seeds, found.spec.run_count) == ((64, 256), 2, 4)
    assert found.state is StudyState.FINISHED
    assert len(samples(db, study_id)) == 4 * 3 * 2


def test_every_delivery_twice_and_in_any_order_leaves_each_row_once(db: Database) -> None:
    what = opening()
    study_id = begin(db, what).study_id
    for seq in (2, 0, 2, 1, 0):
        assert begin(db, what).study_id == study_id
        add(db, what, batch(seq))
    assert [close(db, what, 3).was_known for _ in range(2)] == [False, True]
    assert [add(db, what, batch(seq)).was_known for seq in range(3)] == [True] * 3
    found = [(sample.step, sample.tensor) for sample in samples(db, study_id)]
    assert found == [(step, name) for step in range(3) for name in ("embed", "hidden")]


def test_a_batch_that_contradicts_another_is_refused_whole(db: Database) -> None:
    what = opening()
    study_id = begin(db, what).study_id
    add(db, what, batch(0))
    with pytest.raises(recordings.Conflict, match=r"batch 0 .* other content"):
        add(db, what, batch(0, last=2.0))
    same_key = batch(0, last=3.0).model_copy(update={"seq": 1})
    with pytest.raises(recordings.Conflict, match="already stored"):
        add(db, what, same_key)
    assert len(samples(db, study_id)) == 2
    close(db, what, 1)


def test_a_recording_ends_when_all_of_it_has_been_counted(db: Database) -> None:
    what = opening()
    study_id = begin(db, what).study_id
    add(db, what, batch(1))
    with pytest.raises(recordings.Incomplete, match="1 of 2 batches have not arrived: 0"):
        close(db, what, 2)
    assert study(db, study_id).state is StudyState.RUNNING
    add(db, what, batch(0))
    close(db, what, 2)
    with pytest.raises(recordings.Closed, match="closed before"):
        add(db, what, batch(2))


def test_a_count_that_is_as_large_as_it_may_be_costs_nothing(db: Database) -> None:
    """The numbers 0 to 2³¹ − 2 as a set are more than the memory of a server."""
    what = opening()
    begin(db, what)
    add(db, what, batch(1))
    most = f"{LAST_STEP - 1} of .*: 0, 2, 3, 4"
    with limited_to_mib(64), pytest.raises(recordings.Incomplete, match=most):
        close(db, what, LAST_STEP)


def test_losses_and_empty_batches_count_and_what_comes_twice_is_stored_once(db: Database) -> None:
    what = opening()
    study_id = begin(db, what).study_id
    add(db, what, batch(0))
    add(db, what, batch(0).model_copy(update={"seq": 1}))
    add(db, what, Batch(seq=2))
    with db.read() as conn:
        assert recordings.rows(conn, study_id) == 2 * (len(TENSORS) + 1) + 1
    with db.write() as conn:
        recordings.close(conn, what.recording, Closing(batches=3, rows=len(TENSORS)))
    with db.read() as conn:
        assert doctor.violations(conn) == []


def test_what_is_not_finite_is_a_result(db: Database) -> None:
    what = opening()
    study_id = begin(db, what).study_id
    for seq, last in enumerate((1.0, math.inf, math.nan)):
        add(db, what, batch(seq, last=last))
    close(db, what, 3)
    with db.read() as conn:
        (run,) = studies.runs(conn, study_id)
    assert (run.state, run.first_nonfinite_step) == (RunState.DIVERGED, 1)
    assert run.first_nonfinite_tensor == "hidden"
    assert [sample.values.l1 for sample in samples(db, study_id)][3] == math.inf


def test_a_place_recorded_to_its_end_begins_a_study_anew(db: Database) -> None:
    first = whole(db, opening())
    second = whole(db, opening(name="again"))
    other = whole(db, opening(width=128))
    assert first != second == other
    assert len(samples(db, first)) == 6


@pytest.mark.parametrize("how", [None, {"ended": "failed", "reason": "RuntimeError: no"}])
def test_what_did_not_come_to_its_end_gives_way(db: Database, how: dict[str, str] | None) -> None:
    first, again = opening(), opening(name="again")
    study_id = begin(db, first).study_id
    add(db, first, batch(0))
    if how:
        close(db, first, 1, **how)
    assert begin(db, again).study_id == study_id
    with pytest.raises(recordings.Closed):
        add(db, first, batch(1))
    for seq in range(2):
        add(db, again, batch(seq, last=9.0))
    close(db, again, 2)
    assert {sample.values.l1 for sample in samples(db, study_id)} == {1.0, 9.0}
    found = study(db, study_id)
    assert (found.state, found.runs) == (StudyState.FINISHED, 1)


def test_cancelling_ends_what_is_recorded_and_keeps_its_rows(db: Database) -> None:
    what = opening()
    study_id = begin(db, what).study_id
    add(db, what, batch(0))
    with db.write() as conn:
        studies.cancel(conn, study_id)
    assert study(db, study_id).state is StudyState.CANCELLED
    with pytest.raises(recordings.Closed, match="cancelled"):
        add(db, what, batch(1))
    assert len(samples(db, study_id)) == 2
    assert begin(db, opening(width=128)).study_id != study_id


def test_a_tensor_keeps_its_role_and_a_variant_its_facts(db: Database) -> None:
    what = opening()
    begin(db, what)
    add(db, what, batch(0))
    wrong = batch(1).model_copy(
        update={
            "tensors": tuple(t.model_copy(update={"role": Role.OUTPUT}) for t in batch(1).tensors)
        }
    )
    with pytest.raises(recordings.Conflict, match=r"embed \(was embedding, now output\)"):
        add(db, what, wrong)
    other = opening(width=128)
    tied = other.model_copy(update={"variant": other.variant.model_copy(update={"tied": True})})
    with pytest.raises(recordings.Conflict, match="other facts"):
        begin(db, tied)


def test_recorders_that_begin_at_once_make_one_study(db: Database) -> None:
    ids: list[str] = []
    barrier = threading.Barrier(4)

    def start(seed: int) -> None:
        barrier.wait()
        ids.append(begin(db, opening(seed=seed)).study_id)

    threads = [threading.Thread(target=start, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1
