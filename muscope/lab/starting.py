"""What stacked members start with: weights, multipliers, and the scalars of their updates."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from muscope.catalogue import WeightEntry
from muscope.lab import parametrize
from muscope.lab.environment import device
from muscope.lab.models.operators import Parameters
from muscope.lab.optimizers.optimizer import Rates
from muscope.lab.sharing import Scales
from muscope.spec import RunSpec


def parameters(
    entries: Mapping[str, WeightEntry], members: Sequence[RunSpec], scales: Sequence[Scales]
) -> Parameters:
    """First values and multipliers, a column for each member."""
    seeds = [run.seed for run in members]
    values = {
        name: parametrize.stacked(entry, [of.rules[name] for of in scales], seeds=seeds)
        for name, entry in entries.items()
    }
    columns = {
        name: _scalars([of.multipliers[name] for of in scales]) for name in scales[0].multipliers
    }
    return Parameters(
        {name: value.to(device()) for name, value in values.items()},
        # What is 1 for all is left out.
        {name: of for name, of in columns.items() if (of != 1).any()},
    )


def rates(name: str, members: Sequence[RunSpec], scales: Sequence[Scales]) -> Rates:
    """What the rule of one weight makes of each member's learning rate, epsilon and decay."""
    options = [run.variant.optimizer.options for run in members]
    rules = [of.rules[name] for of in scales]

    def column(base: Sequence[float], factors: Sequence[float]) -> Tensor:
        scaled = [value * factor for value, factor in zip(base, factors, strict=True)]
        return _scalars(scaled)[:, None, None]  # (members, 1, 1)

    def option(name: str) -> list[float]:
        return [float(chosen.get(name, 0.0)) for chosen in options]

    return Rates(
        column([run.learning_rate for run in members], [r.learning_rate_factor for r in rules]),
        column(option("epsilon"), [r.epsilon_factor for r in rules]),
        column(option("weight_decay"), [r.weight_decay_factor for r in rules]),
    )


def _scalars(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device())
