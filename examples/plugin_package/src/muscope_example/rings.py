"""Points on rings: which ring a point lies on is its class."""

import math

import torch

from muscope.plugins import Plugin

POINTS, CLASSES, SIDE = 4096, 4, 4


def rings():
    """(pixels, classes): each point through random cosines, so that it is an image of 4 x 4."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(POINTS) % CLASSES
    angle = 2 * math.pi * torch.rand(POINTS, generator=generator)
    radius = 1 + classes + 0.1 * torch.randn(POINTS, generator=generator)
    points = radius[:, None] * torch.stack((angle.cos(), angle.sin()), dim=1)  # (points, 2)
    directions = torch.randn(2, SIDE * SIDE, generator=generator)
    return (points @ directions).cos(), classes


RINGS = Plugin(
    "dataset",
    rings,
    title="Rings",
    help="4096 made points on four rings, as images of 4 x 4.",
    source="made here with a fixed seed",
    modality="image",
    classes=CLASSES,
    shape=[1, SIDE, SIDE],
)
