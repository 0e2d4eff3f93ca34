"""All that sizes are made of, added up in one reading of tensors, on a CPU.

PyTorch reads once or twice for every sum. The loops here are compiled by numba when they are first
called, which takes about a second, and kept on disk for the processes that follow.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SUM, NORM, ABS, LARGEST, CHANGE = range(5)
"""What is found: the sum of x, the root of that of x², the sum of |x|, max |x|, and the sum of
|x - x_0|."""
SIZES = 5
"""How much is found of x, and then of its update, which has no change, and of x - x_0, which has
only a norm and the sum of its sizes."""
ALONE, WITH_UPDATE, WITH_MOVED = 1, 2, 3
"""Of how many tensors that is."""
THREAD = 2**19
"""Numbers that are worth a thread: with fewer it is awake when the others are done."""
BLOCK = 2**10
"""Numbers that are read twice, of a tensor and then of its update, in a core's nearest cache."""
SIZE_BITS = np.int32(0x7FFFFFFF)
"""The bits of |x|: as whole numbers they are in the order of sizes, and nan is above all."""

Numbers: TypeAlias = NDArray[np.float32]
Found: TypeAlias = NDArray[np.float64]
Strides: TypeAlias = tuple[int, ...]


class Layout(NamedTuple):
    """How tensors are read: (members, rows, length), where the numbers of a row are neighbours.

    The strides are those of each tensor, from one member and from one row to the next, and the
    lengths count all from the first number to the last.
    """

    shape: tuple[int, int, int]
    strides: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...]


class Moves(NamedTuple):
    """What was found of x, its update and x - x_0 (15, members), and those two themselves."""

    found: Tensor
    update: Tensor
    moved: Tensor


def sums(now: Tensor, first: Tensor, before: Tensor | None = None) -> Tensor | None:
    """Of x, x_0 and, if given, the x before an update: (5 or 10, members), float64.

    None of what has to be read otherwise, as it lies on a GPU or in a rare layout.
    """
    if now.device.type != "cpu":
        return None
    tensors: tuple[Tensor, ...] = (now, first, now if before is None else before)
    if any(tensor.dtype is not torch.float32 or tensor.requires_grad for tensor in tensors):
        tensors = tuple(tensor.detach().float() for tensor in tensors)
    found = _found(partial(_read, ALONE if before is None else WITH_UPDATE), tensors)
    return None if found is None else torch.from_numpy(found.T)


def moves(now: Tensor, first: Tensor, before: Tensor) -> Moves | None:
    """The same, with the update and x - x_0, which are written in the same reading."""
    inputs = (now, first, before)
    if now.device.type != "cpu" or any(of.dtype is not torch.float32 for of in inputs):
        return None
    update, moved = torch.empty_like(now), torch.empty_like(now)
    found = _found(partial(_read, WITH_MOVED), (*inputs, update, moved))
    return None if found is None else Moves(torch.from_numpy(found.T), update, moved)


def counts(values: Tensor, borders: Sequence[float]) -> Tensor | None:
    """How many |x| are at most each border: (borders, members), float64."""
    if values.device.type != "cpu":
        return None
    bits = np.array(borders, dtype=np.float32).view(np.int32)
    found = _in_threads(partial(_counted, bits), (values.detach().float(),))
    return None if found is None else torch.from_numpy(np.sum(found, axis=0).T)


def _found(read: Callable[..., Found | None], tensors: tuple[Tensor, ...]) -> Found | None:
    """Of each member: (members, 5, 10 or 15)."""
    every = _in_threads(read, tensors)
    if every is None:
        return None
    found = every[0] if len(every) == 1 else _joined(every)
    squares = found[:, NORM::SIZES]
    np.sqrt(squares, out=squares)
    return found


def _joined(parts: list[Found]) -> Found:
    found: Found = np.sum(parts, axis=0)
    largest = slice(LARGEST, None, SIZES)
    found[:, largest] = np.max([of[:, largest] for of in parts], axis=0)
    return found


def _read(wanted: int, *tensors: Tensor) -> Found | None:
    """Of each member, with squares where norms will be."""
    layout = _layout(tensors[0].shape, tuple(tensor.stride() for tensor in tensors))
    if layout is None:
        return None
    numbers = _numbers(layout, tensors)
    numbers += (numbers[0],) * (5 - len(numbers))
    strides = layout.strides + (layout.strides[0],) * (5 - len(layout.strides))
    found = np.zeros((layout.shape[0], SIZES * wanted))
    _add_all(layout.shape, strides, numbers, found)
    return found


def _counted(bits: NDArray[np.int32], values: Tensor) -> Found | None:
    layout = _layout(values.shape, (values.stride(),))
    if layout is None:
        return None
    found = np.zeros((layout.shape[0], len(bits)))
    _count_all(layout.shape, layout.strides[0], _numbers(layout, (values,))[0], bits, found)
    return found


def _numbers(layout: "Layout", tensors: tuple[Tensor, ...]) -> tuple[Numbers, ...]:
    """All numbers of each tensor from its first to its last."""
    return tuple(
        tensor.as_strided((length,), (1,)).numpy()
        for tensor, length in zip(tensors, layout.lengths, strict=True)
    )


def _in_threads(
    read: Callable[..., Found | None], tensors: tuple[Tensor, ...]
) -> list[Found] | None:
    """What is found in every part of a large tensor, each a part of every member."""
    count = min(torch.get_num_threads(), tensors[0].numel() // THREAD)
    if count <= 1:
        alone = read(*tensors)
        return None if alone is None else [alone]
    outermost = max(range(1, tensors[0].dim()), key=tensors[0].stride)
    parts = (tensor.chunk(count, outermost) for tensor in tensors)
    every = list(threads(count).map(read, *parts))
    found = [of for of in every if of is not None]
    # a short part may have rows where the others have not
    return found if found and len(found) == len(every) else None


def threads(count: int) -> ThreadPoolExecutor:
    """So many, the same ones each time."""
    return _threads(count, os.getpid())


@lru_cache(maxsize=1)
def _threads(count: int, process: int) -> ThreadPoolExecutor:
    """Of this process: one that was forked has none of its parent's."""
    return ThreadPoolExecutor(count, thread_name_prefix=f"statistics-{process}")


@lru_cache(maxsize=4096)
def _layout(shape: Strides, strides: tuple[Strides, ...]) -> Layout | None:
    """In the order of memory; None where numbers do not lie in rows of one length."""
    axes: list[tuple[int, Strides]] = []
    for place in sorted(range(1, len(shape)), key=strides[0].__getitem__, reverse=True):
        size, steps = shape[place], tuple(of[place] for of in strides)
        if axes and axes[-1][1] == tuple(size * step for step in steps):
            axes[-1] = (axes[-1][0] * size, steps)
        elif size != 1:
            axes.append((size, steps))
    length, along = axes.pop() if axes else (1, (1,) * len(strides))
    rows, apart = axes.pop() if axes else (1, (0,) * len(strides))
    if axes or 0 in shape or any(step != 1 for step in along):
        return None
    each = tuple((of[0], apart[place]) for place, of in enumerate(strides))
    lasts = ((shape[0] - 1) * member + (rows - 1) * row + length for member, row in each)
    return Layout((shape[0], rows, length), each, tuple(lasts))


def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """With sums in another order; infinities and nan keep their meaning."""
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "nsz", "contract"}}
    try:
        made: Callable[..., Any] = numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # there is no directory to keep it in
        made = numba.njit(**options)(loop)
    return made


@compiled
def _add_sizes(total: float, squares: float, size: float, bits: np.int32, found: Found) -> None:
    found[SUM] += total
    found[NORM] += squares
    found[ABS] += size
    largest = np.int32(bits).view(np.float32)
    if largest > found[LARGEST] or np.isnan(largest):
        found[LARGEST] = largest


@compiled
def _add(x: Numbers, x_0: Numbers, found: Found) -> None:
    total, squares, size, change, bits = 0.0, 0.0, 0.0, 0.0, np.int32(0)
    for i in range(len(x)):
        value = np.float64(x[i])
        total += value
        squares += value * value
        size += abs(value)
        change += abs(np.float64(x[i] - x_0[i]))
        bits = max(bits, np.float32(x[i]).view(np.int32) & SIZE_BITS)
    found[CHANGE] += change
    _add_sizes(total, squares, size, bits, found)


@compiled
def _add_difference(x: Numbers, before: Numbers, found: Found) -> None:
    total, squares, size, bits = 0.0, 0.0, 0.0, np.int32(0)
    for i in range(len(x)):
        moved = np.float32(x[i] - before[i])
        value = np.float64(moved)
        total += value
        squares += value * value
        size += abs(value)
        bits = max(bits, moved.view(np.int32) & SIZE_BITS)
    _add_sizes(total, squares, size, bits, found)


@compiled
def _add_squares(x: Numbers, found: Found) -> None:
    squares = 0.0
    for i in range(len(x)):
        squares += np.float64(x[i]) * np.float64(x[i])
    found[NORM] += squares


@compiled
def _subtract(x: Numbers, other: Numbers, found: Numbers) -> None:
    for i in range(len(x)):
        found[i] = x[i] - other[i]


@compiled
def _add_all(
    shape: tuple[int, int, int],
    strides: tuple[tuple[int, int], ...],
    numbers: tuple[Numbers, ...],
    found: Found,
) -> None:
    members, rows, length = shape
    now, first, before, update, moved = numbers
    has_update, has_moved = found.shape[1] >= 2 * SIZES, found.shape[1] >= 3 * SIZES
    for member in range(members):
        for row in range(rows):
            i = member * strides[0][0] + row * strides[0][1]
            j = member * strides[1][0] + row * strides[1][1]
            k = member * strides[2][0] + row * strides[2][1]
            u = member * strides[3][0] + row * strides[3][1]
            m = member * strides[4][0] + row * strides[4][1]
            for start in range(0, length, BLOCK):
                end = min(start + BLOCK, length)
                x = now[i + start : i + end]
                _add(x, first[j + start : j + end], found[member])
                if has_update:
                    _add_difference(x, before[k + start : k + end], found[member, SIZES:])
                if has_moved:
                    _subtract(x, before[k + start : k + end], update[u + start : u + end])
                    way = moved[m + start : m + end]
                    _subtract(x, first[j + start : j + end], way)
                    _add_squares(way, found[member, 2 * SIZES :])
                    found[member, 2 * SIZES + ABS] = found[member, CHANGE]


@compiled
def _count_all(
    shape: tuple[int, int, int],
    strides: tuple[int, int],
    numbers: Numbers,
    borders: NDArray[np.int32],
    found: Found,
) -> None:
    members, rows, length = shape
    for member in range(members):
        for row in range(rows):
            place = member * strides[0] + row * strides[1]
            for start in range(place, place + length, BLOCK):
                bits = numbers[start : min(start + BLOCK, place + length)].view(np.int32)
                for border in range(len(borders)):
                    found[member, border] += _at_most(bits, borders[border])


@compiled
def _at_most(bits: NDArray[np.int32], border: np.int32) -> np.int32:
    count = np.int32(0)
    for i in range(len(bits)):
        count += np.int32((bits[i] & SIZE_BITS) <= border)
    return count
