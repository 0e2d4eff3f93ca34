"""A search's products in one reading of a matrix, against PyTorch's."""

import pytest
import torch
from torch import Tensor

from muscope.lab import stretching

FLOAT32 = 1e-6
"""Sums of a few hundred terms of both signs, beside the largest."""


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_as_pytorch(stacks: list[Tensor], directions: Tensor, over: Tensor) -> None:
    found = stretching.stretched(stacks, directions, over)
    assert found is not None
    matrices = torch.cat(stacks) * over
    image = directions @ matrices.mT
    # of W v over the scale, and of Wᵀ W v over its square: the first is not divided again
    for one, other in zip(found, (image, image @ matrices), strict=True):
        assert (one - other).abs().max() < FLOAT32 * other.abs().max()


@pytest.mark.parametrize(("rows", "columns"), [(64, 40), (67, 41), (3, 90), (41, 256)])
def test_both_products_of_every_matrix(rows: int, columns: int) -> None:
    """Also where rows are no multiple of four, and matrices lie in columns."""
    stacks = [drawn(2, rows, columns, seed=1), drawn(2, columns, rows, seed=2).mT]
    over = torch.rand(4, 1, 1, generator=torch.Generator().manual_seed(3)) + 0.5
    assert_as_pytorch(stacks, drawn(4, 4, columns, seed=4), over)


def test_threads_share_the_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    monkeypatch.setattr(stretching, "MATRIX_THREAD", 2**10)
    assert_as_pytorch([drawn(5, 32, 48, seed=5)], drawn(5, 4, 48, seed=6), torch.ones(5, 1, 1))


def test_what_is_not_finite_stays_with_its_matrix() -> None:
    values = drawn(2, 16, 16, seed=7)
    values[0, 0, 0] = torch.inf
    found = stretching.stretched([values], drawn(2, 4, 16, seed=8), torch.ones(2, 1, 1))
    assert found is not None
    assert not any(of[0].isfinite().all() for of in found)
    assert all(of[1].isfinite().all() for of in found)


def test_other_precisions_and_counts_of_directions_are_left_to_pytorch() -> None:
    values, over = drawn(1, 8, 8, seed=9), torch.ones(1, 1, 1)
    assert stretching.stretched([values], drawn(1, 5, 8, seed=9), over) is None
    assert stretching.stretched([values.double()], drawn(1, 4, 8, seed=9), over) is None
