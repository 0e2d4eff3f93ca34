"""Where an optimum is: one variant at one place of the grid, and places side by side on an axis."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from muscope.spec import RunSpec, StudySpec
from muscope.vocabulary import Axis

FIELDS = {
    Axis.WIDTH: "width",
    Axis.DEPTH: "depth",
    Axis.BATCH: "batch_size",
    Axis.SEQUENCE: "sequence_length",
    Axis.STEPS: "steps",
}
"""What a place is called on each axis over which a rate may transfer, in the order of a place."""


class Place(NamedTuple):
    """What has an optimum. None is what a study has not several of and leaves to its models."""

    variant: str
    width: int
    depth: int
    batch_size: int | None = None
    sequence_length: int | None = None
    steps: int | None = None


class Line(NamedTuple):
    """Places that differ on one axis alone, the small ones first."""

    axis: Axis
    values: tuple[int, ...]
    places: tuple[Place, ...]


def place_of(spec: StudySpec, run: RunSpec) -> Place:
    """Where a run of a study stands in its grid, but for its rate and seed."""
    steps = run.steps if spec.step_counts else None
    key, size, length = run.variant.key, run.batch_size, run.sequence_length
    return Place(key, run.width, run.depth, size, length, steps)


def places(spec: StudySpec, variant: str) -> tuple[Place, ...]:
    """All places of a variant, as the grid has them."""
    sizes, lengths = spec.batch_sizes or (None,), spec.sequence_lengths or (None,)
    further = list(product(sizes, lengths, spec.step_counts or (None,)))
    return tuple(
        Place(variant, width, depth, *rest)
        for depth, rest, width in product(spec.depths, further, spec.widths)
    )


def lines(spec: StudySpec, variant: str, axis: Axis) -> Iterator[Line]:
    """All places of a variant in lines along an axis of which the study has several values."""
    number = 1 + list(FIELDS).index(axis)
    found: dict[tuple[object, ...], list[Place]] = {}
    for place in places(spec, variant):
        found.setdefault((*place[:number], *place[number + 1 :]), []).append(place)
    for own in found.values():
        yield Line(axis, tuple(getattr(place, FIELDS[axis]) for place in own), tuple(own))
