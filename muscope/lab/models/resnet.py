"""A small residual network of convolutions (catalogue/models/resnet.py says its shape)."""

from torch import Tensor

from muscope.catalogue import Options
from muscope.catalogue.models.resnet import stages
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import READOUT, Operators


class ResNet:
    """Reads images as rows of pixels, channel after channel."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        self.depth, self.stages = depth, [stage.name for stage in stages(width, options)]
        self.side = stages(width, options)[0].side

    def loss(self, operators: Operators, batch: Batch) -> Tensor:
        """The mean cross-entropy of the batch."""
        images = batch.inputs.view(len(batch.inputs), -1, self.side, self.side)
        stream = operators.tap("stem", operators.apply("stem", images))
        for number, stage in enumerate(self.stages):
            if number:
                stream = operators.tap(f"{stage}.down", operators.apply(f"{stage}.down", stream))
            for block in range(self.depth):
                stream = self._block(operators, number * self.depth + block, stage, stream)
        features = operators.nonlinearity("relu", operators.image_norm(stream)).mean((2, 3))
        logits = operators.tap(READOUT, operators.linear(READOUT, features))  # (batch, classes)
        return operators.cross_entropy(logits, batch.targets)

    def _block(self, operators: Operators, index: int, stage: str, stream: Tensor) -> Tensor:
        block = f"{stage}.{index % self.depth}"

        def inside(inputs: Tensor) -> Tensor:
            for name in (f"{block}.conv1", f"{block}.conv2"):
                active = operators.nonlinearity("relu", operators.image_norm(inputs))
                inputs = operators.tap(name, operators.apply(name, active))
            return inputs

        return operators.tap(f"{block}.residual", operators.branch(index, stream, inside))
