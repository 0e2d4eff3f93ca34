"""Steps an optimizer of the lab, stacked or alone, through a list of gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from muscope import catalogue
from muscope.catalogue import Options
from muscope.lab.optimizers import OPTIMIZERS
from muscope.lab.optimizers.optimizer import CurvatureOptimizer, Optimizer, Rates, State

PREDICTIONS = 8
"""Of the batch that the gradients would be of."""


@dataclass(frozen=True, slots=True)
class Member:
    """The scalars of one member of a stack."""

    learning_rate: float
    epsilon: float
    weight_decay: float


def options_of(name: str, given: Options) -> Options:
    """Options as the catalogue completes them."""
    return catalogue.complete_options(given, catalogue.OPTIMIZERS[name].options)


def rates_of(members: Sequence[Member]) -> Rates:
    """The columns that the engine makes of the members' scalars, in float64."""

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None, None]

    return Rates(
        column([member.learning_rate for member in members]),
        column([member.epsilon for member in members]),
        column([member.weight_decay for member in members]),
    )


def stepped(
    name: str,
    options: Options,
    members: Sequence[Member],
    start: Tensor,
    gradients: Sequence[Tensor],
) -> Tensor:
    """The stacked weight after all gradients."""
    optimizer = OPTIMIZERS[name](options)
    state = optimizer.start(start)
    return resumed(name, options, members, start, gradients, state=state, done=0)[0]


def resumed(
    name: str,
    options: Options,
    members: Sequence[Member],
    weight: Tensor,
    gradients: Sequence[Tensor],
    *,
    state: State,
    done: int,
) -> tuple[Tensor, State]:
    """The weight and state after more gradients, when `done` have been seen."""
    optimizer = OPTIMIZERS[name](options)
    for step, gradient in enumerate(gradients, start=done + 1):
        state = _informed(optimizer, state, gradient, step)
        weight, state = optimizer.update(
            weight, gradient, state=state, rates=rates_of(members), step=step
        )
    return weight, state


def of_drawn_labels(gradient: Tensor) -> Tensor:
    """Stands for the gradient on labels that a model draws: the columns the other way round."""
    return gradient.flip(-1)


def _informed(optimizer: Optimizer, state: State, gradient: Tensor, step: int) -> State:
    """The state with an estimate of curvature taken in, if the optimizer wants one now."""
    if isinstance(optimizer, CurvatureOptimizer) and optimizer.wants_curvature(step):
        estimate = PREDICTIONS * of_drawn_labels(gradient).square()
        return optimizer.with_curvature(state, estimate)
    return state


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)
