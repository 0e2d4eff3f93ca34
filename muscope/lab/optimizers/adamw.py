"""AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch computes it."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.optim.adam import adam

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State

FUSED_FROM = 2**15
"""Elements of one member's weight from which PyTorch's fused update is faster, as measured."""


def adamw_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    step: int,
    beta1: float,
    beta2: float,
    is_decoupled: bool = True,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns); `step` counts from 1.

    Weight decay is decoupled, or part of the gradient. The moments of large weights on a CPU are
    overwritten.
    """
    is_large = weight.shape[1] * weight.shape[2] >= FUSED_FROM
    if is_large and weight.device.type == "cpu":
        fused = partial(adam, beta1=beta1, beta2=beta2, decoupled_weight_decay=is_decoupled)
        return _fused(weight, gradient, state=state, rates=rates, step=step, fused=fused)
    decayed = weight
    if is_decoupled:
        decayed = weight * (1 - rates.learning_rate * rates.weight_decay)
    else:
        gradient = gradient + rates.weight_decay * weight
    # An update is bound by memory, so both bias corrections act on scalars instead of on tensors
    # (Kingma & Ba 2015, end of section 2), and our own intermediates are overwritten.
    first = torch.lerp(state[0], gradient, 1 - beta1)
    second = (state[1] * beta2).addcmul_(gradient, gradient, value=1 - beta2)
    correction = math.sqrt(1 - beta2**step)
    direction = first / second.sqrt().add_(rates.epsilon * correction)
    rate = rates.learning_rate * (correction / (1 - beta1**step))
    return torch.addcmul(decayed, direction, rate, value=-1), (first, second)


def _fused(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    step: int,
    fused: Callable[..., None],
) -> tuple[Tensor, State]:
    """PyTorch's own in one pass over memory, member by member: it takes one rate at a time."""
    weight, gradient = weight.clone(memory_format=torch.contiguous_format), gradient.contiguous()
    columns = zip(*(of.flatten().tolist() for of in rates), strict=True)
    for member, (rate, epsilon, decay) in enumerate(columns):
        fused(
            [weight[member]],
            [gradient[member]],
            [state[0][member]],
            [state[1][member]],
            [],
            [torch.tensor(float(step - 1))],
            fused=True,
            amsgrad=False,
            maximize=False,
            lr=rate,
            eps=epsilon,
            weight_decay=decay,
        )
    return weight, state


class AdamW:
    """AdamW with the options of the catalogue."""

    is_decoupled = True

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
            is_decoupled=self.is_decoupled,
        )
