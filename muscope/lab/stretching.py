"""What matrices make of a few directions, and their transposes of that, in one reading of them.

PyTorch reads a matrix once for each of the two products, and takes as long for four directions as
for sixteen. The loops here are compiled by numba, as those of lab/fused.py.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from muscope.costs import SEARCH_DIRECTIONS
from muscope.lab.fused import compiled, threads

MATRIX_THREAD = 2**18
"""Numbers of matrices that are worth a thread."""

Numbers = NDArray[np.float32]


def stretched(
    values: Sequence[Tensor], directions: Tensor, over: Tensor
) -> tuple[Tensor, Tensor] | None:
    """W v and Wᵀ W v of every direction, with W divided by its scale: `over` has 1 / scale.

    Stacks of one shape (members, rows, columns) lie apart; directions (stacks * members, n,
    columns) are in their order. None of what has to be multiplied otherwise.
    """
    count = directions.shape[1]
    if values[0].device.type != "cpu" or count != SEARCH_DIRECTIONS:
        return None
    if any(of.dtype is not torch.float32 for of in values):
        return None
    matrices = [of.contiguous().numpy() for of in values]
    images = torch.empty(len(directions), count, values[0].shape[1])
    back = torch.zeros_like(directions, memory_format=torch.contiguous_format)
    each = [of.contiguous().numpy() for of in (directions * over, images, back)]
    scales = over.flatten().numpy()
    places = np.cumsum([0, *(len(of) for of in matrices)])
    for stack, (start, end) in zip(matrices, pairwise(places), strict=True):
        part = (stack, *(of[start:end] for of in each), scales[start:end])
        _in_threads(part)
    return images, back


def _in_threads(part: tuple[NDArray[np.float32], ...]) -> None:
    """Each thread has matrices of its own."""
    stack = part[0]
    count = min(torch.get_num_threads(), len(stack), stack.size // MATRIX_THREAD)
    if count <= 1:
        _stretch_all(*part)
        return
    borders = np.linspace(0, len(stack), count + 1).astype(int)
    pieces = [[of[start:end] for of in part] for start, end in pairwise(borders)]
    list(threads(count).map(partial(_stretch_each), pieces))


def _stretch_each(part: Sequence[NDArray[np.float32]]) -> None:
    _stretch_all(*part)


@compiled
def _stretch_all(
    stack: Numbers, directions: Numbers, images: Numbers, back: Numbers, over: Numbers
) -> None:
    rows = stack.shape[1]
    paired = rows - rows % 4
    for member in range(len(stack)):
        matrix, v, image = stack[member], directions[member], images[member]
        for row in range(0, paired, 4):
            _multiply_two(matrix, v, row, image)
            _multiply_two(matrix, v, row + 2, image)
            _add_four(matrix, image, row, over[member], back[member])
        for row in range(paired, rows):
            _multiply_one(matrix, v, row, image)
            _add_one(matrix, image, row, over[member], back[member])


@compiled
def _multiply_two(matrix: Numbers, v: Numbers, row: int, image: Numbers) -> None:
    """Two rows times four directions: eight sums at once, each in vectors of its own."""
    zero = np.float32(0)
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    one, other = matrix[row], matrix[row + 1]
    for i in range(matrix.shape[1]):
        x, y = one[i], other[i]
        a0 += x * v[0, i]
        a1 += x * v[1, i]
        a2 += x * v[2, i]
        a3 += x * v[3, i]
        b0 += y * v[0, i]
        b1 += y * v[1, i]
        b2 += y * v[2, i]
        b3 += y * v[3, i]
    image[0, row], image[1, row], image[2, row], image[3, row] = a0, a1, a2, a3
    image[0, row + 1], image[1, row + 1], image[2, row + 1], image[3, row + 1] = b0, b1, b2, b3


@compiled
def _multiply_one(matrix: Numbers, v: Numbers, row: int, image: Numbers) -> None:
    for direction in range(len(v)):
        total = np.float32(0)
        for i in range(matrix.shape[1]):
            total += matrix[row, i] * v[direction, i]
        image[direction, row] = total


@compiled
def _add_four(matrix: Numbers, image: Numbers, row: int, over: np.float32, back: Numbers) -> None:
    """Four rows, which are in the nearest cache now, times what became of the directions there."""
    w0, w1, w2, w3 = matrix[row], matrix[row + 1], matrix[row + 2], matrix[row + 3]
    for direction in range(len(back)):
        found = back[direction]
        a, b = image[direction, row] * over, image[direction, row + 1] * over
        c, d = image[direction, row + 2] * over, image[direction, row + 3] * over
        for i in range(len(found)):
            found[i] += a * w0[i] + b * w1[i] + c * w2[i] + d * w3[i]


@compiled
def _add_one(matrix: Numbers, image: Numbers, row: int, over: np.float32, back: Numbers) -> None:
    for direction in range(len(back)):
        size, found = image[direction, row] * over, back[direction]
        for i in range(len(found)):
            found[i] += size * matrix[row, i]
