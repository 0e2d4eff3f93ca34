"""Multi-layer perceptron: an input layer, hidden layers, a readout; ReLU, no biases."""

from torch import Tensor
from torch.nn import functional

from muscope.catalogue import Options
from muscope.lab.models.model import Batch, Parameters, Tap, Weight
from muscope.vocabulary import Role

PIXELS = 64
DIGITS = 10


class Mlp:
    """Reads images of digits; every layer is tapped before its ReLU."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        self.layers = ("input", *(f"hidden.{layer}" for layer in range(depth)))
        self.weights = {
            "input": Weight(Role.EMBEDDING, (width, PIXELS)),
            **{name: Weight(Role.HIDDEN, (width, width)) for name in self.layers[1:]},
            "readout": Weight(Role.OUTPUT, (DIGITS, width)),
        }

    def loss(self, parameters: Parameters, batch: Batch, tap: Tap) -> Tensor:
        """The mean cross-entropy of the batch."""
        stream = batch.inputs  # (batch, pixels)
        for name in self.layers:
            before = parameters.linear(name, stream)  # (batch, width)
            tap(name, before)
            stream = functional.relu(before)
        logits = parameters.linear("readout", stream)  # (batch, digits)
        tap("readout", logits)
        return functional.cross_entropy(logits, batch.targets)
