"""Shampoo: a gradient whitened from both sides (Gupta, Koren & Singer 2018, Algorithm 1).

Statistics are averaged as in Distributed Shampoo, or summed as in the paper; no blocks, no
grafting. Weights that are not hidden are stepped by AdamW; the catalogue says which.
"""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.eigen import eigenvectors
from muscope.lab.optimizers.optimizer import Rates, State, decayed


def shampoo_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    step: int,
    beta1: float,
    beta2: float,
    sum_statistics: bool,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns); `step` counts from 1.

    w -= lr * (L + epsilon I)^(-1/4) M (R + epsilon I)^(-1/4), with M the mean of gradients G, and
    L, R the mean or sum of G G^T and G^T G.
    """
    momentum, left, right = state
    momentum = torch.lerp(momentum, gradient, 1 - beta1)
    kept, added, correction = (
        (1.0, 1.0, 1.0) if sum_statistics else (beta2, 1 - beta2, 1 - beta2**step)
    )
    left = kept * left + added * (gradient @ gradient.mT)  # (members, rows, rows)
    right = kept * right + added * (gradient.mT @ gradient)  # (members, columns, columns)
    direction = (
        inverse_fourth_root(left / correction, rates.epsilon)
        @ (momentum / (1 - beta1**step))
        @ inverse_fourth_root(right / correction, rates.epsilon)
    )
    return decayed(weight, rates) - rates.learning_rate * direction, (momentum, left, right)


def inverse_fourth_root(statistics: Tensor, epsilon: Tensor) -> Tensor:
    """(S + epsilon I)^(-1/4) of stacked symmetric matrices; eigenvalues in float64."""
    values, vectors = eigenvectors(statistics)
    # an eigenvalue that is zero in exact arithmetic may come out negative
    powers = (values.clamp_min(0.0) + epsilon[:, :, 0]).pow(-0.25)
    root: Tensor = (vectors * powers[:, None, :]) @ vectors.mT
    return root.to(statistics.dtype)


class Shampoo:
    """Shampoo with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        self.beta1, self.beta2 = float(options["beta1"]), float(options["beta2"])
        self.sum_statistics = bool(options["sum_statistics"])

    def start(self, weight: Tensor) -> State:
        """Momentum and statistics at zero."""
        members, rows, columns = weight.shape
        left = weight.new_zeros(members, rows, rows)
        return torch.zeros_like(weight), left, weight.new_zeros(members, columns, columns)

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight, its momentum and statistics after update number `step`, counted from 1."""
        return shampoo_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            beta1=self.beta1,
            beta2=self.beta2,
            sum_statistics=self.sum_statistics,
        )
