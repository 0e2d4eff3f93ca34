"""Adafactor: a second moment kept as rows times columns (Shazeer & Stern 2018, Algorithm 4).

The learning rate is relative: it is multiplied by the root mean square of the weight.
"""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.optimizer import Rates, State, decayed

SMALLEST_SQUARE = 1e-30
"""The paper's epsilon_1, added to the squared gradient."""


def adafactor_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    step: int,
    beta2_decay: float,
    smallest_scale: float,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns); `step` counts from 1.

    The rate of step t is max(smallest_scale, RMS(w)) * min(lr, 1 / sqrt(t)); the direction is
    clipped to a root mean square of 1 (the paper's d).
    """
    row, column = state
    squared = gradient.square().add_(SMALLEST_SQUARE)
    row = torch.lerp(row, squared.mean(-1, keepdim=True), step**beta2_decay)
    column = torch.lerp(column, squared.mean(-2, keepdim=True), step**beta2_decay)
    del squared  # an update holds as little as it can, and overwrites what is its own
    # the second moment is row * column / mean(row): a product of squares, which would underflow
    direction = gradient * (row / row.mean(-2, keepdim=True)).rsqrt()
    direction.mul_(column.rsqrt())
    direction.div_(rms(direction).clamp_min(1.0))
    rate = rms(weight).clamp_min(smallest_scale) * rates.learning_rate.clamp_max(step**-0.5)
    return decayed(weight, rates).sub_(direction.mul_(rate)), (row, column)


def rms(matrix: Tensor) -> Tensor:
    """Root mean square of each member: (members, 1, 1)."""
    return matrix.square().mean((-2, -1), keepdim=True).sqrt()


class Adafactor:
    """Adafactor with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        self.beta2_decay = float(options["beta2_decay"])
        self.smallest_scale = float(options["smallest_scale"])

    def start(self, weight: Tensor) -> State:
        """Mean squares of rows and of columns at zero."""
        return torch.zeros_like(weight[:, :, :1]), torch.zeros_like(weight[:, :1, :])

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its mean squares after update number `step`, counted from 1."""
        return adafactor_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            beta2_decay=self.beta2_decay,
            smallest_scale=self.smallest_scale,
        )
