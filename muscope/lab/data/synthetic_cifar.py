"""Made images of CIFAR-10's shape, for machines without CIFAR-10."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from muscope.lab.data import images
from muscope.lab.data.images import Images

COUNT, CLASSES, CHANNELS, SIDE = 10_000, 10, 3, 32
COARSE = 4
"""Prototypes and noise live on a grid of 4x4 points per channel, drawn smooth in between."""

SIGNAL = 0.5
"""Of a prototype's points, where the smooth noise has 1: so close that classes overlap."""

GRAIN, CONTRAST = 0.3, 40.0


@cache
def read() -> Images:
    """A prototype per class in noise that is as smooth, with grain: never told apart perfectly."""
    generator = torch.Generator().manual_seed(0)
    common = prototypes(generator)
    classes = torch.randperm(COUNT, generator=generator) % CLASSES
    noise = torch.randn(COUNT, *common.shape[1:], generator=generator)
    smooth = drawn_smooth(common[classes] + noise)  # (images, channels, side, side)
    grain = torch.randn(smooth.shape, generator=generator).mul_(GRAIN)
    pixels = grain.add_(smooth).mul_(CONTRAST).add_(128).round_().clamp_(0, 255)
    return images.of_bytes(pixels.to(torch.uint8).flatten(1), classes)


def prototypes(generator: torch.Generator) -> Tensor:
    """What each class has in common: (classes, channels, coarse, coarse), the stream's first."""
    return SIGNAL * torch.randn(CLASSES, CHANNELS, COARSE, COARSE, generator=generator)


def drawn_smooth(points: Tensor) -> Tensor:
    """Images of full size from their grids of points."""
    return functional.interpolate(points, size=SIDE, mode="bilinear", align_corners=True)
