"""Trains runs of one shape as a stacked model and yields what was measured; nobody writes here."""

import math
import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from muscope.lab import allocator, parametrize
from muscope.lab.ensemble import Ensemble, Part
from muscope.lab.environment import device
from muscope.lab.probes import Reading
from muscope.lab.stack import Outcome
from muscope.recording import RATIOS
from muscope.records import PLACES, Extra, Measurement, Progress, StepRecord, Values
from muscope.spec import RunSpec

NAN = float("nan")

Stop: TypeAlias = Callable[[StepRecord], Collection[int]]
"""Shown a record, it names the members that end with it."""


def train(members: Sequence[RunSpec], stop: Stop | None = None) -> Iterator[StepRecord]:
    """Train runs of identical shape as one stacked model; yield a record at steps 0..steps.

    Step t is the forward after t updates. Values that are not finite are results: they are
    yielded, and the other members go on undisturbed. `stop` is shown each record while
    steps follow, and names members that end with it: later records hold nothing of them.
    """
    _check_same_shape(members)
    return _train(tuple(members), stop)


def set_threads(count: int) -> None:
    """Compute with that many threads, 0 takes all cores; keep the memory that a step needs."""
    torch.set_num_threads(count or os.cpu_count() or 1)
    allocator.keep_freed()


def _train(members: tuple[RunSpec, ...], stop: Stop | None) -> Iterator[StepRecord]:
    """On a GPU one step behind, so that it has work while the host reads."""
    ensemble, last, lag = Ensemble(members), members[0].steps, int(device().type == "cuda")
    waiting: deque[_Transfer] = deque()
    left = list(range(len(members)))
    for step in range(last + 1):
        parts = ensemble.measure() if step == last else ensemble.advance()
        waiting.append(_Transfer(step, parts))
        if len(waiting) > lag and step != last:
            record = waiting.popleft().record(left)
            ensemble.leave_out(_diverged(record))
            stopped = stop(record) if stop is not None else ()
            left = [place for place in left if place not in stopped]
            if stopped and left:
                ensemble.drop(stopped)
            yield record
            if not left:
                return
    held_out = _held_out(ensemble, members[0])
    while waiting:
        yield waiting.popleft().record(left, held_out if len(waiting) == 0 else {})


def _held_out(ensemble: Ensemble, run: RunSpec) -> dict[int, float]:
    return ensemble.held_out_losses(run.held_out) if run.held_out else {}


def _diverged(record: StepRecord) -> list[int]:
    return [entry.member for entry in record.progress if math.isnan(entry.train_loss)]


class _Transfer:
    """What a step gave, on its way to the host in one copy."""

    def __init__(self, step: int, parts: Sequence[Part]) -> None:
        self._step, readings = step, parts[0].outcome.readings
        self._readings = [reading for reading in readings if not reading.plugged]
        self._plugged = [reading for reading in readings if reading.plugged]
        self._places = [place for part in parts for place in part.places]
        table = torch.cat([_columns(part.outcome) for part in parts])
        self._table, self._arrived = _on_its_way(table)

    def record(
        self, members: Sequence[int], held_out: Mapping[int, float] | None = None
    ) -> StepRecord:
        """As everyone reads it, of these members; of those left out every number is nan."""
        if self._arrived is not None:
            self._arrived.synchronize()
        rows = dict(zip(self._places, self._table.tolist(), strict=True))
        lost = [NAN] * self._table.shape[1]
        table = [(place, rows.get(place, lost)) for place in members]
        return StepRecord(
            step=self._step,
            measurements=tuple(
                Measurement(member, reading.tensor, reading.kind, values)
                for member, row in table
                for reading, values in zip(
                    self._readings, _values(self._readings, row), strict=True
                )
            ),
            extras=tuple(
                extra for member, row in table for extra in _extras(self._plugged, member, row)
            ),
            progress=tuple(
                Progress(member, row[0], held_out.get(member, NAN) if held_out else None)
                for member, row in table
            ),
        )


def _on_its_way(table: Tensor) -> tuple[Tensor, "torch.cuda.Event | None"]:
    """The table on the host, and what to wait for before it is read."""
    if table.device.type != "cuda":
        return table, None
    host = torch.empty(table.shape, dtype=table.dtype, pin_memory=True)
    host.copy_(table, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record()
    return host, arrived


def _columns(outcome: Outcome) -> Tensor:
    """The loss and every statistic: (members, columns), float64."""
    statistics = [reading.values for reading in outcome.readings]
    return torch.cat([outcome.losses.double()[:, None], *statistics], dim=1)


def _values(readings: Sequence[Reading], row: Sequence[float]) -> Iterator[Values]:
    """The statistics of one member, reading by reading; a ratio of zeros is no number."""
    column = 1  # after the loss
    for reading in readings:
        values: list[float | None] = [None] * len(PLACES)
        for statistic in reading.statistics:
            value = row[column]
            if statistic not in RATIOS or math.isfinite(value):
                values[PLACES[statistic]] = value
            column += 1
        yield Values._make(values)


def _extras(readings: Sequence[Reading], member: int, row: Sequence[float]) -> Iterator[Extra]:
    """The statistics of plugins, which are the last columns."""
    pairs = [(reading, name) for reading in readings for name in reading.plugged]
    for (reading, name), value in zip(pairs, row[len(row) - len(pairs) :], strict=True):
        yield Extra(member, reading.tensor, reading.kind, name, value)


def _check_same_shape(members: Sequence[RunSpec]) -> None:
    """Only scalars may differ; the error names what else does."""
    if not members:
        raise ValueError("nothing to train: `members` is empty; give at least one run")
    shapes = [_shape(member) for member in members]
    for member, shape in enumerate(shapes):
        for name, value in shape.items():
            if value != shapes[0][name]:
                raise ValueError(
                    f"member {member} has {name} {value} where member 0 has {shapes[0][name]}; "
                    "members trained together may differ in parametrization (of the same "
                    "operators), learning rate, base and seed only"
                )


def _shape(run: RunSpec) -> dict[str, object]:
    optimizer = run.variant.optimizer
    return {
        "model": run.model.model_dump(),
        "operators": parametrize.operators(run),
        "optimizer": {"name": optimizer.name, "options": optimizer.options},
        "width": run.width,
        "depth": run.depth,
        "steps": run.steps,
        "record": run.record,
        "record_every": run.record_every,
        "batches": run.batches,
        "held_out": run.held_out,
        "statistics": run.statistics,
    }
