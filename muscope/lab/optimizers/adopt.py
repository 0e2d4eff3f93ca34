"""ADOPT: Adam that divides by the second moment of the past (Taniguchi et al. 2024)."""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State, decayed


def adopt_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    step: int,
    beta1: float,
    beta2: float,
    clip: bool,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns); `step` counts from 1.

    The first gradient only starts the second moment, v_0 = g_0^2: nothing moves in step 1. With
    `clip` the divided gradient of update t is kept within t^(1/4), as the authors came to advise:
    a gradient that was zero at first (behind a zero readout, say) would else be divided by epsilon.
    """
    momentum, second = state
    if step == 1:
        return weight, (momentum, gradient.square())
    ratio = gradient / torch.maximum(second.sqrt(), rates.epsilon)
    if clip:
        limit = (step - 1) ** 0.25
        ratio = ratio.clamp(-limit, limit)
    momentum = torch.lerp(momentum, ratio, 1 - beta1)
    second = (second * beta2).addcmul_(gradient, gradient, value=1 - beta2)
    return decayed(weight, rates) - rates.learning_rate * momentum, (momentum, second)


class Adopt:
    """ADOPT with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        self.beta1, self.beta2 = float(options["beta1"]), float(options["beta2"])
        self.clip = bool(options["clip"])

    def start(self, weight: Tensor) -> State:
        """Momentum and second moment at zero; the first gradient replaces the latter."""
        return torch.zeros_like(weight), torch.zeros_like(weight)

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its moments after update number `step`, counted from 1."""
        return adopt_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            beta1=self.beta1,
            beta2=self.beta2,
            clip=self.clip,
        )
