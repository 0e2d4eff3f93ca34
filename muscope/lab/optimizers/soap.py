"""SOAP: Adam in the eigenbasis of Shampoo's statistics (Vyas et al. 2024, Algorithm 3).

Weights that are not hidden are stepped by AdamW; the catalogue says which.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.optimizers.eigen import eigenvectors
from muscope.lab.optimizers.optimizer import Rates, State, decayed


class Betas(NamedTuple):
    """Decays of the first moment, of the second, and of the statistics."""

    first: float
    second: float
    statistics: float


def soap_update(
    weight: Tensor,
    gradient: Tensor,
    *,
    state: State,
    rates: Rates,
    step: int,
    betas: Betas,
    frequency: int,
) -> tuple[Tensor, State]:
    """One update of a stacked weight (members, rows, columns); `step` counts from 1.

    The first gradient only starts the statistics and their eigenbases: nothing moves in step 1, as
    in the authors' code. Every `frequency` updates the bases follow by one power iteration and QR.
    """
    first, second, left, right, rows, columns = state
    updates = step - 1  # those made when this one is done
    if updates:
        first = torch.lerp(first, gradient, 1 - betas.first)
        rotated = rows.mT @ gradient @ columns
        second = torch.lerp(second, rotated.square(), 1 - betas.second)
        direction = (rows.mT @ first @ columns) / (second.sqrt() + rates.epsilon)
        correction = math.sqrt(1 - betas.second**updates) / (1 - betas.first**updates)
        rate = rates.learning_rate * correction
        weight = decayed(weight - rate * (rows @ direction @ columns.mT), rates)
    left = torch.lerp(left, gradient @ gradient.mT, 1 - betas.statistics)
    right = torch.lerp(right, gradient.mT @ gradient, 1 - betas.statistics)
    if not updates:
        rows, columns = eigenbasis(left), eigenbasis(right)
    elif updates % frequency == 0:
        rows, order = turned(left, rows)
        second = second.gather(-2, order[:, :, None].expand_as(second))
        columns, order = turned(right, columns)
        second = second.gather(-1, order[:, None, :].expand_as(second))
    return weight, (first, second, left, right, rows, columns)


def eigenbasis(statistics: Tensor) -> Tensor:
    """Eigenvectors of stacked symmetric matrices, as columns; computed in float64."""
    return eigenvectors(statistics)[1].to(statistics.dtype)


def turned(statistics: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """The basis after one power iteration, largest eigenvalue first, and that order.

    The second moment is kept per direction, so it has to be put in the same order.
    """
    product = statistics @ basis  # (members, size, size)
    order = (basis * product).sum(-2).argsort(-1, descending=True)  # (members, size)
    sorted_product = product.gather(-1, order[:, None, :].expand_as(product))
    return torch.linalg.qr(sorted_product).Q, order


class Soap:
    """SOAP with the options of the catalogue."""

    def __init__(self, options: Options) -> None:
        first, second = float(options["beta1"]), float(options["beta2"])
        self.betas = Betas(first, second, statistics=second)
        self.frequency = int(options["precondition_frequency"])

    def start(self, weight: Tensor) -> State:
        """Moments and statistics at zero; the first gradient gives the bases."""
        members, rows, columns = weight.shape
        zeros = torch.zeros_like(weight)
        left = weight.new_zeros(members, rows, rows)
        right = weight.new_zeros(members, columns, columns)
        return zeros, zeros, left, right, left, right

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and its state after update number `step`, counted from 1."""
        return soap_update(
            weight,
            gradient,
            state=state,
            rates=rates,
            step=step,
            betas=self.betas,
            frequency=self.frequency,
        )
