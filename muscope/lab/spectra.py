"""The largest singular value of stacked matrices, searched from where the search last ended.

Matrices are (members, rows, columns), the directions searched at once (members, n, columns).

A search is a block Lanczos method (Golub & Underwood 1977; Musco & Musco 2015): the largest
stretching by Wᵀ of any direction in the span of W V, W (WᵀW) V, W (WᵀW)² V and so on. After four
rounds it is closer than a power iteration, which looks at the last of these blocks only, after ten.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from muscope.catalogue import WeightEntry, WeightKind
from muscope.costs import FAR_ROUNDS, SEARCH_DIRECTIONS, SEARCH_ROUNDS
from muscope.lab import probes
from muscope.lab.members import Chosen
from muscope.vocabulary import Statistic, TensorKind

COLD_ROUNDS = 8
"""From random directions."""
SMALL = SEARCH_DIRECTIONS * (1 + COLD_ROUNDS)
"""A search would span all rows or columns of matrices up to this, which are solved instead."""
FARTHEST, SQUARED = 1e30, 1e15
"""Directions can be divided by the one in float32; squares of what is within the other add up."""
OWN_PART = 1e-7
"""Of the squared lengths of all images together: what has less in some direction is rounding."""


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
        self, kind: TensorKind, matrices: Sequence[Matrix], far: Collection[str] = ()
    ) -> dict[str, dict[Statistic, Tensor]]:
        """||W||_* / sqrt(fan_out / fan_in), and the stable rank ||W||_F^2 / ||W||_*^2 (facts 6).

        By name; those whose directions may be `far` from the last ones are searched longer. The
        stable rank of zeros is nan. A table has the largest RMS of a row instead of the norm, and
        no stable rank. All are taken of W over its largest entry: float32 has no squares of numbers
        below 1e-19 or above 1e19.
        """
        found: dict[str, dict[Statistic, Tensor]] = {}
        alike: dict[tuple[torch.Size, int], list[int]] = {}
        searched = [of for of in matrices if of.entry.kind is not WeightKind.TABLE]
        for matrix in matrices:
            if matrix.entry.kind is WeightKind.TABLE:
                found[matrix.entry.name] = {Statistic.SPECTRAL: _largest_row(matrix)}
        if not searched:
            return found
        for place, matrix in enumerate(searched):
            rounds = FAR_ROUNDS if matrix.entry.name in far else SEARCH_ROUNDS[kind]
            alike.setdefault((matrix.values.shape, rounds), []).append(place)
        scales = _scales(searched)
        norms: dict[int, Tensor] = {}
        for (_, rounds), places in alike.items():
            group = [searched[place] for place in places]
            ours = [scales[place] for place in places]
            norms |= zip(places, self._of_one_shape(kind, group, ours, rounds), strict=True)
        norm = torch.stack([norms[place] for place in range(len(searched))])
        rank = (_frobenius(searched, scales) / norm).square()
        aspects = _column(tuple(_aspect(of.entry) for of in searched), norm.device)
        size = scales.double() * norm / aspects
        for matrix, one, other in zip(searched, size, rank, strict=True):
            of = {Statistic.SPECTRAL: one, Statistic.STABLE_RANK: other}
            found[matrix.entry.name] = of
        return found

    def _of_one_shape(
        self,
        kind: TensorKind,
        matrices: Sequence[Matrix],
        scales: Sequence[Tensor],
        rounds: int,
    ) -> Sequence[Tensor]:
        """The norm of each, over its scale."""
        if min(matrices[0].values.shape[1:]) > SMALL:
            return self._searched(kind, matrices, scales, rounds)
        scaled = [_over(of.values, scale) for of, scale in zip(matrices, scales, strict=True)]
        return _largest_of_small(torch.cat(scaled)).chunk(len(scaled))

    def _searched(
        self,
        kind: TensorKind,
        matrices: Sequence[Matrix],
        scales: Sequence[Tensor],
        rounds: int,
    ) -> Sequence[Tensor]:
        """The same, all side by side.

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
            norms, latest = largest_singular_values(values, scales, known, rounds)
        elif not is_known.any():
            norms, latest = largest_singular_values(values, scales, random, COLD_ROUNDS)
        else:
            norms, latest = _apart_from_new(values, scales, (known, random), rounds)
        latest = torch.where(norms.isfinite()[:, None, None], latest, random)
        latest = torch.where((norms == 0)[:, None, None], 0.0, latest)
        self._directions |= dict(zip(keys, latest.chunk(len(keys)), strict=True))
        return norms.chunk(len(keys))


def _apart_from_new(
    values: Sequence[Tensor],
    scales: Sequence[Tensor],
    directions: tuple[Tensor, Tensor],
    rounds_of_known: int,
) -> tuple[Tensor, Tensor]:
    """Two searches: of those with known directions, and of the others from random ones."""
    known, random = directions
    norms, latest = known.new_empty(len(known), dtype=torch.float64), torch.empty_like(known)
    is_known = known.flatten(1).any(1)
    all_values, all_scales = torch.cat(list(values)), torch.cat(list(scales))
    for chosen, start, rounds in (
        (is_known, known, rounds_of_known),
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
    # They are few, so they are scaled and not the matrices.
    over = torch.cat(list(scales))[:, None, None].reciprocal()
    image, back = _stretched(values, directions, over)
    basis, images, returned = [directions], [image], [back]
    for _ in range(rounds):
        basis.append(_apart(back, torch.cat(basis, dim=1)))
        image, back = _stretched(values, basis[-1], over)
        images.append(image)
        returned.append(back)
    half = _orthonormalized(torch.cat(images, dim=1).double(), torch.cat(returned, dim=1).double())
    squares, mixtures = _eigen(half @ half.mT)
    best = mixtures[:, :, -directions.shape[1] :].mT @ half
    return squares[:, -1].clamp(min=0.0).sqrt(), _orthonormal(best.to(directions))


def _stretched(values: Sequence[Tensor], directions: Tensor, over: Tensor) -> tuple[Tensor, Tensor]:
    """W v and Wᵀ W v of every direction, with W over its scale."""
    if probes.is_at_once():
        # it is compiled, which the short would not win back
        from muscope.lab import stretching

        if (found := stretching.stretched(values, directions, over)) is not None:
            return found
    # Directions stand in rows: with them in columns a CPU takes five times as long.
    image = _products(directions * over, [of.mT for of in values])
    return image, _products(image * over, values)


def _products(rows: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """Rows times factors that lie apart, without copying those together."""
    if len(factors) == 1:
        return rows @ factors[0]
    parts = rows.chunk(len(factors))
    return torch.cat([part @ factor for part, factor in zip(parts, factors, strict=True)])


def _orthonormalized(images: Tensor, returned: Tensor) -> Tensor:
    """Wᵀ of an orthonormal basis of images, if `returned` is Wᵀ of these: (members, n, columns).

    Where a search has nothing left to find, its directions are rounding, and so are their images:
    what is short beside the longest fades.
    """
    squares = images @ images.mT
    total = squares.diagonal(dim1=1, dim2=2).sum(1)
    least = torch.where(total > 0, OWN_PART * total, 1.0)
    squares.diagonal(dim1=1, dim2=2).add_(least[:, None])
    lower, _ = torch.linalg.cholesky_ex(squares)
    half: Tensor = torch.linalg.solve_triangular(lower, returned, upper=False)
    return half


def _largest_of_small(values: Tensor) -> Tensor:
    """||W||_* (members,) in float64, from all singular values."""
    wide = values.double() if values.shape[1] <= values.shape[2] else values.double().mT
    return _eigen(wide @ wide.mT)[0][:, -1].clamp(min=0.0).sqrt()


def _apart(rows: Tensor, basis: Tensor) -> Tensor:
    """Rows of length 1 or less for the parts of rows that an orthonormal basis does not have."""
    rows = _orthonormal(rows - (rows @ basis.mT) @ basis)
    return rows - (rows @ basis.mT) @ basis  # once leaves rounding of what was taken away


def _scales(matrices: Sequence[Matrix]) -> Tensor:
    """max |W| (matrices, members), within what float32 can divide by; 1 of zeros and of what is not
    finite, which stay as they are."""
    largest = torch.stack([of.largest for of in matrices])
    is_size = (largest > 0) & largest.isfinite()
    return torch.where(is_size, largest, 1.0).clamp(1 / FARTHEST, FARTHEST).float()


def _over(values: Tensor, scale: Tensor) -> Tensor:
    return values / scale[:, None, None]


def _largest_row(matrix: Matrix) -> Tensor:
    scale = _scales([matrix])[0]
    rows = torch.linalg.vector_norm(_over(matrix.values, scale), dim=2).amax(1).double()
    found: Tensor = scale.double() * rows / matrix.values.shape[2] ** 0.5
    return found


def _frobenius(matrices: Sequence[Matrix], scales: Tensor) -> Tensor:
    """||W||_F over the scale (matrices, members): from the RMS where float32 has the squares."""
    has_squares = (scales > 1 / SQUARED) & (scales < SQUARED)
    rms = torch.stack([of.rms for of in matrices]) / scales
    if not has_squares.all():
        over = zip(matrices, scales, strict=True)
        anew = torch.stack([probes.rms(_over(of.values, scale)) for of, scale in over])
        rms = torch.where(has_squares, rms, anew)
    lengths = tuple(of.values[0].numel() ** 0.5 for of in matrices)
    return rms * _column(lengths, rms.device)


def _aspect(entry: WeightEntry) -> float:
    return math.sqrt(entry.fan_out / entry.fan_in)


@lru_cache(maxsize=1024)
def _column(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device)[:, None]


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
    rows = torch.randn(1, SEARCH_DIRECTIONS, columns, generator=generator)
    return _orthonormal(rows).to(values).expand(len(values), -1, -1)
