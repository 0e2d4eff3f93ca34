"""The largest singular value of stacked matrices, searched from where the search last ended.

Matrices are (members, rows, columns), the directions searched at once (members, n, columns).

A search is a block Lanczos method (Golub & Underwood 1977; Musco & Musco 2015): the largest
stretching of any direction in the span of V, V WᵀW, V (WᵀW)² and so on. After four rounds it is
closer than a power iteration, which looks at the last of these blocks only, after ten.
"""

import torch
from torch import Tensor

from muscope.catalogue import WeightEntry, WeightKind
from muscope.costs import POWER_DIRECTIONS, POWER_ITERATIONS
from muscope.lab import probes
from muscope.lab.members import Chosen
from muscope.vocabulary import Statistic, TensorKind

COLD_ROUNDS = 2 * POWER_ITERATIONS
"""From random directions."""
SMALL = POWER_DIRECTIONS * (1 + COLD_ROUNDS)
"""A search would span all rows or columns of matrices up to this, which are solved instead."""
OWN_PART = 0.01
"""Of the squared length of a direction, what the others lack: less would magnify rounding."""


class Spectra:
    """Remembers the directions that each matrix stretched most, where the next search begins."""

    def __init__(self) -> None:
        self._directions: dict[tuple[TensorKind, str], Tensor] = {}

    def select(self, chosen: Chosen) -> "Spectra":
        """What is known of these members."""
        found = Spectra()
        found._directions = {key: of[chosen] for key, of in self._directions.items()}
        return found

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
        if min(values.shape[1:]) <= SMALL:
            return _largest_of_small(values)
        known = self._directions.get(key)
        start = _random_directions(values) if known is None else known
        rounds = COLD_ROUNDS if known is None else POWER_ITERATIONS
        norm, self._directions[key] = largest_singular_value(values, start, rounds)
        return norm


def largest_singular_value(
    values: Tensor, directions: Tensor, rounds: int
) -> tuple[Tensor, Tensor]:
    """||W||_* from below (members,), in float64, and as many directions that W stretches most."""
    # Directions stand in rows: with them in columns a CPU takes five times as long.
    latest = directions @ values.mT
    basis, images = [directions], [latest]
    for _ in range(rounds):
        latest = _apart(latest @ values, torch.cat(basis, dim=1))
        basis.append(latest)
        latest = latest @ values.mT
        images.append(latest)
    searched, stretched = torch.cat(basis, dim=1), torch.cat(images, dim=1).double()
    whitening = _whitening(searched.double())
    squares, mixtures = _eigen(whitening @ (stretched @ stretched.mT) @ whitening.mT)
    best = mixtures[:, :, -directions.shape[1] :].mT @ whitening
    return squares[:, -1].clamp(min=0.0).sqrt(), _orthonormal(best.to(values) @ searched)


def _whitening(basis: Tensor) -> Tensor:
    """What makes a basis (members, n, columns) orthonormal: (members, n, n), symmetric.

    It is nearly so. Where a search has nothing left to find, its directions are rounding, and may
    be those that it has: what has no part of its own is dropped.
    """
    squares, vectors = _eigen(basis @ basis.mT)
    own = torch.where(squares < OWN_PART, 0.0, squares.clamp(min=OWN_PART).rsqrt())
    return (vectors * own[:, None, :]) @ vectors.mT


def _largest_of_small(values: Tensor) -> Tensor:
    """||W||_* (members,) in float64, from all singular values."""
    wide = values.double() if values.shape[1] <= values.shape[2] else values.double().mT
    return _eigen(wide @ wide.mT)[0][:, -1].clamp(min=0.0).sqrt()


def _apart(rows: Tensor, basis: Tensor) -> Tensor:
    """Rows of length 1 or less for the parts of rows that an orthonormal basis does not have."""
    rows = _orthonormal(rows - (rows @ basis.mT) @ basis)
    return rows - (rows @ basis.mT) @ basis  # once leaves rounding of what was taken away


def _largest_entry(values: Tensor) -> Tensor:
    """max |W| (members,); 1 of zeros and of what is not finite, which stay as they are."""
    largest = torch.maximum(values.amax((1, 2)), -values.amin((1, 2)))
    return torch.where((largest > 0) & largest.isfinite(), largest, 1.0)


def _eigen(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (members, n) of symmetric matrices, and eigenvectors as columns.

    nan where one has numbers that are not finite, which LAPACK refuses.
    """
    is_finite = squares.isfinite().all(2).all(1)
    known = torch.where(is_finite[:, None, None], squares, 0.0)
    values, vectors = torch.linalg.eigh(known)
    return torch.where(is_finite[:, None], values, torch.nan), vectors


def _orthonormal(rows: Tensor) -> Tensor:
    basis: Tensor = torch.linalg.qr(rows.mT).Q
    return basis.mT


def _random_directions(values: Tensor) -> Tensor:
    """The same for every member, so that none notices that it is stacked."""
    columns = values.shape[2]
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, POWER_DIRECTIONS, columns, generator=generator)
    return _orthonormal(rows).to(values).expand(len(values), -1, -1)
