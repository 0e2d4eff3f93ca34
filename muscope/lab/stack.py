"""Members of one shape stepped as one: every weight has a leading dimension that counts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from muscope.catalogue import OPTIMIZERS, WeightEntry, with_defaults
from muscope.lab import curvature, optimizers, parametrize, precision
from muscope.lab.environment import device
from muscope.lab.feed import Feed
from muscope.lab.models.model import Batch, Model
from muscope.lab.models.operators import READOUT, Parameters
from muscope.lab.models.unit_scaled import OPERATORS
from muscope.lab.observer import Observer, Seen
from muscope.lab.optimizers.optimizer import CurvatureOptimizer, Rates, State
from muscope.lab.probes import Reading
from muscope.plan import weights
from muscope.recording import recorded_steps
from muscope.spec import RunSpec
from muscope.theory import schedules
from muscope.theory.rule import WeightRule


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step gave: losses (members,), and the readings if the step is recorded."""

    losses: Tensor
    readings: tuple[Reading, ...]


class Forward(NamedTuple):
    """What a forward leaves beside its loss: activations, and inputs of weights if asked."""

    activations: dict[str, Tensor]
    inputs: dict[str, Tensor]


class Stack:
    """Members with their weights, the optimizer's state, and who observes them."""

    def __init__(self, model: Model, feed: Feed, members: Sequence[RunSpec]) -> None:
        rules = [parametrize.rules(member) for member in members]
        optimizer = members[0].variant.optimizer
        self.model, self.feed = model, feed
        self.entries = {entry.name: entry for entry in weights(members[0])}
        self.operators = OPERATORS[parametrize.operators(members[0])]
        self.precision = precision.of(members[0])
        self.parameters = _parameters(self.entries, members, rules)
        self.rates = {name: _rates(name, members, rules) for name in self.entries}
        self.optimizers = {
            name: optimizers.build(optimizer.name, dict(optimizer.options), entry.role)
            for name, entry in self.entries.items()
        }
        self.state: dict[str, State] = {
            name: self.optimizers[name].start(weight)
            for name, weight in self.parameters.weights.items()
        }
        described = OPTIMIZERS[optimizer.name]
        self.optimizer_options = with_defaults(dict(optimizer.options), described.options)
        self.decay, self.steps = described.decay, members[0].steps
        self.seeds = [member.seed for member in members]
        self.observer = Observer(members[0].record, self.entries, self.parameters.multipliers)
        self.recorded = frozenset(recorded_steps(self.steps))
        self.step = 0

    def measure(self) -> Outcome:
        """The losses and statistics of a forward, without an update."""
        if self.observer.needs_gradients:
            return self._differentiated()[1]
        with torch.no_grad():
            dimensions = (0, 0, self.feed.dimension)
            batch = self.feed.at(self.step)
            losses, forward = vmap(self._loss, in_dims=dimensions)(*self.parameters, batch)
        return self._outcome(losses, forward, {})

    def advance(self) -> Outcome:
        """The losses and statistics of a forward, then one update."""
        gradients, outcome, logits = self._differentiated()
        self._take_in_curvature(logits)
        self.observer.before_update(self.parameters.weights)
        self._update(gradients)
        return outcome

    def _differentiated(self) -> tuple[dict[str, Tensor], Outcome, Tensor]:
        """The gradients, what was measured, and the logits (members, ..., classes)."""
        gradients, losses, forward = self._gradients(self.feed.at(self.step), self.feed.dimension)
        outcome = self._outcome(losses, forward, gradients)
        return gradients, outcome, forward.activations[READOUT]

    def _gradients(
        self, batch: Batch, dimensions: Batch | int | None
    ) -> tuple[dict[str, Tensor], Tensor, Forward]:
        """The gradient of every member's own loss on the batch, the losses, what forwards leave.

        Members do not see each other, so the gradient of the sum is that of each. torch.func's
        gradients could be differentiated again, and keep all that this would take.
        """
        weights, multipliers = self.parameters
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        of_all = vmap(self._loss, in_dims=(0, 0, dimensions))
        losses, forward = of_all(leaves, multipliers, batch)
        found = torch.autograd.grad(losses.sum(), list(leaves.values()))
        return dict(zip(leaves, found, strict=True)), losses.detach(), _detached(forward)

    def _loss(
        self, weights: dict[str, Tensor], multipliers: dict[str, Tensor], batch: Batch
    ) -> tuple[Tensor, Forward]:
        """The loss of one member, and what its forward leaves."""
        operators = self.operators(
            self.entries,
            Parameters(weights, multipliers),
            record_inputs=self.observer.needs_inputs,
            product=self.precision.product,
        )
        with self.precision.computing():
            loss = self.model.loss(operators, batch)
        return loss, Forward(operators.activations, operators.inputs)

    def _outcome(self, losses: Tensor, forward: Forward, gradients: dict[str, Tensor]) -> Outcome:
        if self.step not in self.recorded:
            return Outcome(losses, ())
        seen = Seen(forward.activations, dict(self.parameters.weights), gradients, forward.inputs)
        with torch.no_grad():
            return Outcome(losses, self.observer.observe(seen))

    def _take_in_curvature(self, logits: Tensor) -> None:
        """What some optimizers want to know before some updates (lab/curvature.py)."""
        update = self.step + 1
        wanting = {
            name: optimizer
            for name, optimizer in self.optimizers.items()
            if isinstance(optimizer, CurvatureOptimizer) and optimizer.wants_curvature(update)
        }
        if wanting:
            labels = curvature.drawn_labels(logits, seeds=self.seeds, step=self.step)
            batch, dimension = self.feed.at(self.step), self.feed.dimension
            drawn = Batch(batch.inputs, labels)
            gradients, _, _ = self._gradients(drawn, Batch(dimension, 0))  # type: ignore[arg-type]
            for name, optimizer in wanting.items():
                estimate = curvature.diagonal(gradients[name], labels)
                self.state[name] = optimizer.with_curvature(self.state[name], estimate)

    def _update(self, gradients: dict[str, Tensor]) -> None:
        self.step += 1
        factor = schedules.factor(self.step, self.steps, self.optimizer_options)
        values = self.parameters.weights
        for name, gradient in gradients.items():
            values[name], self.state[name] = self.optimizers[name].update(
                values[name],
                gradient,
                state=self.state[name],
                rates=self.rates[name].scheduled(factor, self.decay),
                step=self.step,
            )


def _detached(forward: Forward) -> Forward:
    """The values without the graph that made them."""
    return Forward(*({name: value.detach() for name, value in part.items()} for part in forward))


def _parameters(
    entries: Mapping[str, WeightEntry],
    members: Sequence[RunSpec],
    rules: Sequence[dict[str, WeightRule]],
) -> Parameters:
    values = {
        name: torch.stack(
            [
                parametrize.initial(entry, rule[name], seed=run.seed)
                for run, rule in zip(members, rules, strict=True)
            ]
        ).to(device())
        for name, entry in entries.items()
    }
    found = [parametrize.multipliers(run) for run in members]
    columns = {name: _scalars([member[name] for member in found]) for name in found[0]}
    # What is 1 for all is left out.
    return Parameters(values, {name: of for name, of in columns.items() if (of != 1).any()})


def _rates(name: str, members: Sequence[RunSpec], rules: Sequence[dict[str, WeightRule]]) -> Rates:
    """What the rule of one weight makes of each member's learning rate, epsilon and decay."""
    chosen = [run.variant.optimizer for run in members]
    options = [optimizer.options for optimizer in chosen]
    rule = [by_name[name] for by_name in rules]

    def column(base: list[float], factors: list[float]) -> Tensor:
        scaled = [value * factor for value, factor in zip(base, factors, strict=True)]
        return _scalars(scaled)[:, None, None]  # (members, 1, 1)

    return Rates(
        column([o.learning_rate for o in chosen], [r.learning_rate_factor for r in rule]),
        column([float(o.get("epsilon", 0.0)) for o in options], [r.epsilon_factor for r in rule]),
        column(
            [float(o.get("weight_decay", 0.0)) for o in options],
            [r.weight_decay_factor for r in rule],
        ),
    )


def _scalars(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device())
