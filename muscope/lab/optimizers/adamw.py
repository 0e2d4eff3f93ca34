"""AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch computes it."""

import math

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State


def adamw_update(
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

    An update is bound by memory, so both bias corrections act on scalars instead of on tensors
    (Kingma & Ba 2015, end of section 2), and our own intermediates are overwritten.
    """
    first, second = state
    first = torch.lerp(first, gradient, 1 - beta1)
    second = (second * beta2).addcmul_(gradient, gradient, value=1 - beta2)
    correction = math.sqrt(1 - beta2**step)
    direction = first / second.sqrt().add_(rates.epsilon * correction)
    rate = rates.learning_rate * (correction / (1 - beta1**step))
    decayed = weight * (1 - rates.learning_rate * rates.weight_decay)
    return decayed.addcmul_(direction, rate, value=-1), (first, second)


class AdamW:
    """AdamW with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        self.beta1, self.beta2 = float(options["beta1"]), float(options["beta2"])

    def start(self, weight: Tensor) -> State:
        """Both moments at zero."""
        return torch.zeros_like(weight), torch.zeros_like(weight)

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its moments after update number `step`, counted from 1."""
        return adamw_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            beta1=self.beta1,
            beta2=self.beta2,
        )
