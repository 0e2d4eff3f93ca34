"""Adam (Kingma & Ba 2015) with L2 weight decay: the decay is part of the gradient."""

import torch
from torch import Tensor

from muscope.lab.optimizers.adamw import AdamW, adamw_update
from muscope.lab.optimizers.optimizer import Rates, State


def adam_update(
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

    The decay goes through the moments, so Adam divides it away again: the abc-symmetry does not
    hold for this form (docs/facts.md 1), and no decay factor makes it independent of width.
    """
    return adamw_update(
        weight,
        gradient + rates.weight_decay * weight,
        state=state,
        rates=rates._replace(weight_decay=torch.zeros_like(rates.weight_decay)),
        step=step,
        beta1=beta1,
        beta2=beta2,
    )


class Adam(AdamW):
    """Adam with the options of the catalogue."""

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its moments after update number `step`, counted from 1."""
        return adam_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            beta1=self.beta1,
            beta2=self.beta2,
        )
