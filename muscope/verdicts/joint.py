"""Width and depth together: does the slope on width hold at every depth?

Per seed the plane log2 y = a + b log2 w + c log2 L + d log2 w log2 L is fitted over the whole grid
of widths and depths, both centred; the interval of d is Student's t over the seeds, centred on the
fit of the seed mean, as everywhere. Over all depths the slope on width changes by d times their
octaves: it holds where the whole interval of that change lies within the tolerance of flat.
"""

import math
from collections.abc import Sequence

import numpy as np

from muscope.theory.expected import TOLERANCE
from muscope.verdicts.axes import over
from muscope.verdicts.grid import Grid, Place
from muscope.verdicts.slopes import Bools, Floats, quantile_of_seeds
from muscope.verdicts.types import DECIDING, Joint
from muscope.vocabulary import Axis, Statistic


def joint_slopes(grid: Grid, widths: Sequence[int], confidence: float) -> tuple[Joint, ...]:
    """One per place and statistic that decides, where every width and depth was measured."""
    found = over(grid, Axis.DEPTH, widths)
    if found is None or len(widths) < 2:
        return ()
    turned, depths = found
    shape = (-1, len(widths), len(turned.statistics), len(depths), grid.values.shape[-1])
    known = np.where(turned.present, turned.values, np.nan)
    values = np.moveaxis(known.reshape(shape), 1, 2)  # (places, statistics, widths, depths, seeds)
    places = turned.places[:: len(widths)]
    return tuple(
        joint
        for number, place in enumerate(places)
        for column, statistic in enumerate(turned.statistics)
        if statistic in DECIDING.get(place.kind, ())
        for joint in _fitted(place, statistic, (widths, depths), values[number, column], confidence)
    )


def _fitted(
    place: Place,
    statistic: Statistic,
    axes: tuple[Sequence[int], Sequence[int]],
    values: Floats,
    confidence: float,
) -> list[Joint]:
    """The plane of one cell, over the seeds that have all of it; nothing where none has."""
    whole: Bools = np.all(np.isfinite(values) & (values > 0), axis=(0, 1))
    seeds = int(whole.sum())
    if seeds == 0:
        return []
    w, depth = (_centred(points) for points in axes)
    contrasts = np.stack(
        [
            np.repeat(w[:, None], len(depth), 1),
            np.repeat(depth[None], len(w), 0),
            np.outer(w, depth),
        ]
    )
    contrasts /= (contrasts**2).sum(axis=(1, 2))[:, None, None]
    own = values[:, :, whole]
    on_width, on_depth, both = np.einsum("kwl,wl->k", contrasts, np.log2(own.mean(axis=2)))
    half_width = None
    if seeds >= 2:
        spread = np.einsum("wl,wls->s", contrasts[2], np.log2(own)).std(ddof=1)
        half_width = float(quantile_of_seeds(seeds, confidence) * spread / math.sqrt(seeds))
    octaves = math.log2(axes[1][-1] / axes[1][0])
    return [
        Joint(
            tensor=place.tensor,
            kind=place.kind,
            role=place.role,
            step=place.step,
            statistic=statistic,
            batch_size=place.batch_size,
            width_slope=float(on_width),
            depth_slope=float(on_depth),
            interaction=float(both),
            low=None if half_width is None else float(both) - half_width,
            high=None if half_width is None else float(both) + half_width,
            seeds=seeds,
            holds=_holds(float(both), half_width, TOLERANCE / octaves),
        )
    ]


def _centred(points: Sequence[int]) -> Floats:
    logs: Floats = np.log2(np.array(points, dtype=np.float64))
    centred: Floats = logs - logs.mean()
    return centred


def _holds(interaction: float, half_width: float | None, allowed: float) -> bool | None:
    """Whether the interval lies within what is allowed; None where it lies across its edge."""
    if half_width is None:
        return None
    if abs(interaction) + half_width <= allowed:
        return True
    return False if abs(interaction) - half_width > allowed else None
