"""The largest singular value of stacked matrices, searched from where the search last ended.

Matrices are (members, rows, columns), the directions searched at once (members, n, columns).

A search is a block Lanczos method (Golub & Underwood 1977; Musco & Musco 2015): the largest
stretching of any direction in the span of V, V WᵀW, V (WᵀW)² and so on. After four rounds it is
closer than a power iteration, which looks at the last of these blocks only, after ten.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
FARTHEST, SQUARED = 1e30, 1e15
"""Directions can be divided by the one in float32; squares of what is within the other add up."""
OWN_PART = 0.01
"""Of the squared length of a direction, what the others lack: less would magnify rounding."""


class Matrix(NamedTuple):
    """A weight or update of every member, with its sizes as probes find them: each (members,)."""

    entry: WeightEntry
    values: Tensor
    largest: Tensor
    rms: Tensor


class Spectra:
    """Remembers the directions that each matrix stretched most, where the next search begins."""

    def __init__(self) -> None:
        self._directions: dict[tuple[TensorKind, str], Tensor] = {}

    def select(self, chosen: Chosen) -> "Spectra":
        """What is known of these members."""
        found = Spectra()
        found._directions = {key: of[chosen] for key, of in self._directions.items()}
        return found

    def kept(self) -> dict[str, Tensor]:
        """The directions by kind and name, as `weight/head`."""
        return {f"{kind}/{name}": of for (kind, name), of in self._directions.items()}

    @classmethod
    def resumed(cls, kept: Mapping[str, Tensor]) -> "Spectra":
        """One that begins its next searches where another one kept these directions."""
        found = cls()
        for path, of in kept.items():
            kind, _, name = path.partition("/")
            found._directions[TensorKind(kind), name] = of
        return found

    def statistics(
        self, kind: TensorKind, matrices: Sequence[Matrix]
    ) -> dict[str, dict[Statistic, Tensor]]:
        """||W||_* / sqrt(fan_out / fan_in), and the stable rank ||W||_F^2 / ||W||_*^2 (facts 6).

        By name. The stable rank of zeros is nan. A table has the largest RMS of a row instead of
        the norm, and no stable rank. All are taken of W over its largest entry: float32 has no
        squares of numbers below 1e-19 or above 1e19.
        """
        found: dict[str, dict[Statistic, Tensor]] = {}
        alike: dict[torch.Size, list[Matrix]] = {}
        for matrix in matrices:
            if matrix.entry.kind is WeightKind.TABLE:
                found[matrix.entry.name] = {Statistic.SPECTRAL: _largest_row(matrix)}
            else:
                alike.setdefault(matrix.values.shape, []).append(matrix)
        for group in alike.values():
            found |= self._of_one_shape(kind, group)
        return found

    def _of_one_shape(
        self, kind: TensorKind, matrices: Sequence[Matrix]
    ) -> dict[str, dict[Statistic, Tensor]]:
        scales = [_scale(matrix) for matrix in matrices]
        if min(matrices[0].values.shape[1:]) <= SMALL:
            scaled = [_over(of.values, scale) for of, scale in zip(matrices, scales, strict=True)]
            norms: Sequence[Tensor] = _largest_of_small(torch.cat(scaled)).chunk(len(scaled))
        else:
            norms = self._searched(kind, matrices, scales)
        found = {}
        for matrix, scale, norm in zip(matrices, scales, norms, strict=True):
            entry = matrix.entry
            found[entry.name] = {
                Statistic.SPECTRAL: scale.double() * norm / (entry.fan_out / entry.fan_in) ** 0.5,
                Statistic.STABLE_RANK: (_frobenius(matrix, scale) / norm).square(),
            }
        return found

    def _searched(
        self, kind: TensorKind, matrices: Sequence[Matrix], scales: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """The norm of each, over its scale, all side by side.

        A member that was zeros has no directions: its search begins anew, and is as long.
        """
        keys = [(kind, matrix.entry.name) for matrix in matrices]
        values = [matrix.values for matrix in matrices]
        random = _random_directions(values[0])
        nothing = torch.zeros_like(random)
        known = torch.cat([self._directions.get(key, nothing) for key in keys])
        random = random.repeat(len(keys), 1, 1)
        is_known = known.flatten(1).any(1)
        if is_known.all():
            norms, latest = largest_singular_values(values, scales, known, POWER_ITERATIONS)
        elif not is_known.any():
            norms, latest = largest_singular_values(values, scales, random, COLD_ROUNDS)
        else:
            norms, latest = _apart_from_new(values, scales, known, random)
        latest = torch.where(norms.isfinite()[:, None, None], latest, random)
        latest = torch.where((norms == 0)[:, None, None], 0.0, latest)
        self._directions |= dict(zip(keys, latest.chunk(len(keys)), strict=True))
        return norms.chunk(len(keys))


def _apart_from_new(
    values: Sequence[Tensor], scales: Sequence[Tensor], known: Tensor, random: Tensor
) -> tuple[Tensor, Tensor]:
    """Two searches: of those with known directions, and of the others from random ones."""
    norms, latest = known.new_empty(len(known), dtype=torch.float64), torch.empty_like(known)
    is_known = known.flatten(1).any(1)
    all_values, all_scales = torch.cat(list(values)), torch.cat(list(scales))
    for chosen, start, rounds in (
        (is_known, known, POWER_ITERATIONS),
        (~is_known, random, COLD_ROUNDS),
    ):
        norms[chosen], latest[chosen] = largest_singular_values(
            [all_values[chosen]], [all_scales[chosen]], start[chosen], rounds
        )
    return norms, latest


def largest_singular_values(
    values: Sequence[Tensor], scales: Sequence[Tensor], directions: Tensor, rounds: int
) -> tuple[Tensor, Tensor]:
    """||W||_* over the scale, from below, in float64, and the directions that W stretches most.

    Of several stacks of one shape (members, rows, columns), one after the other in what is given
    and found: norms (stacks * members,), directions (stacks * members, n, columns).
    """
    # Directions stand in rows: with them in columns a CPU takes five times as long. They are few,
    # so they are scaled and not the matrices.
    over = torch.cat(list(scales))[:, None, None].reciprocal()
    transposed = [of.mT for of in values]
    latest = _products(directions * over, transposed)
    basis, images = [directions], [latest]
    for _ in range(rounds):
        latest = _apart(_products(latest * over, values), torch.cat(basis, dim=1))
        basis.append(latest)
        latest = _products(latest * over, transposed)
        images.append(latest)
    searched, stretched = torch.cat(basis, dim=1), torch.cat(images, dim=1).double()
    whitening = _whitening(searched.double())
    squares, mixtures = _eigen(whitening @ (stretched @ stretched.mT) @ whitening.mT)
    best = mixtures[:, :, -directions.shape[1] :].mT @ whitening
    return squares[:, -1].clamp(min=0.0).sqrt(), _orthonormal(best.to(directions) @ searched)


def _products(rows: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """Rows times factors that lie apart, without copying those together."""
    if len(factors) == 1:
        return rows @ factors[0]
    parts = rows.chunk(len(factors))
    return torch.cat([part @ factor for part, factor in zip(parts, factors, strict=True)])


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


def _scale(matrix: Matrix) -> Tensor:
    """max |W| (members,), within what float32 can divide by; 1 of zeros and of what is not finite,
    which stay as they are."""
    is_size = (matrix.largest > 0) & matrix.largest.isfinite()
    return torch.where(is_size, matrix.largest, 1.0).clamp(1 / FARTHEST, FARTHEST).to(matrix.values)


def _over(values: Tensor, scale: Tensor) -> Tensor:
    return values / scale[:, None, None]


def _largest_row(matrix: Matrix) -> Tensor:
    scale = _scale(matrix)
    rows = torch.linalg.vector_norm(_over(matrix.values, scale), dim=2).amax(1).double()
    found: Tensor = scale.double() * rows / matrix.values.shape[2] ** 0.5
    return found


def _frobenius(matrix: Matrix, scale: Tensor) -> Tensor:
    """||W||_F over the scale: from the RMS, but where float32 has no squares."""
    has_squares = (scale > 1 / SQUARED) & (scale < SQUARED)
    rms = matrix.rms / scale
    if not has_squares.all():
        rms = torch.where(has_squares, rms, probes.rms(_over(matrix.values, scale)))
    elements = matrix.values[0].numel()
    found: Tensor = rms * elements**0.5
    return found


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
