"""Stochastic gradient descent, with momentum if asked (no dampening, as PyTorch's default)."""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State


def sgd_update(
    weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, momentum: float
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns); no momentum keeps no state."""
    if momentum == 0:
        return weight - rates.learning_rate * gradient, state
    velocity = momentum * state[0] + gradient
    return weight - rates.learning_rate * velocity, (velocity,)


class Sgd:
    """SGD with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        self.momentum = float(options["momentum"])

    def start(self, weight: Tensor) -> State:
        """A velocity of zero, if there is momentum."""
        return (torch.zeros_like(weight),) if self.momentum else ()

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its velocity after one more update."""
        return sgd_update(weight, gradient, state=state, rates=rates, momentum=self.momentum)
