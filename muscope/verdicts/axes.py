"""The same measurements over another axis: depth, batch size or step, at every width.

No number is made here, they only change places: what was measured at one width of a grid becomes
a grid over the depths, one over the batch sizes, one over the steps.

Models of two depths do not have the same tensors: `last_block` says which are compared.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from muscope.verdicts import last_block
from muscope.verdicts.grid import Grid, Place
from muscope.verdicts.slopes import Integers
from muscope.vocabulary import Axis, Statistic, TensorKind

ABSENT = -1

SHOWN: Mapping[TensorKind, Collection[Statistic]] = {
    TensorKind.ACTIVATION: (Statistic.L1, Statistic.CHANGE),
    TensorKind.WEIGHT: (Statistic.CONTRIBUTION,),
    TensorKind.GRADIENT: (Statistic.L1,),
}
"""What is fitted over other axes than width: what decides, and gradients, of which theory speaks.
The mean square would repeat the mean size."""


def over(grid: Grid, axis: Axis, widths: Sequence[int]) -> tuple[Grid, tuple[int, ...]] | None:
    """A grid over another axis at every width, and the places on it; None with fewer than two."""
    kept = [(n, place) for n, place in enumerate(grid.places) if place.kind in SHOWN]
    scale = _scale((place for _, place in kept), axis)
    if len(scale) < 2:
        return None
    tensors = ((place.depth, place.kind, place.tensor) for _, place in kept)
    names = last_block.names(tensors) if axis is Axis.DEPTH else {}
    at = {point: number for number, point in enumerate(scale)}
    rows: dict[Place, list[int]] = {}
    for number, place in kept:
        point = at.get(_on(place, axis))
        tensor = names.get((place.depth, place.kind, place.tensor), place.tensor)
        if point is not None and tensor:
            moved = _moved(place, axis, scale[-1], tensor)
            rows.setdefault(moved, [ABSENT] * len(scale))[point] = number
    found = {place: own for place, own in rows.items() if len(own) - own.count(ABSENT) >= 2}
    if not found:
        return None
    return _turned(grid, axis, widths, tuple(found), np.array(list(found.values()))), scale


def _turned(
    grid: Grid, axis: Axis, widths: Sequence[int], places: Sequence[Place], rows: Integers
) -> Grid:
    """Rows (places, points of the axis) of a grid, as a grid over the points at every width."""
    wanted = {statistic for own in SHOWN.values() for statistic in own}
    columns = [number for number, name in enumerate(grid.statistics) if name in wanted]
    values = grid.values[rows][:, :, columns].transpose(0, 3, 2, 1, 4)
    known = grid.present[rows] & (rows >= 0)[:, :, None, None, None]
    present = known[:, :, columns].transpose(0, 3, 2, 1, 4)
    for number, place in enumerate(places):
        for column, source in enumerate(columns):
            if grid.statistics[source] not in SHOWN[place.kind]:
                present[number, :, column] = False
    shape = (len(places) * len(widths), *values.shape[2:])
    return Grid(
        places=tuple(replace(p, axis=axis, width=width) for p in places for width in widths),
        statistics=tuple(grid.statistics[column] for column in columns),
        values=values.reshape(shape),
        present=present.reshape(shape),
    )


def _scale(places: Iterable[Place], axis: Axis) -> tuple[int, ...]:
    """The places on the axis, in order; those that have no logarithm are none."""
    return tuple(sorted({where for place in places if (where := _on(place, axis)) > 0}))


def _on(place: Place, axis: Axis) -> int:
    match axis:
        case Axis.DEPTH:
            return place.depth
        case Axis.STEP:
            return place.step
        case Axis.BATCH:
            return place.batch_size or 0
        case _:
            raise ValueError(f"{axis} is no other axis than width")


def _moved(place: Place, axis: Axis, last: int, tensor: str) -> Place:
    """What all points of an axis share: the same place, at the end of that axis."""
    match axis:
        case Axis.DEPTH:
            return replace(place, depth=last, tensor=tensor)
        case Axis.STEP:
            return replace(place, step=last)
        case _:
            return replace(place, batch_size=last)
