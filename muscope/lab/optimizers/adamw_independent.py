"""AdamW with independent weight decay: each step shrinks a weight by lambda, whatever its rate."""

import torch
from torch import Tensor

from muscope.lab.optimizers.adamw import AdamW, adamw_update
from muscope.lab.optimizers.optimizer import Rates, State


def adamw_independent_update(
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

    The original form of Loshchilov & Hutter (2019, Algorithm 2), without a schedule; PyTorch's
    AdamW multiplies the decay by the learning rate instead.
    """
    return adamw_update(
        weight * (1 - rates.weight_decay),
        gradient,
        state=state,
        rates=rates._replace(weight_decay=torch.zeros_like(rates.weight_decay)),
        step=step,
        beta1=beta1,
        beta2=beta2,
    )


class AdamWIndependent(AdamW):
    """AdamW with independent decay and the options of the catalogue."""

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its moments after update number `step`, counted from 1."""
        return adamw_independent_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            beta1=self.beta1,
            beta2=self.beta2,
        )
