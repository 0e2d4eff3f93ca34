"""Muon: the momentum of a hidden matrix, orthogonalized (Jordan et al. 2024), in two scalings.

The learning rate is multiplied by sqrt(max(1, fan_out / fan_in)) in the original, and by
0.2 sqrt(max(fan_out, fan_in)) to match the size of AdamW's updates (Liu et al. 2025).
Weights of other roles are stepped by AdamW; the catalogue says which.
"""

import math

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State, decayed

NEWTON_SCHULZ_STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
SMALLEST_NORM = 1e-7
"""A momentum of smaller Frobenius norm is divided by this instead, so that zero stays zero."""


def orthogonalize(matrix: Tensor) -> Tensor:
    """Nearly U V^T of a stacked matrix U S V^T: singular values end up between 0.7 and 1.2.

    Five steps of X <- a X + (b X X^T + c (X X^T)^2) X, in the precision of the matrix.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[-2] > matrix.shape[-1]
    norm = torch.linalg.matrix_norm(matrix, keepdim=True).clamp_min(SMALLEST_NORM)
    matrix = matrix / norm  # what it was can go, if nobody else has it
    x: Tensor = matrix.mT if tall else matrix  # (members, rows, columns), rows <= columns
    del matrix
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT  # (members, rows, rows)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def muon_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    momentum: float,
    nesterov: bool,
    scale: float,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, fan_out, fan_in): w -= lr * scale * O."""
    average = torch.lerp(state[0], gradient, 1 - momentum)
    step = orthogonalize(torch.lerp(gradient, average, momentum) if nesterov else average).mul_(
        rates.learning_rate * scale
    )
    return decayed(weight, rates).sub_(step), (average,)


class Muon:
    """Muon with the options of the catalogue and the original scale."""

    def __init__(self, options: Options) -> None:
        self.momentum, self.nesterov = float(options["momentum"]), bool(options["nesterov"])

    def start(self, weight: Tensor) -> State:
        """A momentum of zero."""
        return (torch.zeros_like(weight),)

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its momentum after one more update."""
        return muon_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            momentum=self.momentum,
            nesterov=self.nesterov,
            scale=self.scale(weight.shape[-2], weight.shape[-1]),
        )

    def scale(self, fan_out: int, fan_in: int) -> float:
        """sqrt(max(1, fan_out / fan_in)) (Jordan et al. 2024)."""
        return math.sqrt(max(1.0, fan_out / fan_in))


class MuonMatchRms(Muon):
    """Muon whose updates are as large as AdamW's."""

    def scale(self, fan_out: int, fan_in: int) -> float:
        """0.2 sqrt(max(fan_out, fan_in)) (Liu et al. 2025)."""
        return 0.2 * math.sqrt(max(fan_out, fan_in))
