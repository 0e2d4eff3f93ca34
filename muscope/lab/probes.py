"""How large a tensor is, per member of a stack; every number is in float64.

Right to a relative 1e-6: float32 sums stay short or pairwise. rms is infinite beyond 1e19 and too
small below 1e-19, zero at 1e-23: squares that float32 cannot hold. Scaling them first would take
four times as long.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from muscope.vocabulary import Statistic, TensorKind


class Reading(NamedTuple):
    """Statistics of one tensor of every member of a stack: values (members, statistics)."""

    kind: TensorKind
    tensor: str
    statistics: tuple[Statistic, ...]
    values: Tensor


def rms(now: Tensor) -> Tensor:
    """sqrt(mean x^2): (members,)."""
    # The norm of a row is faster than a sum of squares; the rows are added up in float64.
    rows = torch.linalg.vector_norm(now, dim=-1).flatten(1).double()  # (members, rows)
    found: Tensor = (rows.square().mean(1) / now.shape[-1]).sqrt()
    return found


def mean_abs(now: Tensor) -> Tensor:
    """mean |x|: (members,)."""
    return now.flatten(1).abs().mean(1).double()


def _mean(now: Tensor) -> Tensor:
    return now.flatten(1).mean(1).double()


def _max_abs(now: Tensor) -> Tensor:
    # amax hands a nan on, which a maximum is when any of its numbers is none
    return now.flatten(1).abs().amax(1).double()


_SIZES: Mapping[Statistic, Callable[[Tensor], Tensor]] = {
    Statistic.L1: mean_abs,
    Statistic.RMS: rms,
    Statistic.MEAN: _mean,
    Statistic.MAX_ABS: _max_abs,
}


def sizes(now: Tensor, first: Tensor, statistics: Sequence[Statistic]) -> dict[Statistic, Tensor]:
    """Of these statistics the sizes and the change since `first`, each (members,).

    Tensors of lower precision are measured in float32: sums of theirs would round to their digits.
    """
    now, first = now.float(), first.float()
    found = {name: _SIZES[name](now) for name in statistics if name in _SIZES}
    if Statistic.CHANGE in statistics:
        found[Statistic.CHANGE] = mean_abs(now - first)
    return found


def reading(kind: TensorKind, tensor: str, found: Mapping[Statistic, Tensor]) -> Reading:
    """The numbers (members,) of one tensor as columns."""
    return Reading(kind, tensor, tuple(found), torch.stack(tuple(found.values()), dim=1))
