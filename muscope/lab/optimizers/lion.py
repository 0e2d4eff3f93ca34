"""Lion: the sign of a momentum, found by program search (Chen et al. 2023, Algorithm 2)."""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State, decayed


def lion_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    beta1: float,
    beta2: float,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns): w -= lr sign(b1 m + (1 - b1) g)."""
    (momentum,) = state
    direction = torch.lerp(momentum, gradient, 1 - beta1).sign_()
    momentum = torch.lerp(momentum, gradient, 1 - beta2)
    return decayed(weight, rates) - rates.learning_rate * direction, (momentum,)


class Lion:
    """Lion with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        self.beta1, self.beta2 = float(options["beta1"]), float(options["beta2"])

    def start(self, weight: Tensor) -> State:
        """A momentum of zero."""
        return (torch.zeros_like(weight),)

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its momentum after one more update."""
        return lion_update(
            weight, gradient, state=state, rates=rates, beta1=self.beta1, beta2=self.beta2
        )
