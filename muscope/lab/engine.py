"""Trains runs of one shape as a stacked model and yields what was measured; nobody writes here."""

import math
import os
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from muscope.costs import BYTES_PER_FLOAT
from muscope.lab import feed, parametrize
from muscope.lab.environment import device
from muscope.lab.models import build
from muscope.lab.probes import Reading
from muscope.lab.stack import Outcome, Stack
from muscope.plan import activations, weights
from muscope.recording import RATIOS
from muscope.records import PLACES, Measurement, Progress, StepRecord, Values
from muscope.spec import RunSpec

CPU_STACK_BYTES = 128 * 2**20
"""Weights and activations of a stack on a CPU: larger ones run slower, as measured on 2 cores."""


def train(members: Sequence[RunSpec]) -> Iterator[StepRecord]:
    """Train runs of identical shape as one stacked model; yield a record at steps 0..steps.

    Step t is the forward after t updates. Values that are not finite are results: they are
    yielded, and the other members go on undisturbed.
    """
    _check_same_shape(members)
    return _train(tuple(members))


def set_threads(count: int) -> None:
    """Compute with that many threads; 0 takes all cores."""
    torch.set_num_threads(count or os.cpu_count() or 1)


def _train(members: tuple[RunSpec, ...]) -> Iterator[StepRecord]:
    stacks = _stacks(members)
    last = members[0].steps
    for step in range(last + 1):
        outcomes = [stack.measure() if step == last else stack.advance() for stack in stacks]
        yield _record(step, outcomes)


def _stacks(members: tuple[RunSpec, ...]) -> list[Stack]:
    """The members in stacks of nearly equal size."""
    run = members[0]
    spec = run.variant.model
    model = build(spec.name, run.width, run.depth, dict(spec.options))
    size = _stack_size(members)
    groups = [members[first : first + size] for first in range(0, len(members), size)]
    return [Stack(model, feed.of(group), group) for group in groups]


def _stack_size(members: tuple[RunSpec, ...]) -> int:
    """How many members are stepped together: all of them on a GPU, what stays fast on a CPU."""
    if device().type == "cuda":
        return len(members)
    run = members[0]
    batch_size = run.variant.model.batch_size
    elements = sum(weight.parameters for weight in weights(run)) + sum(
        entry.elements_per_example * batch_size for entry in activations(run)
    )
    most = max(1, CPU_STACK_BYTES // (BYTES_PER_FLOAT * elements))
    return math.ceil(len(members) / math.ceil(len(members) / most))


def _record(step: int, outcomes: list[Outcome]) -> StepRecord:
    """Everything crosses to the host here, in one copy."""
    readings = outcomes[0].readings
    table = torch.cat([_columns(outcome) for outcome in outcomes]).tolist()
    return StepRecord(
        step=step,
        measurements=tuple(
            Measurement(member, reading.tensor, reading.kind, values)
            for member, row in enumerate(table)
            for reading, values in zip(readings, _values(readings, row), strict=True)
        ),
        progress=tuple(Progress(member, row[0]) for member, row in enumerate(table)),
    )


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
        "model": run.variant.model.model_dump(),
        "operators": parametrize.operators(run),
        "optimizer": {"name": optimizer.name, "options": optimizer.options},
        "width": run.width,
        "depth": run.depth,
        "steps": run.steps,
        "record": run.record,
        "batches": run.batches,
    }
