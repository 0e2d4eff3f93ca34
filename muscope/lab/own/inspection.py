"""One forward of a user's model, looked at: what it makes, and what of it reaches the loss."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from muscope.lab.own import graph
from muscope.lab.own.capture import MOST_CALLS, OUTPUT, Capture, Seen, eager
from muscope.own_model.tensors import Face, Met, Sight


def look(model: nn.Module, loss: Callable[[nn.Module], Tensor], width: int) -> Sight:
    """What a forward at one width meets."""
    met: list[Met] = []
    capture = Capture(model, lambda seen: met.append(as_met(seen)))
    with eager(), capture:
        value = loss(model)
    found = sight(capture, met, width)
    del value  # the graph that was walked lives as long as the loss
    return found


def sight(capture: Capture, met: list[Met], width: int) -> Sight:
    """What a capture that was left has met, while the graph of its forward is alive."""
    ends = {name: end for name, end in capture.loss_inputs.items() if name != OUTPUT}
    reached, unchanged = set[str](), set[str]()
    for end in (ends or capture.loss_inputs).values():
        reached |= _modules(graph.without_product(end), capture)
        unchanged |= _modules(graph.unchanged(end), capture)
    often = {
        name: count
        for (name, face), count in capture.calls.items()
        if count > MOST_CALLS and face is Face.MODULE
    }
    return Sight(
        width=width,
        met=tuple(_once(met)),
        before_loss=frozenset(reached),
        reaching_loss=frozenset(unchanged),
        into_scores=frozenset(capture.into_scores),
        calls=often,
    )


def _modules(nodes: Any, capture: Capture) -> set[str]:
    return {capture.nodes[node] for node in nodes if node in capture.nodes}


def as_met(seen: Seen) -> Met:
    """A tensor as plain facts."""
    value = seen.value.detach()
    return Met(
        name=seen.name,
        face=seen.face,
        shape=tuple(value.shape),
        source=seen.source,
        module=seen.module,
        factor=seen.factor,
        head_size=seen.head_size,
        is_zero=not bool(torch.count_nonzero(value)),
    )


def _once(met: list[Met]) -> list[Met]:
    """Of several numbers behind one module the last product counts."""
    return list({(one.name, one.face): one for one in met}.values())
