"""Members of one shape stepped as one: every weight has a leading dimension that counts them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from muscope.lab import optimizers, parametrize, probes
from muscope.lab.environment import device
from muscope.lab.models.model import BRANCHES, Batch, Model, Parameters
from muscope.lab.optimizers.optimizer import Rates, State
from muscope.spec import RunSpec
from muscope.theory.rule import WeightRule


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step gave: losses (members,), statistics (members, activations, 3), their names."""

    losses: Tensor
    statistics: Tensor
    names: tuple[str, ...]


class Stack:
    """Members with their weights, the optimizer's state, and the activations at step 0."""

    def __init__(self, model: Model, batch: Batch, members: Sequence[RunSpec]) -> None:
        rules = [parametrize.rules(member) for member in members]
        optimizer = members[0].variant.optimizer
        self.model, self.batch = model, batch
        self.parameters = _parameters(model, members, rules)
        self.rates = {name: _rates(name, members, rules) for name in model.weights}
        self.optimizers = {
            name: optimizers.build(optimizer.name, dict(optimizer.options), weight.role)
            for name, weight in model.weights.items()
        }
        self.state: dict[str, State] = {
            name: self.optimizers[name].start(weight)
            for name, weight in self.parameters.weights.items()
        }
        self.first: dict[str, Tensor] = {}
        self.step = 0

    def measure(self) -> Outcome:
        """The losses and statistics of a forward, without an update."""
        with torch.no_grad():
            losses, taps = vmap(self._loss)(*self.parameters)
        return self._outcome(losses, taps)

    def advance(self) -> Outcome:
        """The losses and statistics of a forward, then one update."""
        differentiate = vmap(grad_and_value(self._loss, has_aux=True))
        gradients, (losses, taps) = differentiate(*self.parameters)
        outcome = self._outcome(losses, taps)
        self._update(gradients)
        return outcome

    def _loss(
        self, weights: dict[str, Tensor], multipliers: dict[str, Tensor], attention_scale: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one member and its activations."""
        taps: dict[str, Tensor] = {}
        parameters = Parameters(weights, multipliers, attention_scale)
        loss = self.model.loss(parameters, self.batch, taps.__setitem__)
        return loss, taps

    def _outcome(self, losses: Tensor, taps: dict[str, Tensor]) -> Outcome:
        self.first = self.first or taps
        return Outcome(losses, probes.statistics(taps, self.first), tuple(taps))

    def _update(self, gradients: dict[str, Tensor]) -> None:
        self.step += 1
        weights = self.parameters.weights
        for name, gradient in gradients.items():
            weights[name], self.state[name] = self.optimizers[name].update(
                weights[name],
                gradient,
                state=self.state[name],
                rates=self.rates[name],
                step=self.step,
            )


def _parameters(
    model: Model, members: Sequence[RunSpec], rules: Sequence[dict[str, WeightRule]]
) -> Parameters:
    weights = {
        name: torch.stack(
            [
                parametrize.initial(name, weight, seed=run.seed, init_std=rule[name].init_std)
                for run, rule in zip(members, rules, strict=True)
            ]
        ).to(device())
        for name, weight in model.weights.items()
    }
    multipliers = {name: _scalars([rule[name].multiplier for rule in rules]) for name in weights}
    multipliers[BRANCHES] = _scalars([parametrize.residual_multiplier(run) for run in members])
    return Parameters(
        weights=weights,
        multipliers={name: column for name, column in multipliers.items() if (column != 1).any()},
        attention_scale=_scalars([parametrize.attention_scale(run) for run in members]),
    )


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
