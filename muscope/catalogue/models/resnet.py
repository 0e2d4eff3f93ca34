"""A small residual network: a stem, three stages of blocks, a readout of the mean over pixels.

Stages have the width n, 2n and 4n and `depth` blocks each; the second and third halve the image.
A block is norm, ReLU, convolution, norm, ReLU, convolution, added to its input (He et al. 2016b).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from muscope.catalogue import datasets
from muscope.catalogue.models.entries import (
    PRECISION,
    ActivationEntry,
    ModelEntry,
    WeightEntry,
    any_width,
    convolution,
    matrix,
)
from muscope.catalogue.options import Options
from muscope.vocabulary import Role

DATASET = "synthetic_cifar"
STAGES = 3
KERNEL = 3


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's name, its channels, and the side of its square image."""

    name: str
    channels: int
    side: int


def stages(width: int, options: Options) -> tuple[Stage, ...]:
    """Twice the channels and half the side each time, rounded up as a stride does."""
    side = datasets.chosen(DATASET, options).shape[-1]
    return tuple(
        Stage(f"stages.{number}", width << number, -(-side // (1 << number)))
        for number in range(STAGES)
    )


def weights(width: int, depth: int, options: Options) -> tuple[WeightEntry, ...]:
    """The weights, in the order of the forward."""
    data, sizes = datasets.chosen(DATASET, options), stages(width, options)
    stem = convolution(
        "stem", Role.EMBEDDING, width, data.shape[0], kernel=KERNEL, pixels=sizes[0].side ** 2
    )
    classes = datasets.classes(data, options)
    return (
        stem,
        *(
            entry
            for before, stage in zip((None, *sizes), sizes, strict=False)
            for entry in _stage(before, stage, depth)
        ),
        matrix("readout", Role.OUTPUT, classes, sizes[-1].channels),
    )


def _stage(before: Stage | None, stage: Stage, depth: int) -> Iterator[WeightEntry]:
    pixels, channels = stage.side**2, stage.channels
    if before:
        yield convolution(
            f"{stage.name}.down",
            Role.HIDDEN,
            channels,
            before.channels,
            kernel=KERNEL,
            pixels=pixels,
            stride=2,
        )
    for block in range(depth):
        for number in (1, 2):
            entry = convolution(
                f"{stage.name}.{block}.conv{number}",
                Role.HIDDEN,
                channels,
                channels,
                kernel=KERNEL,
                pixels=pixels,
            )
            yield replace(entry, in_branch=True, writes_stream=number == 2)


def activations(width: int, depth: int, options: Options) -> tuple[ActivationEntry, ...]:
    """Every convolution, and the stream after each stage and block."""
    data, sizes = datasets.chosen(DATASET, options), stages(width, options)
    return (
        ActivationEntry("stem", Role.EMBEDDING, sizes[0].channels * sizes[0].side ** 2),
        *(entry for stage in sizes for entry in _stage_activations(stage, depth)),
        ActivationEntry("readout", Role.OUTPUT, datasets.classes(data, options)),
    )


def _stage_activations(stage: Stage, depth: int) -> Iterator[ActivationEntry]:
    elements = stage.channels * stage.side**2
    if stage.name != "stages.0":
        yield ActivationEntry(f"{stage.name}.down", Role.HIDDEN, elements)
    for block in range(depth):
        for number in (1, 2):
            yield ActivationEntry(
                f"{stage.name}.{block}.conv{number}",
                Role.HIDDEN,
                elements,
                unrecorded_elements=2 * elements,  # the ReLU before it, and its copy by members
            )
        yield ActivationEntry(f"{stage.name}.{block}.residual", Role.RESIDUAL, elements)


RESNET = ModelEntry(
    name="resnet",
    title="ResNet",
    help="Residual network for images: 3 stages of `depth` blocks, norms without gains, ReLU.",
    dataset=DATASET,
    batch_size=16,
    options=(PRECISION, *datasets.data_options(DATASET)),
    complaint_of=any_width,
    weights_of=weights,
    activations_of=activations,
)
