"""What a model of the lab is: weights of the catalogue, and a loss written in operators."""

from typing import NamedTuple, Protocol

from torch import Tensor

from muscope.lab.models.operators import Operators


class Batch(NamedTuple):
    """Inputs and the classes they should be given."""

    inputs: Tensor
    targets: Tensor


class Model(Protocol):
    """A model of one member; the engine stacks it."""

    def loss(self, operators: Operators, batch: Batch) -> Tensor:
        """The mean loss of the batch; activations and inputs are left in the operators."""
