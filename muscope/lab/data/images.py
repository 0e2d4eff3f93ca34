"""Images as rows of pixels with a class each."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from muscope.lab.data.examples import Examples, Positions
from muscope.lab.models.model import Batch


@dataclass(frozen=True)
class Images:
    """Pixels (images, inputs), channel after channel, and classes (images,).

    A batch has pixels of mean 0 and variance 1 over all images. The last `test` images are held
    out, where a dataset is published in two parts; else a tenth that a fixed seed draws.
    """

    pixels: Tensor
    classes: Tensor
    mean: float
    std: float
    test: int = 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels and the classes as bytes."""
        digest = hashlib.sha256(self.pixels.numpy().data)
        digest.update(self.classes.numpy().data)
        return digest.hexdigest()

    @cached_property
    def examples(self) -> Examples:
        """Every image."""
        count = len(self.classes)
        training, held_out = self._parts(count)
        return Examples(range(count), training, held_out, self._cut)

    def _parts(self, count: int) -> tuple[Positions, Positions]:
        if self.test:
            return range(count - self.test), range(count - self.test, count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
        training = count - count // 10
        return order[:training], order[training:]

    def _cut(self, chosen: Tensor) -> Batch:
        return Batch((self.pixels[chosen].float() - self.mean) / self.std, self.classes[chosen])


def of_bytes(pixels: Tensor, classes: Tensor, *, test: int = 0) -> Images:
    """Images of 8-bit pixels (images, inputs), their mean and variance counted exactly."""
    counts = torch.bincount(pixels.flatten(), minlength=256).double()
    share, value = counts / counts.sum(), torch.arange(256.0, dtype=torch.float64)
    mean = float(share @ value)
    std = float(share @ (value - mean) ** 2) ** 0.5
    return Images(pixels, classes, mean, std, test)
