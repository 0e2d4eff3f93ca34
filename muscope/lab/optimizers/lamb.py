"""LAMB: Adam whose update is as large as the weight it changes (You et al. 2020, Algorithm 2)."""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State


def lamb_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    step: int,
    beta1: float,
    beta2: float,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns); `step` counts from 1.

    w -= lr * ||w|| / ||r|| * r with r = m_hat / (sqrt(v_hat) + epsilon) + decay * w.
    """
    first, second = state
    first = torch.lerp(first, gradient, 1 - beta1)
    second = (second * beta2).addcmul_(gradient, gradient, value=1 - beta2)
    root = (second / (1 - beta2**step)).sqrt_()
    direction = first / (1 - beta1**step) / (root + rates.epsilon)
    direction = direction + rates.weight_decay * weight
    rate = rates.learning_rate * trust_ratio(weight, direction)
    return weight - rate * direction, (first, second)


def trust_ratio(weight: Tensor, direction: Tensor) -> Tensor:
    """||w|| / ||r|| of each member, (members, 1, 1); 1 where either is zero, so zeros can move."""
    size = torch.linalg.matrix_norm(weight, keepdim=True)
    step = torch.linalg.matrix_norm(direction, keepdim=True)
    return torch.where((size > 0) & (step > 0), size / step, torch.ones_like(size))


class Lamb:
    """LAMB with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        self.beta1, self.beta2 = float(options["beta1"]), float(options["beta2"])

    def start(self, weight: Tensor) -> State:
        """Both moments at zero."""
        return torch.zeros_like(weight), torch.zeros_like(weight)

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its moments after update number `step`, counted from 1."""
        return lamb_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            beta1=self.beta1,
            beta2=self.beta2,
        )
