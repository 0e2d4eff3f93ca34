"""The largest singular value of stacked matrices, by power iteration from where it last ended.

Matrices are (members, rows, columns), the directions searched at once (members, 4, columns).
"""

import torch
from torch import Tensor

from muscope.catalogue import WeightEntry, WeightKind
from muscope.costs import POWER_DIRECTIONS, POWER_ITERATIONS
from muscope.lab import probes
from muscope.vocabulary import Statistic, TensorKind

COLD_ITERATIONS = 3 * POWER_ITERATIONS
"""From random directions."""


class Spectra:
    """Remembers the directions that each matrix stretched most, where the next search begins."""

    def __init__(self) -> None:
        self._directions: dict[tuple[TensorKind, str], Tensor] = {}

    def statistics(
        self, kind: TensorKind, entry: WeightEntry, values: Tensor
    ) -> dict[Statistic, Tensor]:
        """||W||_* / sqrt(fan_out / fan_in), and the stable rank ||W||_F^2 / ||W||_*^2 (facts 6).

        The stable rank of zeros is nan. A table has the largest RMS of a row instead of the norm,
        and no stable rank. All are taken of W over its largest entry: float32 has no squares of
        numbers below 1e-19 or above 1e19.
        """
        scale = _largest_entry(values)
        values = values / scale[:, None, None]
        if entry.kind is WeightKind.TABLE:
            rows = torch.linalg.vector_norm(values, dim=2).amax(1).double()
            return {Statistic.SPECTRAL: scale.double() * rows / values.shape[2] ** 0.5}
        norm = self._norm((kind, entry.name), values)
        frobenius = probes.rms(values) * (values.shape[1] * values.shape[2]) ** 0.5
        return {
            Statistic.SPECTRAL: scale.double() * norm / (entry.fan_out / entry.fan_in) ** 0.5,
            Statistic.STABLE_RANK: (frobenius / norm).square(),
        }

    def _norm(self, key: tuple[TensorKind, str], values: Tensor) -> Tensor:
        known = self._directions.get(key)
        start = _random_directions(values) if known is None else known
        iterations = COLD_ITERATIONS if known is None else POWER_ITERATIONS
        norm, self._directions[key] = largest_singular_value(values, start, iterations)
        return norm


def largest_singular_value(
    values: Tensor, directions: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """||W||_* from below (members,), in float64, and directions that W stretches as much."""
    for _ in range(iterations):
        # Directions stand in rows: with them in columns a CPU takes five times as long.
        directions = _orthonormal(directions @ values.mT @ values)
    stretched = (directions @ values.mT).double()
    return _largest_eigenvalue(stretched @ stretched.mT).sqrt(), directions


def _largest_entry(values: Tensor) -> Tensor:
    """max |W| (members,); 1 of zeros and of what is not finite, which stay as they are."""
    largest = values.abs().amax((1, 2))
    return torch.where((largest > 0) & largest.isfinite(), largest, 1.0)


def _largest_eigenvalue(squares: Tensor) -> Tensor:
    """Of symmetric matrices (members, n, n); nan where one has numbers that are not finite."""
    is_finite = squares.isfinite().all(2).all(1)
    known = torch.where(is_finite[:, None, None], squares, 0.0)
    largest = torch.linalg.eigvalsh(known)[:, -1].clamp(min=0.0)
    return torch.where(is_finite, largest, torch.nan)


def _orthonormal(rows: Tensor) -> Tensor:
    basis: Tensor = torch.linalg.qr(rows.mT).Q
    return basis.mT


def _random_directions(values: Tensor) -> Tensor:
    """The same for every member, so that none notices that it is stacked."""
    columns = values.shape[2]
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, min(POWER_DIRECTIONS, columns), columns, generator=generator)
    return _orthonormal(rows).to(values).expand(len(values), -1, -1)
