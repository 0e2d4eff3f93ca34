"""What every dataset becomes: positions of examples, and how to cut them out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from muscope.lab import streams
from muscope.lab.models.model import Batch

Positions: TypeAlias = range | Tensor
"""Where examples begin: all of a range, or the indices listed."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of a dataset: all of them, and the same in two parts that share nothing.

    `held_out` is a tenth that no fresh batch comes from. `cut` makes a batch of positions.
    """

    everything: range
    training: Positions
    held_out: Positions
    cut: Callable[[Tensor], Batch]


def evenly(positions: Positions, size: int) -> Tensor:
    """That many positions spread over all, so that a small batch is not all from one page."""
    return at(positions, torch.arange(size) * len(positions) // size)


def drawn(positions: Positions, size: int, *, stream: str) -> Tensor:
    """That many positions drawn with repetition; equal streams draw the same everywhere."""
    generator = streams.generator(stream)
    return at(positions, torch.randint(len(positions), (size,), generator=generator))


def at(positions: Positions, places: Tensor) -> Tensor:
    """The positions at these places of the row of positions."""
    if isinstance(positions, range):
        return positions.start + places
    return positions[places]
