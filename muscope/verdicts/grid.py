"""The samples of one variant as one array, ready to be fitted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from muscope import catalogue
from muscope.records import Sample
from muscope.spec import StudySpec, Variant
from muscope.verdicts.slopes import Bools, Floats
from muscope.vocabulary import Role, Statistic

STATISTICS = tuple(Statistic)


@dataclass(frozen=True, slots=True)
class Place:
    """One tensor of one depth at one step: it has one cell per statistic."""

    depth: int
    tensor: str
    role: Role
    step: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Values of shape (places, statistics, widths, seeds); `present` says which were measured."""

    places: tuple[Place, ...]
    values: Floats
    present: Bools


def gather(spec: StudySpec, variant: Variant, samples: Sequence[Sample]) -> Grid:
    """Lay out the samples of one variant, places in the order of the model."""
    found = [_place(sample) for sample in samples]
    places = _in_model_order(spec, variant, found)
    shape = (len(places), len(STATISTICS), len(spec.widths), spec.seeds)
    values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    if not samples:
        return Grid(places, values, present)
    rows = {place: number for number, place in enumerate(places)}
    columns = {width: number for number, width in enumerate(spec.widths)}
    row = [rows[place] for place in found]
    width = [columns[sample.width] for sample in samples]
    seed = [sample.seed for sample in samples]
    for number, statistic in enumerate(STATISTICS):
        column = [sample.value(statistic) for sample in samples]
        values[row, number, width, seed] = [0.0 if value is None else value for value in column]
        present[row, number, width, seed] = [value is not None for value in column]
    return Grid(places, values, present)


def _place(sample: Sample) -> Place:
    return Place(sample.depth, sample.tensor, sample.role, sample.step)


def _in_model_order(
    spec: StudySpec, variant: Variant, places: Iterable[Place]
) -> tuple[Place, ...]:
    model = catalogue.MODELS[variant.model.name]
    order = {
        (depth, activation.name): number
        for depth in spec.depths
        for number, activation in enumerate(
            model.activations(spec.widths[0], depth, dict(variant.model.options))
        )
    }

    def key(place: Place) -> tuple[int, int, int]:
        return (place.depth, order[place.depth, place.tensor], place.step)

    return tuple(sorted(set(places), key=key))
