"""Which batch each member of a stack sees at which step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from muscope.lab import data
from muscope.lab.environment import device
from muscope.lab.models.model import Batch
from muscope.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Feed:
    """`at(step)` gives the batch; `dimension` says which one counts the members, if any does."""

    at: Callable[[int], Batch]
    dimension: int | None


def of(members: Sequence[RunSpec]) -> Feed:
    """One batch for all members and steps, or fresh ones in the order of each member's seed."""
    return _fresh(members) if members[0].batches == "fresh" else _fixed(members[0])


def _fixed(run: RunSpec) -> Feed:
    batch = _on_device(data.batch(run.variant.model))
    return Feed(lambda step: batch, dimension=None)


def _fresh(members: Sequence[RunSpec]) -> Feed:
    model, seeds = members[0].variant.model, [run.seed for run in members]

    def at(step: int) -> Batch:
        by_seed = {seed: data.fresh(model, step=step, seed=seed) for seed in set(seeds)}
        parts = zip(*(by_seed[seed] for seed in seeds), strict=True)
        return _on_device(Batch(*map(torch.stack, parts)))  # (members, batch, ...)

    return Feed(at, dimension=0)


def _on_device(batch: Batch) -> Batch:
    return Batch(*(part.to(device()) for part in batch))
