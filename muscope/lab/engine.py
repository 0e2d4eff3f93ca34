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
from muscope.lab.snapshot import Columns, Snapshot, Waiting
from muscope.lab.stack import Outcome
from muscope.recording import RATIOS
from muscope.records import PLACES, Extra, Measurement, Progress, StepRecord, Values
from muscope.spec import RunSpec

NAN = float("nan")
NOT_ASKED = -1.0
"""Stands for the norm of a gradient that was not taken."""

Stop: TypeAlias = Callable[[StepRecord], Collection[int]]
"""Shown a record, it names the members that end with it."""


def train(
    members: Sequence[RunSpec], stop: Stop | None = None, start: Snapshot | None = None
) -> "Training":
    """Train runs of identical shape as one stacked model; yield a record at steps 0..steps.

    Step t is the forward after t updates. Values that are not finite are results: they are
    yielded, and the other members go on undisturbed. `stop` is shown each record while
    steps follow, and names members that end with it: later records hold nothing of them.

    With `start` the records are those that followed when that snapshot was taken: the same numbers
    on the same device, if `stop` knows what it knew then.
    """
    _check_same_shape(members)
    return Training(tuple(members), stop, start)


def set_threads(count: int) -> None:
    """Compute with that many threads, 0 takes all cores; keep the memory that a step needs."""
    torch.set_num_threads(count or os.cpu_count() or 1)
    allocator.keep_freed()


class Training(Iterator[StepRecord]):
    """The records of a training, each computed when it is asked for.

    On a GPU they come one step behind, so that it has work while the host reads.
    """

    def __init__(
        self, members: tuple[RunSpec, ...], stop: Stop | None, start: Snapshot | None
    ) -> None:
        self._members, self._stop = members, stop
        self._step, self._left = 0, list(range(len(members)))
        self._waiting: deque[_Transfer] = deque()
        self._ensemble: Ensemble | None = None
        if start is not None:
            self._step, self._left = start.step, list(start.left)
            self._waiting.extend(_Transfer.resumed(waiting) for waiting in start.waiting)
            self._ensemble = Ensemble(members, start)
        self._records = self._trained()

    def __next__(self) -> StepRecord:
        return next(self._records)

    def snapshot(self) -> Snapshot:
        """What it takes to go on after the latest record; it is that of this moment only."""
        if self._ensemble is None:
            raise ValueError("there is nothing to go on with before the first record")
        waiting = tuple(one.kept() for one in self._waiting)
        return Snapshot(self._step, tuple(self._left), self._ensemble.kept(), waiting)

    def _trained(self) -> Iterator[StepRecord]:
        last, lag = self._members[0].steps, int(device().type == "cuda")
        ensemble = self._ensemble = self._ensemble or Ensemble(self._members)
        while self._step <= last:
            step = self._step
            parts = ensemble.measure() if step == last else ensemble.advance()
            self._step += 1
            self._waiting.append(_Transfer.of(step, parts))
            if len(self._waiting) > lag and step != last:
                record = self._waiting.popleft().record(self._left)
                ensemble.leave_out(_diverged(record))
                stopped = self._stop(record) if self._stop is not None else ()
                self._left = [place for place in self._left if place not in stopped]
                if stopped and self._left:
                    ensemble.drop(stopped)
                yield record
                if not self._left:
                    return
        held_out = _held_out(ensemble, self._members[0])
        while self._waiting:
            waiting = self._waiting.popleft()
            yield waiting.record(self._left, held_out if not self._waiting else {})


def _held_out(ensemble: Ensemble, run: RunSpec) -> dict[int, float]:
    return ensemble.held_out_losses(run.held_out) if run.held_out else {}


def _diverged(record: StepRecord) -> list[int]:
    return [entry.member for entry in record.progress if math.isnan(entry.train_loss)]


class _Transfer:
    """What a step gave, on its way to the host in one copy."""

    def __init__(
        self, step: int, places: Sequence[int], columns: Sequence[Columns], table: Tensor
    ) -> None:
        self._step, self._places, self._columns = step, places, columns
        self._own = [of for of in columns if not of.plugged]
        self._plugged = [of for of in columns if of.plugged]
        self._table, self._arrived = _on_its_way(table)

    @classmethod
    def of(cls, step: int, parts: Sequence[Part]) -> "_Transfer":
        """That of the readings of all parts, which have the same columns."""
        columns = [
            Columns(of.kind, of.tensor, of.statistics, of.plugged)
            for of in parts[0].outcome.readings
        ]
        places = [place for part in parts for place in part.places]
        return cls(step, places, columns, torch.cat([_columns(part.outcome) for part in parts]))

    @classmethod
    def resumed(cls, kept: Waiting) -> "_Transfer":
        """One that has arrived, as it was kept."""
        return cls(kept.step, kept.places, kept.columns, kept.table)

    def kept(self) -> Waiting:
        """All of it, once it has arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return Waiting(self._step, tuple(self._places), tuple(self._columns), self._table)

    def record(
        self, members: Sequence[int], held_out: Mapping[int, float] | None = None
    ) -> StepRecord:
        """As everyone reads it, of these members; of those left out every number is nan."""
        if self._arrived is not None:
            self._arrived.synchronize()
        rows = dict(zip(self._places, self._table.tolist(), strict=True))
        lost = [NAN, NOT_ASKED, *[NAN] * (self._table.shape[1] - 2)]
        table = [(place, rows.get(place, lost)) for place in members]
        return StepRecord(
            step=self._step,
            measurements=tuple(
                Measurement(member, of.tensor, of.kind, values)
                for member, row in table
                for of, values in zip(self._own, _values(self._own, row), strict=True)
            ),
            extras=tuple(
                extra for member, row in table for extra in _extras(self._plugged, member, row)
            ),
            progress=tuple(
                Progress(
                    member,
                    row[0],
                    held_out.get(member, NAN) if held_out else None,
                    None if row[1] == NOT_ASKED else row[1],
                )
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
    """The loss, the gradient's norm and every statistic: (members, columns), float64."""
    statistics = [reading.values for reading in outcome.readings]
    losses, norms = outcome.losses.double(), outcome.gradient_norms
    norms = torch.full_like(losses, NOT_ASKED) if norms is None else norms
    return torch.cat([losses[:, None], norms[:, None], *statistics], dim=1)


def _values(columns: Sequence[Columns], row: Sequence[float]) -> Iterator[Values]:
    """The statistics of one member, tensor by tensor; a ratio of zeros is no number."""
    column = 2  # after the loss and the gradient's norm
    for of in columns:
        values: list[float | None] = [None] * len(PLACES)
        for statistic in of.statistics:
            value = row[column]
            if statistic not in RATIOS or math.isfinite(value):
                values[PLACES[statistic]] = value
            column += 1
        yield Values._make(values)


def _extras(columns: Sequence[Columns], member: int, row: Sequence[float]) -> Iterator[Extra]:
    """The statistics of plugins, which are the last columns."""
    pairs = [(of, name) for of in columns for name in of.plugged]
    for (of, name), value in zip(pairs, row[len(row) - len(pairs) :], strict=True):
        yield Extra(member, of.tensor, of.kind, name, value)


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
        "gradient_norm": run.gradient_norm,
        "statistics": run.statistics,
    }
