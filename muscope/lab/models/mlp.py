"""Multi-layer perceptron: an input layer, hidden layers, a readout."""

from torch import Tensor

from muscope.catalogue import Options
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import READOUT, Operators


class Mlp:
    """Reads images as rows of pixels; every layer is tapped before its nonlinearity."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        self.layers = ("input", *(f"hidden.{layer}" for layer in range(depth)))
        self.nonlinearity = str(options["nonlinearity"])
        self.is_regression = options["loss"] == "mse"

    def loss(self, operators: Operators, batch: Batch) -> Tensor:
        """The mean loss of the batch."""
        stream = batch.inputs  # (batch, pixels)
        for name in self.layers:
            before = operators.tap(name, operators.linear(name, stream))  # (batch, width)
            stream = operators.nonlinearity(self.nonlinearity, before)
        outputs = operators.tap(READOUT, operators.linear(READOUT, stream))  # (batch, classes)
        if self.is_regression:
            return operators.mean_squared_error(outputs, batch.targets)
        return operators.cross_entropy(outputs, batch.targets)
