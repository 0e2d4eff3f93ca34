"""One run of a user's model: steps of its optimizer, with every tensor measured in the forward."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from muscope.lab.own.capture import Capture, Seen, eager
from muscope.lab.own_model import users_code
from muscope.own_model.tensors import Face, OwnTensor
from muscope.records import Values

_Key = tuple[str, Face]


class Stepper(Protocol):
    """What updates the parameters: torch's optimizers and their kin."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def step(self) -> object:
        """Update the parameters."""


@dataclass(frozen=True, slots=True)
class OwnStep:
    """What one step of one run gave; `reshaped` are tensors of another shape than at step 0."""

    step: int
    loss: float
    values: Mapping[str, Values]
    reshaped: tuple[str, ...] = ()


def train(
    model: nn.Module,
    steppers: Sequence[Stepper],
    loss: Callable[[nn.Module], Tensor],
    wanted: Sequence[OwnTensor],
    steps: int,
    *,
    seed: int,
) -> Iterator[OwnStep]:
    """Yield steps 0 to `steps`; step t is the forward after t updates.

    Every forward has the same random numbers, so that a dropout mask is no change.
    """
    names = {(tensor.met, tensor.face): tensor.name for tensor in wanted}
    gauge = Gauge(names)
    for step in range(steps + 1):
        torch.manual_seed(seed)
        gauge.begin()
        with eager(), Capture(model, gauge.take):
            value = loss(model)
        yield OwnStep(step, float(value.detach()), gauge.values(), tuple(gauge.reshaped))
        if step < steps:
            _update(steppers, value)


def _update(steppers: Sequence[Stepper], loss: Tensor) -> None:
    for stepper in steppers:
        stepper.zero_grad()
    with users_code("the backward raised"):
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
    with users_code("the optimizer raised"):
        for stepper in steppers:
            stepper.step()


class Gauge:
    """Measures tensors while they are valid, and keeps those of step 0 to compare with."""

    def __init__(self, names: Mapping[_Key, str]) -> None:
        self._names = names
        self._first: dict[_Key, Tensor] = {}
        self._columns: dict[_Key, Tensor] = {}
        self._is_first = True
        self.reshaped: set[str] = set()

    def begin(self) -> None:
        """A new forward: the one before, if any, was that of step 0 or later."""
        self._is_first = not self._first
        self._columns = {}

    def take(self, seen: Seen) -> None:
        """Measure one tensor, if it is wanted."""
        key = (seen.name, seen.face)
        if key not in self._names:
            return
        value = seen.value.detach()
        if self._is_first:
            self._first[key] = value.clone()
        change = None
        if not self._is_first:
            first = self._first.get(key)
            if first is None or first.shape != value.shape:
                self.reshaped.add(self._names[key])
            else:
                change = (value.float() - first.float()).abs().mean()
        self._columns[key] = _column(value.float(), change)

    def values(self) -> dict[str, Values]:
        """All that was measured in this forward, in one copy to the host."""
        if not self._columns:
            return {}
        table = torch.stack([column.cpu() for column in self._columns.values()]).tolist()
        return {
            self._names[key]: Values(
                l1=l1, rms=rms, change=None if self._is_first or key not in self._first else change
            )
            for key, (l1, rms, change) in zip(self._columns, table, strict=True)
            if self._names[key] not in self.reshaped
        }


def _column(value: Tensor, change: Tensor | None) -> Tensor:
    """mean |x|, sqrt(mean x^2), mean |x - x_0|: right to a relative 1e-6, as probes are."""
    rows = torch.linalg.vector_norm(value, dim=-1).double()
    rms = (rows.square().mean() / value.shape[-1]).sqrt()
    moved = torch.zeros_like(rms) if change is None else change.double()
    return torch.stack([value.abs().mean().double(), rms, moved])


def same_start(models: Collection[nn.Module]) -> bool:
    """Whether models have equal parameters."""
    first, *others = [list(model.parameters()) for model in models]
    return all(len(first) == len(other) and all(map(torch.equal, first, other)) for other in others)
