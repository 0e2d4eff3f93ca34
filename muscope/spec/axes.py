"""The axes of a grid: what a study may vary, and the values of each."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticKnownError

from muscope.spec.limits import BatchSize, Depth, Octave, SequenceLength, Steps, Width
from muscope.vocabulary import Axis

TRANSFER_AXES: Mapping[Axis, str] = {
    Axis.WIDTH: "widths",
    Axis.DEPTH: "depths",
    Axis.BATCH: "batch_sizes",
    Axis.SEQUENCE: "sequence_lengths",
    Axis.STEPS: "step_counts",
}
"""Over what a learning rate may transfer, and the grid of each."""

SMALLEST_GAP = 1 / 16
"""Octaves between learning rates: nearer ones train to the same loss."""


def _several_widths(widths: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
    """A coordinate check is about width; a learning-rate study may be about something else."""
    if len(widths) < 2 and info.data.get("kind") != "lr_transfer":
        lengths = {"field_type": "Tuple", "min_length": 2, "actual_length": len(widths)}
        raise PydanticKnownError("too_short", lengths)
    return widths


def _distinct_and_sorted(values: tuple[int, ...]) -> tuple[int, ...]:
    for earlier, value in pairwise(sorted(values)):
        if earlier == value:
            raise ValueError(f"the value {value} is there twice; each may be there once")
    return tuple(sorted(values))


def _distinct_rates(octaves: tuple[float, ...]) -> tuple[float, ...]:
    for earlier, octave in pairwise(sorted(octaves)):
        if octave - earlier < SMALLEST_GAP:
            raise ValueError(
                f"{earlier:g} and {octave:g} are less than {SMALLEST_GAP:g} octaves apart; "
                "each learning rate may be there once"
            )
    return tuple(sorted(octave + 0.0 for octave in octaves))  # -0.0 and 0.0 are one rate


_SORTED = AfterValidator(_distinct_and_sorted)
_SOME, _ANY = Field(min_length=1, max_length=64), Field(max_length=64)

Widths: TypeAlias = Annotated[tuple[Width, ...], _SOME, AfterValidator(_several_widths), _SORTED]
Depths: TypeAlias = Annotated[tuple[Depth, ...], _SOME, _SORTED]
BatchSizes: TypeAlias = Annotated[tuple[BatchSize, ...], _ANY, _SORTED]
SequenceLengths: TypeAlias = Annotated[tuple[SequenceLength, ...], _ANY, _SORTED]
StepCounts: TypeAlias = Annotated[tuple[Steps, ...], _ANY, _SORTED]
Octaves: TypeAlias = Annotated[
    tuple[Octave, ...], Field(max_length=256), AfterValidator(_distinct_rates)
]
