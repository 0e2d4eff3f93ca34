"""How large a tensor is, per member of a stack; every number is in float64.

Within `at_once` loops of our own read a tensor once for all of them, on a CPU, and add in float64
(lab/fused.py). What is here is for GPUs, rare layouts and short runs, and to compare with.

PyTorch's sums are right to a relative 1e-6: in float32 they stay short or pairwise. rms is infinite
where squares add up beyond 3e38, from 1e19 on in a single number and from 1e15 on in the largest
tensors; below 1e-19 it is too small, zero at 1e-23. Scaling them first would take more passes.

A sum is no slower than memory; a copy of a large tensor is, because its pages are new. So tensors
are read in pieces that a core's cache holds, in the order of memory, whatever their layout, and
every piece is written to the same scratch.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from types import ModuleType
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from muscope.vocabulary import Statistic, TensorKind

log = logging.getLogger(__name__)

PIECE = 2**19
"""Numbers that are read at once on a CPU, 2 MiB: of fewer the calls cost more than the reading, of
many more they leave the cache."""
SHORT, LONG = 32, 1024
"""Rows of at least the one are fast to add up; in longer ones than the other equal numbers, whose
roundings are equal too, cost float32 more than a millionth."""

Comparison: TypeAlias = tuple[Callable[..., Tensor], float]
"""torch.le, torch.gt or the like, and what a size is compared with."""


class Reading(NamedTuple):
    """Statistics of one tensor of every member of a stack: values (members, statistics).

    Those of plugins come in readings of their own, by name.
    """

    kind: TensorKind
    tensor: str
    statistics: tuple[Statistic, ...]
    values: Tensor
    plugged: tuple[str, ...] = ()


_LOOPS: ContextVar[ModuleType | None] = ContextVar("loops", default=None)


@contextmanager
def at_once() -> Iterator[None]:
    """Within it a CPU reads a tensor once for all sizes, if numba is there."""
    token = _LOOPS.set(_fused())
    try:
        yield
    finally:
        _LOOPS.reset(token)


def is_at_once() -> bool:
    """Whether loops of our own are there, which are compiled by now."""
    return _LOOPS.get() is not None


@cache
def _fused() -> ModuleType | None:
    try:
        # it takes half a second, which the short would not win back
        from muscope.lab import fused
    except ImportError as error:
        log.warning("statistics are read by PyTorch alone, which takes longer: %s", error)
        return None
    return fused


def sizes(now: Tensor, first: Tensor, statistics: Sequence[Statistic]) -> dict[Statistic, Tensor]:
    """Of these statistics the sizes and the change since `first`, each (members,).

    Tensors of lower precision are measured in float32: sums of theirs would round to their digits.
    """
    return sized(now, first, statistics).by_name()


class Sizes(NamedTuple):
    """Sizes of one tensor: values (statistics, members)."""

    statistics: tuple[Statistic, ...]
    values: Tensor

    def reading(self, kind: TensorKind, tensor: str) -> Reading:
        """The same numbers as columns."""
        return Reading(kind, tensor, self.statistics, self.values.T)

    def by_name(self) -> dict[Statistic, Tensor]:
        """Each (members,)."""
        return dict(zip(self.statistics, self.values, strict=True))


def sized(now: Tensor, first: Tensor, statistics: Sequence[Statistic]) -> Sizes:
    """Of these statistics the sizes and the change since `first`, together."""
    wanted = _sizes_of(tuple(statistics))
    if not wanted:
        return Sizes((), torch.empty(0, len(now), dtype=torch.float64, device=now.device))
    tensors = (now, first) if Statistic.CHANGE in wanted else (now,)
    if (read := _read_at_once(now, tensors[-1])) is not None:
        return Sizes(wanted, _scaled(wanted, _rows(wanted, read), now))
    found = [torch.stack(_of_piece(wanted, *piece)) for piece in _pieces(*tensors)]
    return Sizes(wanted, _measured(wanted, found, now))


def sized_with_update(
    now: Tensor, others: tuple[Tensor, Tensor], wanted: tuple[Sequence[Statistic], ...]
) -> tuple[Sizes, Sizes]:
    """The sizes of `now` and those of `now - before`, which is never there as a whole.

    `others` are the first and the one before, `wanted` the statistics of both. Reading is what
    takes time, and what is in the cache is read for both.
    """
    own, of_update = _sizes_of(tuple(wanted[0])), _sizes_of_update(tuple(wanted[1]))
    if (read := _read_at_once(now, *others)) is not None:
        parts = (own, read[: len(_SIZES)]), (of_update, read[len(_SIZES) :])
        one, other = (Sizes(of, _scaled(of, _rows(of, rows), now)) for of, rows in parts)
        return one, other
    found = []
    for rows, first, before, scratch in _pieces(now, *others):
        sums = _of_piece(own, rows, first, scratch)
        sums += _of_difference(of_update, torch.sub(rows, before, out=scratch))
        found.append(torch.stack(sums))
    values = _measured((*own, *of_update), found, now)
    return Sizes(own, values[: len(own)]), Sizes(of_update, values[len(own) :])


class Moves(NamedTuple):
    """A weight's update and how far it moved since the start, whole, with the sizes of all three.

    `moved_sizes` has the RMS and l1.
    """

    sizes: Sizes
    update: Tensor
    update_sizes: Sizes
    moved: Tensor
    moved_sizes: dict[Statistic, Tensor]


def sized_with_moves(
    now: Tensor, others: tuple[Tensor, Tensor], wanted: tuple[Sequence[Statistic], ...]
) -> Moves:
    """As `sized_with_update`, with what matrix products need."""
    first, before = others
    loops = _LOOPS.get()
    if loops and (read := loops.moves(now, first, before)) is not None:
        sizes = _sizes_of(tuple(wanted[0])), _sizes_of_update(tuple(wanted[1])), _OF_MOVED
        own, of_update, of_moved = (
            Sizes(of, _scaled(of, _rows(of, rows), now))
            for of, rows in zip(sizes, read.found.chunk(3), strict=True)
        )
        return Moves(own, read.update, of_update, read.moved, of_moved.by_name())
    own, of_update = sized_with_update(now, others, wanted)
    moved = now - first
    return Moves(own, now - before, of_update, moved, sizes_of(moved))


def sizes_of(values: Tensor) -> dict[Statistic, Tensor]:
    """The RMS and l1: what products and what they are made of are measured by."""
    return sized(values, values, _OF_MOVED).by_name()


@lru_cache(maxsize=1024)
def _sizes_of(statistics: tuple[Statistic, ...]) -> tuple[Statistic, ...]:
    return tuple(name for name in _SIZES if name in statistics)


@lru_cache(maxsize=1024)
def _sizes_of_update(statistics: tuple[Statistic, ...]) -> tuple[Statistic, ...]:
    return tuple(name for name in _sizes_of(statistics) if name is not Statistic.CHANGE)


def _measured(wanted: tuple[Statistic, ...], found: list[Tensor], now: Tensor) -> Tensor:
    """What pieces gave, as the statistics are defined: (statistics, members), float64."""
    columns = found[0].double() if len(found) == 1 else _joined(wanted, torch.stack(found).double())
    return _scaled(wanted, columns, now)


def _scaled(wanted: tuple[Statistic, ...], columns: Tensor, now: Tensor) -> Tensor:
    return columns * _factors(wanted, math.prod(now.shape[1:]), now.device)


def _read_at_once(*tensors: Tensor) -> Tensor | None:
    """Sums, norms and maxima in the order of `_SIZES`, then those of an update, if they can be."""
    loops = _LOOPS.get()
    found: Tensor | None = loops.sums(*tensors) if loops else None
    return found


def _rows(wanted: tuple[Statistic, ...], found: Tensor) -> Tensor:
    """Those that are wanted of all that is found."""
    return found if len(wanted) == len(found) else found.index_select(0, _places(wanted))


@lru_cache(maxsize=1024)
def _places(wanted: tuple[Statistic, ...]) -> Tensor:
    return torch.tensor([tuple(_SIZES).index(name) for name in wanted])


def rms(now: Tensor) -> Tensor:
    """sqrt(mean x^2): (members,)."""
    return sizes(now, now, (Statistic.RMS,))[Statistic.RMS]


def mean_abs(now: Tensor) -> Tensor:
    """mean |x|: (members,)."""
    return sizes(now, now, (Statistic.L1,))[Statistic.L1]


def counts(values: Tensor, comparisons: Sequence[Comparison]) -> list[Tensor]:
    """How many numbers of each member have a size that compares so, each (members,)."""
    if (read := _counted_at_once(values, comparisons)) is not None:
        return read
    found = []
    for rows, scratch in _pieces(values):
        size = torch.abs(rows, out=scratch)
        # As floats, 0 and 1: comparing and adding booleans takes three times as long.
        marks = torch.empty_like(size)
        found.append(
            torch.stack([compare(size, to, out=marks).sum((1, 2)) for compare, to in comparisons])
        )
    return list(torch.stack(found).double().sum(0))


def _counted_at_once(values: Tensor, comparisons: Sequence[Comparison]) -> list[Tensor] | None:
    loops = _LOOPS.get()
    if loops is None or any(compare is not torch.le for compare, _ in comparisons):
        return None
    read = loops.counts(values, [border for _, border in comparisons])
    return None if read is None else list(read)


def reading(kind: TensorKind, tensor: str, found: Mapping[Statistic, Tensor]) -> Reading:
    """The numbers (members,) of one tensor as columns."""
    return Reading(kind, tensor, tuple(found), torch.stack(tuple(found.values()), dim=1))


_SIZES: Mapping[Statistic, Callable[[int], float]] = {
    Statistic.MEAN: lambda elements: 1 / elements,
    Statistic.RMS: lambda elements: 1 / math.sqrt(elements),
    Statistic.L1: lambda elements: 1 / elements,
    Statistic.MAX_ABS: lambda elements: 1.0,
    Statistic.CHANGE: lambda elements: 1 / elements,
}
"""What makes a statistic of the sum, norm or maximum over all numbers; in the order of measuring,
which writes first |x| and then the change to the scratch, and of what lab/fused.py finds."""


_OF_MOVED = (Statistic.RMS, Statistic.L1)


def _of_piece(wanted: Sequence[Statistic], rows: Tensor, *others: Tensor) -> list[Tensor]:
    """Sums, norms and maxima over (members, rows, length), each (members,)."""
    *first, scratch = others
    size = rows
    if Statistic.L1 in wanted or Statistic.MAX_ABS in wanted:
        size = torch.abs(rows, out=scratch)
    found = []
    for name in wanted:
        match name:
            case Statistic.MEAN:
                found.append(rows.sum((1, 2)))
            case Statistic.RMS:
                found.append(_norm(rows))
            case Statistic.L1:
                found.append(size.sum((1, 2)))
            case Statistic.MAX_ABS:
                # amax hands a nan on, which a maximum is when any of its numbers is none
                found.append(size.amax((1, 2)))
            case _:
                found.append(torch.sub(rows, first[0], out=scratch).abs_().sum((1, 2)))
    return found


def _of_difference(wanted: Sequence[Statistic], rows: Tensor) -> list[Tensor]:
    """Sums, norms and maxima over rows that nobody needs again, each (members,)."""
    found: dict[Statistic, Tensor] = {}
    if Statistic.MEAN in wanted:
        found[Statistic.MEAN] = rows.sum((1, 2))
    if Statistic.RMS in wanted:
        found[Statistic.RMS] = _norm(rows)
    size = rows.abs_()
    if Statistic.L1 in wanted:
        found[Statistic.L1] = size.sum((1, 2))
    if Statistic.MAX_ABS in wanted:
        found[Statistic.MAX_ABS] = size.amax((1, 2))
    return [found[name] for name in wanted]


def _norm(rows: Tensor) -> Tensor:
    """The norm of the norms of short rows, which is faster than a sum of squares."""
    if rows.shape[-1] > LONG:
        return rows.square().sum((1, 2)).sqrt()
    found: Tensor = torch.linalg.vector_norm(torch.linalg.vector_norm(rows, dim=-1), dim=-1)
    return found


def _joined(wanted: Sequence[Statistic], found: Tensor) -> Tensor:
    """What pieces (pieces, statistics, members) are together: (statistics, members)."""
    total = found.sum(0)
    for place, name in enumerate(wanted):
        if name is Statistic.RMS:
            total[place] = torch.linalg.vector_norm(found[:, place], dim=0)
        if name is Statistic.MAX_ABS:
            total[place] = found[:, place].amax(0)
    return total


@lru_cache(maxsize=1024)
def _factors(wanted: tuple[Statistic, ...], elements: int, device: torch.device) -> Tensor:
    values = [[_SIZES[name](elements)] for name in wanted]
    return torch.tensor(values, dtype=torch.float64, device=device)


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of one shape as rows (members, rows, length), and a scratch of that shape.

    A GPU takes all rows at once.
    """
    order = (0, *sorted(range(1, tensors[0].dim()), key=tensors[0].stride, reverse=True))
    rows = [_in_rows(tensor.float().permute(order)) for tensor in tensors]
    members, count, length = rows[0].shape
    most = max(1, PIECE // (members * length)) if rows[0].device.type == "cpu" else count
    scratch = rows[0].new_empty(members, min(most, count), length)
    for start in range(0, count, most):
        piece = [part[:, start : start + most] for part in rows] if most < count else rows
        yield *piece, scratch[:, : piece[0].shape[1]]


def _in_rows(values: Tensor) -> Tensor:
    length = values.shape[-1]
    if not SHORT <= length <= LONG:
        length = _row_length(values[0].numel())
    return values.reshape(len(values), -1, length)


@lru_cache(maxsize=1024)
def _row_length(elements: int) -> int:
    """The longest that divides the elements; all in one row if only short ones do."""
    longest = max(length for length in range(1, LONG + 1) if elements % length == 0)
    return longest if longest >= SHORT else elements
