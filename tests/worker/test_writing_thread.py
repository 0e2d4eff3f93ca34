"""What is handed over is written once and in order, within bounds, or its giver hears why not."""

import threading
from collections.abc import Sequence

import pytest

from muscope.records import Progress, StepRecord
from muscope_worker import writing_thread
from muscope_worker.writing_thread import WritingThread

ROWS = 2
"""Of one record: its loss, and itself."""


def record(step: int) -> StepRecord:
    return StepRecord(step, (), (Progress(0, 1.0),))


class Sink:
    """Notes what is written; may be slow, or fail at a step."""

    def __init__(self, *, slow_s: float = 0.0, fails_at: int | None = None) -> None:
        self.batches: list[list[int]] = []
        self.given = 0
        self.most_on_their_way = 0
        self._slow_s, self._fails_at = slow_s, fails_at

    def write(self, records: Sequence[StepRecord]) -> None:
        threading.Event().wait(self._slow_s)
        self.most_on_their_way = max(self.most_on_their_way, self.given - len(self.steps))
        steps = [entry.step for entry in records]
        if self._fails_at in steps:
            raise ValueError(f"step {self._fails_at} cannot be written")
        self.batches.append(steps)

    @property
    def steps(self) -> list[int]:
        """All that has been written."""
        return [step for batch in self.batches for step in batch]

    def give(self, thread: WritingThread, steps: Sequence[int]) -> None:
        """Hand over these steps, one after another."""
        for step in steps:
            thread.put(record(step))
            self.given += 1


def written(sink: Sink, steps: Sequence[int]) -> Sink:
    """The sink after all of it."""
    thread = WritingThread(sink.write)
    thread.start()
    sink.give(thread, steps)
    thread.finish()
    return sink


@pytest.fixture
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its first transaction the thread waits until it must not."""
    monkeypatch.setattr(writing_thread, "PAUSE_S", 3600.0)


def test_all_is_written_once_and_in_order() -> None:
    assert written(Sink(), range(200)).steps == list(range(200))


@pytest.mark.usefixtures("no_hurry")
def test_short_steps_share_a_transaction() -> None:
    sink = Sink()
    began = threading.Event()

    def write(records: Sequence[StepRecord]) -> None:
        sink.write(records)
        began.set()

    thread = WritingThread(write)
    thread.start()
    for step in range(5):
        sink.give(thread, [step])
        assert began.wait(10.0)
        threading.Event().wait(0.01)  # as training does; the thread would have the time to write
    thread.finish()
    assert sink.batches == [[0], [1, 2, 3, 4]]


@pytest.mark.usefixtures("no_hurry")
def test_much_that_waits_is_written_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing_thread, "ROWS_AT_ONCE", 5 * ROWS)
    enough = threading.Event()
    sink = Sink()

    def write(records: Sequence[StepRecord]) -> None:
        sink.write(records)
        if len(sink.steps) > 5:
            enough.set()

    thread = WritingThread(write)
    thread.start()
    sink.give(thread, range(20))
    assert enough.wait(10.0)
    thread.finish()
    assert max(map(len, sink.batches)) <= 5


@pytest.mark.usefixtures("no_hurry")
def test_training_waits_while_too_much_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing_thread, "ROWS_AT_ONCE", 2 * ROWS)
    monkeypatch.setattr(writing_thread, "ROWS_WAITING", 6 * ROWS)
    sink = written(Sink(slow_s=0.005), range(40))
    assert sink.steps == list(range(40))
    assert sink.most_on_their_way <= 6


@pytest.mark.usefixtures("no_hurry")
def test_a_record_larger_than_all_room_is_written_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing_thread, "ROWS_WAITING", ROWS - 1)
    assert written(Sink(), range(5)).batches == [[step] for step in range(5)]


def test_a_step_that_comes_again_has_a_transaction_of_its_own() -> None:
    sink = written(Sink(slow_s=0.01), [0, 1, 2, 0, 1, 2, 2])
    assert sink.steps == [0, 1, 2, 0, 1, 2, 2]
    assert all(batch == sorted(set(batch)) for batch in sink.batches)


def test_who_waits_for_room_hears_what_stopped_the_writing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing_thread, "ROWS_WAITING", 3 * ROWS)
    sink = Sink(slow_s=0.01, fails_at=4)
    thread = WritingThread(sink.write)
    thread.start()
    with pytest.raises(ValueError, match="step 4"):
        sink.give(thread, range(100))
    with pytest.raises(ValueError, match="step 4"):
        thread.finish()
    assert sink.steps == list(range(len(sink.steps)))
    assert sink.given < 100


def test_what_fails_last_is_heard_at_the_end() -> None:
    with pytest.raises(ValueError, match="step 9"):
        written(Sink(slow_s=0.01, fails_at=9), range(10))
