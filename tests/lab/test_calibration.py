"""What a calibration and a watch measure: numbers that can be true, of this very process."""

import itertools
from collections.abc import Iterator

import pytest
import torch

from muscope.lab import calibration, environment
from muscope.lab.environment import PeakMemory
from muscope.lab.watch import Watch
from muscope.records import StepRecord
from tests import needs
from tests.core.machines import ROUND


def test_a_machine_is_measured_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CPU_PRODUCTS", "BFLOAT16_PRODUCTS", "DECOMPOSED"):
        monkeypatch.setattr(calibration, name, (8, 16))
    monkeypatch.setattr(calibration, "TENSOR_BYTES", (2**10, 2**12))
    machine = calibration.calibrate()

    assert environment.describe().is_of(machine)
    curves = (machine.products, machine.products_bfloat16, machine.traffic, machine.eigenvectors)
    assert all(speed > 0 for curve in (*curves, machine.qr) for _, speed in curve)
    assert all(
        0 < low < high for curve in curves for (low, _), (high, _) in itertools.pairwise(curve)
    )
    assert machine.draws > 0
    assert machine.operation_s > 0


def test_the_median_counts_and_the_first_time_does_not() -> None:
    times = iter([0.0, 5.0, 10.0, 11.0, 20.0, 21.0])  # three runs: 5, 1 and 1
    assert calibration._seconds(lambda: None, lambda: next(times)) == 1.0


def test_another_number_of_threads_is_another_machine() -> None:
    here = environment.describe()
    update = {"device": here.device, "threads": here.threads, "torch_version": here.torch_version}
    mine = ROUND.model_copy(update=update)
    assert here.is_of(mine)
    assert not here.is_of(mine.model_copy(update={"threads": here.threads + 1}))


def test_the_peak_is_that_of_the_work_and_earlier_peaks_are_forgotten() -> None:
    size = 64 * 2**20
    torch.ones(2 * size // 4)  # gone at once
    memory = PeakMemory()
    if memory.bytes() is None:
        needs.missing("this system does not tell the peak of a part of a process")
    torch.ones(size // 4)
    found = memory.bytes()
    assert found is not None
    # what torch and Python take beside it in the meantime is far below 16 MiB
    assert size - 2**20 <= found <= size + 16 * 2**20


def test_a_watch_counts_the_first_step_apart_and_not_what_is_done_with_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("muscope.lab.watch.time.monotonic", lambda: now)

    def records() -> Iterator[StepRecord]:
        nonlocal now
        for step, took in enumerate((5.0, 1.0, 2.0)):
            now += took
            yield StepRecord(step, (), ())

    watch = Watch()
    for _ in watch.over(records()):
        now += 100.0  # the recorder's
    assert (watch._warm_up_s, watch._train_s) == (5.0, 3.0)
