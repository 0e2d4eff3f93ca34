"""Which batch each member of a stack sees at which step."""

from collections.abc import Iterator, Sequence
from threading import Lock

import torch

from muscope.lab import data
from muscope.lab.environment import device
from muscope.lab.members import Chosen, of_list
from muscope.lab.models.model import Batch
from muscope.spec import RunSpec


class Source:
    """The data of a bundle, made once for all stacks: the fixed one, or those of a step by seed."""

    def __init__(self, run: RunSpec) -> None:
        self.model = run.model
        self.fixed = None if run.batches == "fresh" else _on_device(data.batch(self.model))
        self._step, self._fresh = -1, dict[int, Batch]()
        self._lock = Lock()

    def fresh(self, step: int, seed: int) -> Batch:
        """The batch of a step, in the order that a seed decides."""
        with self._lock:
            if step != self._step:
                self._step, self._fresh = step, {}
            if seed not in self._fresh:
                self._fresh[seed] = data.fresh(self.model, step=step, seed=seed)
            return self._fresh[seed]


class Feed:
    """`at(step)` gives the batch; `dimension` says which one counts the members, if any does."""

    def __init__(self, source: Source, seeds: Sequence[int]) -> None:
        self._source, self.seeds = source, tuple(seeds)
        self.dimension = None if source.fixed else 0

    def at(self, step: int) -> Batch:
        """One batch for all members and steps, or fresh ones in the order of each member's seed."""
        if self._source.fixed:
            return self._source.fixed
        parts = zip(*(self._source.fresh(step, seed) for seed in self.seeds), strict=True)
        return _on_device(Batch(*map(torch.stack, parts)))  # (members, batch, ...)

    def held_out(self, batches: int) -> Iterator[Batch]:
        """So many batches that nobody is trained on, the same for all members."""
        found = _on_device(data.held_out(self._source.model, batches=batches))
        for parts in zip(*(part.chunk(batches) for part in found), strict=True):
            yield Batch(*parts)

    def select(self, chosen: Chosen) -> "Feed":
        """The feed of these members."""
        return Feed(self._source, of_list(self.seeds, chosen))


def _on_device(batch: Batch) -> Batch:
    return Batch(*(part.to(device()) for part in batch))
