"""What a model of the lab is: weights that know their role, a loss tapped on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from torch import Tensor
from torch.nn import functional

from muscope.vocabulary import Role

Tap: TypeAlias = Callable[[str, Tensor], None]
"""Called with the name and value of every activation, in the order of the catalogue."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight before it has values: its role and the shape of its tensor."""

    role: Role
    shape: tuple[int, int]


class Batch(NamedTuple):
    """Inputs and the classes they should be given."""

    inputs: Tensor
    targets: Tensor


BRANCHES = "branches"
"""The name under which `multipliers` holds what every residual branch is multiplied by."""


class Parameters(NamedTuple):
    """All that differs between members; `multipliers` leaves out what is 1 for all of them."""

    weights: dict[str, Tensor]
    multipliers: dict[str, Tensor]
    attention_scale: Tensor

    def linear(self, name: str, inputs: Tensor) -> Tensor:
        """multiplier * (W x), for inputs of any leading dimensions."""
        # One matrix per member: under vmap, leading dimensions would copy the weight for each.
        rows = functional.linear(inputs.flatten(0, -2), self.weights[name])
        return self.scaled(name, rows.view(*inputs.shape[:-1], -1))

    def lookup(self, name: str, indices: Tensor) -> Tensor:
        """multiplier * (W x) for one-hot x."""
        return self.scaled(name, functional.embedding(indices, self.weights[name]))

    def scaled(self, name: str, outputs: Tensor) -> Tensor:
        """The outputs of a weight times its multiplier."""
        return outputs * self.multipliers[name] if name in self.multipliers else outputs


class Model(Protocol):
    """A model of one member; the engine stacks it."""

    weights: dict[str, Weight]

    def loss(self, parameters: Parameters, batch: Batch, tap: Tap) -> Tensor:
        """The mean cross-entropy of the batch."""
