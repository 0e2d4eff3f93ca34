"""What a learning-rate study may fail to tell, said before anything is trained."""

import math
from collections.abc import Iterator
from itertools import pairwise

from muscope import catalogue
from muscope.spec import TRANSFER_AXES, StudySpec, Variant
from muscope.theory.drifts import expected_drift

FEW_RATES = 5
"""An optimum needs a worse rate on either side, at every place, and room to move."""
COARSE = 2.0
"""Octaves between rates: with a factor 4 two curves look alike (facts 9, row 17)."""
ROOM = 1.0
"""Octaves beyond the outermost optimum, so that worse rates are seen there."""


def warnings(spec: StudySpec) -> Iterator[str]:
    """Of a study that sweeps learning rates; nothing of any other."""
    if spec.sweep is None:
        return
    rates = spec.reachable_octaves
    if len(rates) < FEW_RATES:
        yield (
            f"{len(rates)} learning rates: the best one needs a worse one on either side "
            f"wherever it moves; take {FEW_RATES} or more"
        )
    gap = max(b - a for a, b in pairwise(spec.octaves))
    if gap >= COARSE:
        yield f"learning rates {gap:g} octaves apart: a drift below that is hardly seen; take 1"
    yield from _too_short_a_span(spec, rates[-1] - rates[0])
    warmup = max(_warmup(variant) for variant in spec.variants)
    if 2 * warmup > spec.shortest:
        yield (
            f"warm-up takes {warmup} of {spec.shortest} steps: what differs between learning "
            f"rates has hardly begun; take {4 * warmup} steps or more"
        )


def _too_short_a_span(spec: StudySpec, span: float) -> Iterator[str]:
    """Where theory says that the best rate moves, the grid must hold it at both ends."""
    axis = spec.transfer_axes[0]
    grid = getattr(spec, TRANSFER_AXES[axis])
    doublings = math.log2(grid[-1] / grid[0])
    said = set()
    for variant in spec.variants:
        known = expected_drift(
            axis,
            variant.parametrization.name,
            catalogue.OPTIMIZERS[variant.optimizer.name].family,
            variant.parametrization.complete,
        )
        if known is None or not known.slope or variant.parametrization.title in said:
            continue
        said.add(variant.parametrization.title)
        moves = abs(known.slope) * doublings
        if moves + 2 * ROOM > span:
            yield (
                f"{variant.parametrization.title}: its best rate is expected to move by "
                f"{moves:.1f} octaves over these {TRANSFER_AXES[axis].replace('_', ' ')}, and the "
                f"learning rates span {span:g}; take {math.ceil(moves + 2 * ROOM)} or more"
            )


def _warmup(variant: Variant) -> int:
    return int(variant.optimizer.complete["warmup_steps"])
