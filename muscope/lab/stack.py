"""Members of one shape stepped as one: every weight has a leading dimension that counts them."""

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.func import vmap
from torch.linalg import vector_norm

from muscope import costs
from muscope.catalogue import OPTIMIZERS, WeightEntry, with_defaults
from muscope.lab import curvature, optimizers, parametrize, precision, probes, sharing, starting
from muscope.lab.environment import device
from muscope.lab.feed import Feed, Source
from muscope.lab.members import Chosen, of_list, of_tensor, of_tensors
from muscope.lab.models.model import Batch, Model
from muscope.lab.models.operators import READOUT, Parameters
from muscope.lab.models.unit_scaled import OPERATORS
from muscope.lab.observer import Observer, Seen
from muscope.lab.optimizers.optimizer import CurvatureOptimizer, State
from muscope.lab.probes import Reading
from muscope.plan import weights
from muscope.recording import STATISTICS
from muscope.spec import RunSpec
from muscope.theory import schedules
from muscope.vocabulary import UpdateFamily

log = logging.getLogger(__name__)

READ_AT_ONCE = 2**25
"""Elements for which loading what reads them faster is worth it: that takes half a second once, and
saves 1 ns of each; few runs come alone. It depends on the run only, as its numbers do."""

Dimensions: TypeAlias = Batch | int | None
"""Which dimension of a batch counts the members, part by part where they differ."""


class Forward(NamedTuple):
    """What a forward leaves beside its loss: activations, and inputs of weights if asked."""

    activations: dict[str, Tensor]
    inputs: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step gave: losses (members,), and the readings if the step is recorded.

    `gradient_norms` are there where they were asked for and a gradient was taken: (members,).
    """

    losses: Tensor
    readings: tuple[Reading, ...]
    gradient_norms: Tensor | None = None

    def select(self, chosen: Chosen) -> "Outcome":
        """That of these members."""
        readings = (reading._replace(values=reading.values[chosen]) for reading in self.readings)
        norms = None if self.gradient_norms is None else self.gradient_norms[chosen]
        return Outcome(self.losses[chosen], tuple(readings), norms)


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is measured and not yet taken; a gradient leaves when its weight is stepped."""

    outcome: Outcome
    gradients: dict[str, Tensor]

    def select(self, chosen: Chosen) -> "Due":
        """That of these members."""
        return Due(self.outcome.select(chosen), of_tensors(self.gradients, chosen))


class Stack:
    """Members with their weights, the optimizer's state, and who observes them.

    `places` says where they stand in the bundle. Until the first update it holds the weights only
    of members that start differently: `kinds` has the place of each member's own.
    """

    def __init__(
        self,
        model: Model,
        source: Source,
        bundle: Sequence[RunSpec],
        places: Sequence[int] | None = None,
    ) -> None:
        self.places = list(range(len(bundle)) if places is None else places)
        members = [bundle[place] for place in self.places]
        run, optimizer = members[0], members[0].variant.optimizer
        scales = sharing.scales(members)
        firsts, kinds = sharing.distinct(sharing.starts(members, scales))
        self.model = model
        self.entries = {entry.name: entry for entry in weights(run)}
        self.operators = OPERATORS[parametrize.operators(run)]
        self.precision = precision.of(run)
        self.parameters = starting.parameters(
            self.entries, of_list(members, firsts), of_list(scales, firsts)
        )
        self.kinds: Tensor | None = kinds
        self.feed = Feed(source, [members[first].seed for first in firsts])
        self.observer = Observer(
            run.record,
            self.entries,
            self.parameters.multipliers,
            run.statistics,
            _leveled(run, self.entries.values()),
        )
        self.rates = {name: starting.rates(name, members, scales) for name in self.entries}
        self.optimizers = {
            name: optimizers.build(optimizer.name, dict(optimizer.options), entry.role)
            for name, entry in self.entries.items()
        }
        self.curious = {
            name: optimizer
            for name, optimizer in self.optimizers.items()
            if isinstance(optimizer, CurvatureOptimizer)
        }
        self.state: dict[str, State] = {}
        described = OPTIMIZERS[optimizer.name]
        self.optimizer_options = with_defaults(dict(optimizer.options), described.options)
        self.decay, self.steps, self.step = described.decay, run.steps, 0
        self.reading = _reading(run)
        self.recorded = frozenset(run.recorded_steps if STATISTICS[run.record] else ())
        self.wants_norms = run.gradient_norm
        self.is_together = True
        self._due: Due | None = None

    def measure(self) -> Outcome:
        """The losses and statistics of a forward, without an update."""
        if self._is_recorded and self.observer.needs_gradients:
            return self._differentiated()[0].outcome
        with torch.no_grad():
            batch = self.feed.at(self.step)
            losses, forward = self._losses(*self.parameters, batch, self.feed.dimension)
        return self._outcome(losses, forward, {})

    def advance(self) -> Outcome:
        """The losses and statistics of a forward, then one update.

        What failed for want of memory may be asked for again, of this stack or of its halves.
        """
        if self._due is None:
            self._due = self._prepared()
        if self.kinds is not None:
            self._spread(self.kinds)
        if len(self._due.gradients) == len(self.entries):  # else this was tried before
            is_next_recorded = self.step + 1 in self.recorded
            self.observer.before_update(self.parameters.weights if is_next_recorded else {})
        self._update(self._due.gradients)
        outcome, self._due = self._due.outcome, None
        return outcome

    def held_out_losses(self, batches: int) -> Tensor:
        """The mean loss on so many held-out batches: (members,), float64."""
        found = []
        with torch.no_grad():
            for batch in self.feed.held_out(batches):
                losses, _ = self._losses(*self.parameters, batch, None)
                found.append(losses.double())
        return torch.stack(found).mean(0)

    def are_lost(self) -> Tensor:
        """Whether every weight of a member holds a nan, (members,): then all that follows does."""
        weights = self.parameters.weights.values()  # a sum would be nan of infinities too
        return torch.stack([weight.flatten(1).isnan().any(1) for weight in weights]).all(0)

    def select(self, chosen: Chosen) -> "Stack":
        """A stack of these members, at the same step."""
        found = copy.copy(self)
        found.places = of_list(self.places, chosen)
        found.rates = {name: rates.select(chosen) for name, rates in self.rates.items()}
        if self.kinds is not None:
            kinds, found.kinds = torch.unique(self.kinds[chosen], return_inverse=True)
            return found._selected_from(self, kinds)
        return found._selected_from(self, chosen)

    def halves(self) -> tuple["Stack", "Stack"]:
        """Two stacks of half the members each."""
        half = (len(self.places) + 1) // 2
        return self.select(slice(None, half)), self.select(slice(half, None))

    @property
    def _is_recorded(self) -> bool:
        return self.step in self.recorded

    def _spread(self, kinds: Tensor) -> None:
        """From here on every member has its own weights."""
        if not torch.equal(kinds, torch.arange(len(self.feed.seeds))):
            self._selected_from(self, kinds)
        self.kinds = None

    def _selected_from(self, other: "Stack", chosen: Chosen) -> "Stack":
        """Take over what is there once for every member that starts differently.

        All of it or, where memory ends, nothing: what was taken would be selected once more.
        """
        parameters = Parameters(*(of_tensors(part, chosen) for part in other.parameters))
        observer = other.observer.select(chosen)
        state = {
            name: tuple(of_tensor(part, chosen) for part in state)
            for name, state in other.state.items()
        }
        due = other._due and other._due.select(chosen)
        self.feed, self.parameters = other.feed.select(chosen), parameters
        self.observer, self.state, self._due = observer, state, due
        return self

    def _prepared(self) -> Due:
        """All that an update needs; logits and the like are gone when it is made."""
        due, logits = self._differentiated()
        self._take_in_curvature(logits)
        return due

    def _differentiated(self) -> tuple[Due, Tensor]:
        """What was measured, with the gradients, and the logits (members, ..., classes)."""
        gradients, losses, forward = self._gradients(self.feed.at(self.step), self.feed.dimension)
        outcome = self._outcome(losses, forward, gradients)
        return Due(outcome, gradients), forward.activations[READOUT]

    def _gradients(
        self, batch: Batch, dimensions: Dimensions
    ) -> tuple[dict[str, Tensor], Tensor, Forward]:
        """The gradient of every member's own loss on the batch, the losses, what forwards leave.

        Members do not see each other, so the gradient of the sum is that of each. torch.func's
        gradients could be differentiated again, and keep all that this would take.
        """
        weights, multipliers = self.parameters
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        losses, forward = self._losses(leaves, multipliers, batch, dimensions)
        found = torch.autograd.grad(losses.sum(), list(leaves.values()))
        return dict(zip(leaves, found, strict=True)), losses.detach(), _detached(forward)

    def _losses(
        self,
        weights: dict[str, Tensor],
        multipliers: dict[str, Tensor],
        batch: Batch,
        dimensions: Dimensions,
    ) -> tuple[Tensor, Forward]:
        """The loss of every member (members,), and what the forward leaves."""
        if self.is_together:
            try:
                together = vmap(self._loss, in_dims=(0, 0, dimensions))
                return together(weights, multipliers, batch)
            except RuntimeError as error:
                if "vmap" not in str(error):
                    raise
                log.warning("members are stepped one by one: %s", error)
                self.is_together = False
        alone = [
            self._loss(_member(weights, number), _member(multipliers, number), one)
            for number, one in enumerate(_batches(batch, dimensions, len(self.feed.seeds)))
        ]
        parts = zip(*(forward for _, forward in alone), strict=True)
        return torch.stack([loss for loss, _ in alone]), Forward(*map(_stacked, parts))

    def _loss(
        self, weights: dict[str, Tensor], multipliers: dict[str, Tensor], batch: Batch
    ) -> tuple[Tensor, Forward]:
        """The loss of one member, and what its forward leaves."""
        operators = self.operators(
            self.entries,
            Parameters(weights, multipliers),
            record=self._is_recorded,
            record_inputs=self._is_recorded and self.observer.needs_inputs,
            product=self.precision.product,
        )
        with self.precision.computing():
            loss = self.model.loss(operators, batch)
        return loss, Forward(operators.activations, operators.inputs)

    def _outcome(self, losses: Tensor, forward: Forward, gradients: dict[str, Tensor]) -> Outcome:
        norms = _norms(gradients.values()) if self.wants_norms and gradients else None
        if not self._is_recorded:
            return Outcome(losses, (), norms)
        weights = dict(self.parameters.weights)
        seen = Seen(forward.activations, weights, dict(gradients), forward.inputs)
        with torch.no_grad(), self.reading():
            readings = self.observer.observe(seen, follows=self.step - 1 in self.recorded)
            return Outcome(losses, readings, norms)

    def _take_in_curvature(self, logits: Tensor) -> None:
        """What some optimizers want to know before some updates (lab/curvature.py)."""
        update = self.step + 1
        wanting = {
            name: optimizer
            for name, optimizer in self.curious.items()
            if optimizer.wants_curvature(update)
        }
        if wanting:
            labels = curvature.drawn_labels(logits, seeds=self.feed.seeds, step=self.step)
            batch, dimension = self.feed.at(self.step), self.feed.dimension
            drawn = Batch(batch.inputs, labels)
            gradients, _, _ = self._gradients(drawn, Batch(dimension, 0))  # type: ignore[arg-type]
            self.state |= {
                name: optimizer.with_curvature(
                    self._state(name), curvature.diagonal(gradients[name], labels)
                )
                for name, optimizer in wanting.items()
            }

    def _state(self, name: str) -> State:
        """What the optimizer remembers of a weight: nothing before the first update."""
        if name not in self.state:
            self.state[name] = self.optimizers[name].start(self.parameters.weights[name])
        return self.state[name]

    def _update(self, gradients: dict[str, Tensor]) -> None:
        step, values = self.step + 1, self.parameters.weights
        factor = schedules.factor(step, self.steps, self.optimizer_options)
        for name in list(gradients):
            values[name], self.state[name] = self.optimizers[name].update(
                values[name],
                gradients[name],
                state=self._state(name),
                rates=self.rates[name].scheduled(factor, self.decay),
                step=step,
            )
            del gradients[name]
        self.step = step


def _norms(gradients: Iterable[Tensor]) -> Tensor:
    """The norm of all gradients of each member, (members,), float64; of more than 10^19 infinite.

    In float32 it costs a third of what float64 does, and squares end there.
    """
    each = [vector_norm(of.flatten(1), dim=1).double() for of in gradients]
    norms: Tensor = vector_norm(torch.stack(each), dim=0)
    return norms


def _leveled(run: RunSpec, entries: Iterable[WeightEntry]) -> frozenset[str]:
    """The weights whose updates have singular values that are nearly equal."""
    spec = run.variant.optimizer
    families = {
        entry.name: OPTIMIZERS[spec.name].family_of(entry.role, dict(spec.options))
        for entry in entries
    }
    level = (UpdateFamily.ORTHOGONAL, UpdateFamily.ORTHOGONAL_RMS)
    return frozenset(name for name, family in families.items() if family in level)


def _reading(run: RunSpec) -> Callable[[], AbstractContextManager[None]]:
    """How a run's statistics are read."""
    is_worth_it = device().type == "cpu" and costs.elements_read(run) >= READ_AT_ONCE
    return probes.at_once if is_worth_it else nullcontext


def _detached(forward: Forward) -> Forward:
    """The values without the graph that made them."""
    return Forward(*({name: value.detach() for name, value in part.items()} for part in forward))


def _member(tensors: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    return {name: of[number] for name, of in tensors.items()}


def _batches(batch: Batch, dimensions: Dimensions, members: int) -> Iterator[Batch]:
    """The batch that each member sees."""
    counting = dimensions if isinstance(dimensions, Batch) else (dimensions, dimensions)
    pairs = list(zip(batch, counting, strict=True))
    for number in range(members):
        yield Batch(*(part if of is None else part[number] for part, of in pairs))


def _stacked(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
