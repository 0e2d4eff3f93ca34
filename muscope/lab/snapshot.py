"""What the training of a bundle holds between two steps, and a stack that goes on with it.

Random numbers need no place here: data and labels are drawn by the name of their stream, which has
seed and step in it (streams.py); rates follow from the spec and the step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from muscope.lab.feed import Feed, Source
from muscope.lab.models.operators import Parameters
from muscope.lab.stack import Stack
from muscope.spec import RunSpec
from muscope.vocabulary import Statistic, TensorKind


@dataclass(frozen=True, slots=True)
class StackState:
    """One stack: the places of its members, and its tensors by what they are, as `weights/head`.

    `memory` says how many tensors the optimizer remembers of each weight.
    """

    places: tuple[int, ...]
    is_together: bool
    memory: Mapping[str, int]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Columns:
    """What columns of a step are: statistics of one tensor, or those of plugins."""

    kind: TensorKind
    tensor: str
    statistics: tuple[Statistic, ...]
    plugged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that is computed and not yet told: a GPU always has one."""

    step: int
    places: tuple[int, ...]
    columns: tuple[Columns, ...]
    table: Tensor


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Training that goes on with `step`, for the members that are `left`.

    The tensors are those of the training itself: they change when it goes on.
    """

    step: int
    left: tuple[int, ...]
    stacks: tuple[StackState, ...]
    waiting: tuple[Waiting, ...] = ()


def of_stack(stack: Stack) -> StackState:
    """What a stack holds once its members have been updated."""
    if stack.kinds is not None:
        raise ValueError("a stack holds nothing to go on with before its first update")
    weights, multipliers = stack.parameters
    tensors = {
        **_at("weights", weights),
        **_at("multipliers", multipliers),
        **_at("observer", stack.observer.kept()),
    }
    for name, state in stack.state.items():
        tensors |= {f"state/{place}/{name}": part for place, part in enumerate(state)}
    memory = {name: len(state) for name, state in stack.state.items()}
    return StackState(tuple(stack.places), stack.is_together, memory, tensors)


def resume(
    stack: Stack, kept: StackState, *, source: Source, bundle: Sequence[RunSpec], step: int
) -> None:
    """Let a stack of these places that was just made go on with `step`, as another one would have.

    Raises ValueError or KeyError when it is not the state of such a stack.
    """
    weights, multipliers = _below("weights", kept.tensors), _below("multipliers", kept.tensors)
    _check_weights(stack, weights, members=len(kept.places))
    stack.kinds, stack.step, stack.is_together = None, step, kept.is_together
    stack.feed = Feed(source, [bundle[place].seed for place in kept.places])
    stack.parameters = Parameters(weights, multipliers)
    stack.state = {
        name: tuple(kept.tensors[f"state/{place}/{name}"] for place in range(count))
        for name, count in kept.memory.items()
    }
    stack.observer = stack.observer.resumed(multipliers, _below("observer", kept.tensors))


def _check_weights(stack: Stack, weights: Mapping[str, Tensor], *, members: int) -> None:
    wanted = {name: of.shape[1:] for name, of in stack.parameters.weights.items()}
    for name, shape in wanted.items():
        found = weights[name].shape
        if found != (members, *shape):
            raise ValueError(f"{name} has the shape {tuple(found)}, not {(members, *shape)}")


def _at(folder: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{folder}/{name}": of for name, of in tensors.items()}


def _below(folder: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    path = f"{folder}/"
    return {name.removeprefix(path): of for name, of in tensors.items() if name.startswith(path)}
