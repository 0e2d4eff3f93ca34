"""The stacks of a bundle: halved when memory runs out, and without members that are lost."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import torch

from muscope import costs
from muscope.lab import feed, sharing, side_by_side, snapshot
from muscope.lab.environment import device
from muscope.lab.models import build
from muscope.lab.models.model import Model
from muscope.lab.snapshot import Snapshot, StackState
from muscope.lab.stack import Outcome, Stack
from muscope.spec import RunSpec

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Part(NamedTuple):
    """What one step gave the members at these places of the bundle."""

    places: list[int]
    outcome: Outcome


class Ensemble:
    """Members of one shape; those that start alike stand side by side in a stack."""

    def __init__(self, members: Sequence[RunSpec], start: Snapshot | None = None) -> None:
        self._stacks = _stacks(members) if start is None else _resumed(members, start)

    def kept(self) -> tuple[StackState, ...]:
        """What all stacks hold after a step."""
        return tuple(snapshot.of_stack(stack) for stack in self._stacks)

    def advance(self) -> list[Part]:
        """Measure and take a step."""
        return [Part(*found) for found in self._of_all(Stack.advance)]

    def measure(self) -> list[Part]:
        """Measure without a step."""
        return [Part(*found) for found in self._of_all(Stack.measure)]

    def held_out_losses(self, batches: int) -> dict[int, float]:
        """The mean loss of each place on so many held-out batches; nan of those that are lost."""
        return {
            place: loss
            for places, losses in self._of_all(lambda stack: stack.held_out_losses(batches))
            for place, loss in zip(places, losses.tolist(), strict=True)
        }

    def leave_out(self, diverged: Iterable[int]) -> None:
        """Compute no more what is lost among these places: every number of it will be nan.

        One of each stack goes on, to show what would have been measured.
        """
        diverged = set(diverged)
        for number, stack in enumerate(self._stacks):
            if len(stack.places) > 1 and not diverged.isdisjoint(stack.places):
                self._stacks[number] = _without_lost(stack)

    def drop(self, stopped: Collection[int]) -> None:
        """Compute these places no more; the last stack keeps one of them if no other is there.

        It goes on for those that are left out: they end with the others.
        """
        found = []
        for stack in self._stacks:
            kept = [n for n, place in enumerate(stack.places) if place not in stopped]
            if len(kept) == len(stack.places):
                found.append(stack)
            elif kept:
                found.append(stack.select(torch.tensor(kept, device=device())))
        self._stacks = found or [self._stacks[-1].select(slice(1))]

    def _of_all(self, work: Callable[[Stack], Result]) -> list[tuple[list[int], Result]]:
        """What the work gives each stack, and the places it stands for."""
        self._stacks, parts = _all_done(work, self._stacks)
        return [(stack.places, part) for stack, part in zip(self._stacks, parts, strict=True)]


def _all_done(
    work: Callable[[Stack], Result], stacks: Sequence[Stack]
) -> tuple[list[Stack], list[Result]]:
    """The stacks with what the work gave each: those that lacked memory in halves, one by one."""
    done, results = list[Stack](), list[Result]()
    for stack, found in zip(
        stacks, side_by_side.each(partial(_if_memory_lasts, work), stacks), strict=True
    ):
        if found is not None:
            done.append(stack)
            results.append(found)
        else:
            for half in stack.halves():
                halves, parts = _all_done(work, [half])
                done += halves
                results += parts
    return done, results


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it with a RuntimeError, on the CPU in one of two wordings."""
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(part in str(error) for part in words)


def _if_memory_lasts(work: Callable[[Stack], Result], stack: Stack) -> Result | None:
    """What the work gives; None when a smaller stack should be tried."""
    try:
        return work(stack)
    except (RuntimeError, MemoryError) as error:
        if len(stack.places) == 1 or not is_out_of_memory(error):
            raise
        log.warning("%d members do not fit together, halved: %s", len(stack.places), error)
    # the error, and with it what the failed step held, is gone here
    if device().type == "cuda":
        torch.cuda.empty_cache()
    return None


def _without_lost(stack: Stack) -> Stack:
    lost = stack.are_lost()
    if not lost.any():
        return stack
    kept = (~lost).nonzero()[:, 0]
    return stack.select(kept if len(kept) else slice(1))


def _stacks(members: Sequence[RunSpec]) -> list[Stack]:
    """The members in stacks of nearly equal size."""
    size, model, source = _stack_size(members), _model(members[0]), feed.Source(members[0])
    order = sharing.alike_together(sharing.starts(members, sharing.scales(members)))
    groups = [order[first : first + size] for first in range(0, len(order), size)]
    return side_by_side.each(partial(Stack, model, source, members), groups)


def _resumed(members: Sequence[RunSpec], start: Snapshot) -> list[Stack]:
    """The stacks that there were, each where it was."""
    model, source, found = _model(members[0]), feed.Source(members[0]), []
    for kept in start.stacks:
        stack = Stack(model, source, members, kept.places)
        snapshot.resume(stack, kept, source=source, bundle=members, step=start.step)
        found.append(stack)
    return found


def _model(run: RunSpec) -> Model:
    spec = run.model
    return build(spec.name, run.width, run.depth, dict(spec.options))


def _stack_size(members: Sequence[RunSpec]) -> int:
    """How many members are stepped together: all of them on a GPU, what stays fast on a CPU."""
    if device().type == "cuda":
        return len(members)
    return costs.stack_size(members[0], len(members), torch.get_num_threads())
