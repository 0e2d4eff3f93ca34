"""Sophia-G: a momentum over a curvature, clipped (Liu et al. 2023, Algorithm 3)."""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State, decayed


def sophia_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    beta1: float,
    gamma: float,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns).

    m <- b1 m + (1 - b1) g; w -= lr * clip(m / max(gamma h, epsilon), 1). No means are corrected for
    their start, as in the paper.
    """
    momentum, curvature = state
    momentum = torch.lerp(momentum, gradient, 1 - beta1)
    divisor = torch.maximum(gamma * curvature, rates.epsilon)
    direction = (momentum / divisor).clamp_(-1, 1)
    return decayed(weight, rates) - rates.learning_rate * direction, (momentum, curvature)


class Sophia:
    """Sophia-G with the options of the catalogue; who steps it hands it estimates of curvature."""

    def __init__(self, options: Options) -> None:
        self.beta1, self.beta2 = float(options["beta1"]), float(options["beta2"])
        self.gamma, self.frequency = float(options["gamma"]), int(options["hessian_frequency"])

    def start(self, weight: Tensor) -> State:
        """Momentum and curvature at zero."""
        return torch.zeros_like(weight), torch.zeros_like(weight)

    def wants_curvature(self, step: int) -> bool:
        """Before updates 1, 1 + k, 1 + 2k, ...: t mod k = 1 in the paper."""
        return (step - 1) % self.frequency == 0

    def with_curvature(self, state: State, estimate: Tensor) -> State:
        """h <- b2 h + (1 - b2) h^; the mean is over estimates, not over updates."""
        momentum, curvature = state
        return momentum, torch.lerp(curvature, estimate, 1 - self.beta2)

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight, its momentum and its curvature after one more update."""
        return sophia_update(
            weight, gradient, state=state, rates=rates, beta1=self.beta1, gamma=self.gamma
        )
