"""The samples of one variant as one array, ready to be fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypeAlias

import numpy as np

from muscope import catalogue
from muscope.recording import STATISTICS
from muscope.records import Sample
from muscope.spec import StudySpec, Variant
from muscope.verdicts.slopes import Bools, Floats
from muscope.vocabulary import Axis, Role, Statistic, TensorKind

ROUNDING = 1e-6
"""Of the size of a tensor: eight units in float32's last place (2**-23 = 1.2e-7)."""


Tensor: TypeAlias = tuple[int, TensorKind, str]
"""(depth, kind, name)."""


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of one tensor of one depth at one step: it has one cell per statistic.

    `batch_size` is None in a study that has one. On another axis than width `width` is held.
    """

    depth: int
    kind: TensorKind
    tensor: str
    role: Role
    step: int
    aligns_slowly: bool = False
    batch_size: int | None = None
    axis: Axis = field(default=Axis.WIDTH, compare=False)
    width: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Grid:
    """Values of shape (places, statistics, widths, seeds); `present` says which were measured.

    On another axis the places on it stand where the widths do.
    """

    places: tuple[Place, ...]
    statistics: tuple[Statistic, ...]
    values: Floats
    present: Bools


def gather(spec: StudySpec, variant: Variant, samples: Sequence[Sample]) -> Grid:
    """Lay out the samples of one variant: by depth, kind and tensor in the order of the model."""
    model_order = _model_order(spec, variant)
    axes = (spec.widths, spec.seeds)
    return arrange(
        samples, model_order, _statistics(spec), axes, several_batches=bool(spec.batch_sizes)
    )


def arrange(
    samples: Sequence[Sample],
    model_order: Mapping[Tensor, bool],
    statistics: tuple[Statistic, ...],
    axes: tuple[Sequence[int], int],
    *,
    several_batches: bool = False,
) -> Grid:
    """Lay out samples over `axes`, (widths, number of seeds).

    `model_order` has every tensor, in the order of the model, and whether it aligns slowly.
    """
    widths, seeds = axes
    found = [_place(sample, model_order, several_batches) for sample in samples]
    order = {key: number for number, key in enumerate(model_order)}
    places = tuple(
        sorted(
            set(found),
            key=lambda p: (order[p.depth, p.kind, p.tensor], p.batch_size or 0, p.step),
        )
    )
    shape = (len(places), len(statistics), len(widths), seeds)
    values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    if not samples:
        return Grid(places, statistics, values, present)
    rows = {place: number for number, place in enumerate(places)}
    columns = {width: number for number, width in enumerate(widths)}
    row = [rows[place] for place in found]
    width = [columns[sample.width] for sample in samples]
    seed = [sample.seed for sample in samples]
    for number, statistic in enumerate(statistics):
        column = [_value(sample, statistic) for sample in samples]
        values[row, number, width, seed] = [0.0 if value is None else value for value in column]
        present[row, number, width, seed] = [value is not None for value in column]
    return Grid(places, statistics, values, present)


def _statistics(spec: StudySpec) -> tuple[Statistic, ...]:
    """Every statistic that any kind has in this study."""
    recorded = {name for names in STATISTICS[spec.record].values() for name in names}
    return tuple(statistic for statistic in Statistic if statistic in recorded)


def _value(sample: Sample, statistic: Statistic) -> float | None:
    """The size of the statistic; a change that only float32's rounding can have made is none.

    A weight that changes was changed: of weights and gradients no change is rounding.
    """
    value = sample.value(statistic)
    if value is None:
        return None
    if statistic is Statistic.CHANGE and sample.kind is TensorKind.ACTIVATION:
        return 0.0 if value < ROUNDING * (sample.values.l1 or 0.0) else value
    return abs(value)


def _place(sample: Sample, aligns_slowly: Mapping[Tensor, bool], several_batches: bool) -> Place:
    slow = aligns_slowly[sample.depth, sample.kind, sample.tensor]
    batch_size = sample.batch_size if several_batches else None
    return Place(
        sample.depth, sample.kind, sample.tensor, sample.role, sample.step, slow, batch_size
    )


def _model_order(spec: StudySpec, variant: Variant) -> dict[Tensor, bool]:
    """What the model records, in its order, and whether it is an activation that aligns slowly."""
    model = catalogue.MODELS[variant.model.name]
    options = dict(variant.model.options)
    found: dict[Tensor, bool] = {}
    for depth, kind in product(spec.depths, STATISTICS[spec.record]):
        if kind is TensorKind.ACTIVATION:
            made = model.activations(spec.widths[0], depth, options)
            found |= {(depth, kind, entry.name): entry.aligns_slowly for entry in made}
        else:
            weights = model.weights(spec.widths[0], depth, options)
            found |= {(depth, kind, entry.name): False for entry in weights}
    return found
