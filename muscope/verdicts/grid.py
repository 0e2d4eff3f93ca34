"""The samples of one variant as one array, ready to be fitted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from muscope import catalogue
from muscope.catalogue import ActivationEntry
from muscope.records import Sample
from muscope.spec import StudySpec, Variant
from muscope.verdicts.slopes import Bools, Floats
from muscope.vocabulary import Role, Statistic

STATISTICS = tuple(Statistic)

ROUNDING = 1e-6
"""Of the size of a tensor: eight units in float32's last place (2**-23 = 1.2e-7)."""


@dataclass(frozen=True, slots=True)
class Place:
    """One tensor of one depth at one step: it has one cell per statistic."""

    depth: int
    tensor: str
    role: Role
    step: int
    aligns_slowly: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """Values of shape (places, statistics, widths, seeds); `present` says which were measured."""

    places: tuple[Place, ...]
    values: Floats
    present: Bools


def gather(spec: StudySpec, variant: Variant, samples: Sequence[Sample]) -> Grid:
    """Lay out the samples of one variant, places in the order of the model."""
    model_order = _model_order(spec, variant)
    found = [_place(sample, model_order) for sample in samples]
    order = {key: number for number, key in enumerate(model_order)}
    places = tuple(sorted(set(found), key=lambda p: (order[p.depth, p.tensor], p.step)))
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
        column = [_value(sample, statistic) for sample in samples]
        values[row, number, width, seed] = [0.0 if value is None else value for value in column]
        present[row, number, width, seed] = [value is not None for value in column]
    return Grid(places, values, present)


def _value(sample: Sample, statistic: Statistic) -> float | None:
    """The statistic; a change that only float32's rounding can have made is no change."""
    value = sample.value(statistic)
    if statistic is Statistic.CHANGE and value is not None and value < ROUNDING * sample.l1:
        return 0.0
    return value


def _place(sample: Sample, order: dict[tuple[int, str], ActivationEntry]) -> Place:
    entry = order[sample.depth, sample.tensor]
    return Place(sample.depth, sample.tensor, sample.role, sample.step, entry.aligns_slowly)


def _model_order(spec: StudySpec, variant: Variant) -> dict[tuple[int, str], ActivationEntry]:
    """What the model records, by depth and name, in its order."""
    model = catalogue.MODELS[variant.model.name]
    options = dict(variant.model.options)
    return {
        (depth, activation.name): activation
        for depth in spec.depths
        for activation in model.activations(spec.widths[0], depth, options)
    }
