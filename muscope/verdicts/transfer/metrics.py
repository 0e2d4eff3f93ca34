"""Numbers of a curve and of several, beside the verdict (facts 7.1): none of them decides it.

A yes or no on grid cells is coarse: it fails an optimizer that loses 0.008 nats and passes a drift
of an octave. So drift and regret stand beside it.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

from muscope.verdicts import student
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.transfer.losses import Curve, mean_curve
from muscope.verdicts.transfer.optimum import best, optimum

PLATEAU = 0.01
"""Nats above the least loss that still count as good."""


def plateau(curve: Curve) -> float | None:
    """Octaves over which the loss is within `PLATEAU` of the least, by lines between the cells.

    It ends at the edge of the grid, so that at an edge it is at least this. None where everything
    diverged.
    """
    centre = best(curve)
    if centre is None:
        return None
    limit = curve[centre] + PLATEAU
    octaves = sorted(curve)
    place = octaves.index(centre)
    above = _reach(octaves[place:], curve, limit)
    below = _reach(octaves[place::-1], curve, limit)
    return above + below


def _reach(octaves: Sequence[float], curve: Curve, limit: float) -> float:
    """How far from the first octave a curve stays below a limit."""
    for near, far in pairwise(octaves):
        if curve[far] > limit:
            inside = abs(near - octaves[0])
            if not math.isfinite(curve[far]):
                return inside
            share = (limit - curve[near]) / (curve[far] - curve[near])
            return inside + share * abs(far - near)
    return abs(octaves[-1] - octaves[0])


def sensitivity(curve: Curve, initial: float | None) -> float | None:
    """Mean over the rates of min(loss, loss before training) - least loss, in nats.

    (Wortsman et al. 2023, "Small-scale proxies", section 2.2.) What diverged counts as untrained.
    """
    centre = best(curve)
    if centre is None or initial is None or not math.isfinite(initial):
        return None
    return statistics.fmean(min(loss, initial) for loss in curve.values()) - curve[centre]


def same_cell(curves: Sequence[Curve]) -> bool | None:
    """Lingle's criterion: whether all curves have their least loss at one and the same rate.

    (Lingle 2024, section 3.) No tolerance, no bracket; None where any has no finite loss.
    """
    found = [best(curve) for curve in curves]
    if not found or None in found:
        return None
    return len(set(found)) == 1


def drift_of_cells(small: Curve, large: Curve) -> float | None:
    """Octaves from the best cell of one curve to that of another."""
    return _difference(best(small), best(large))


def drift_of_vertices(small: Curve, large: Curve) -> float | None:
    """Octaves from the optimum of one curve to that of another; None where one is not bracketed."""
    return _difference(optimum(small), optimum(large))


def regret(small: Curve, large: Curve) -> float | None:
    """What the large model loses at the best rate of the small one, against its own best."""
    transferred, own = best(small), best(large)
    if transferred is None or own is None or transferred not in large:
        return None
    lost = large[transferred] - large[own]
    return lost if math.isfinite(lost) else None


def worse_when_wider(found: Mapping[int, Mapping[int, Curve]]) -> tuple[int, int] | None:
    """The first pair of widths of which the wider one has the larger loss, at the narrowest's best.

    At equal steps a wider model should never do worse under µP (Yang et al. 2022, section 8);
    None where it never does, or where the rate was not tried. What is larger by less than the
    noise of the seeds is not worse. Depths and numbers of steps are compared in the same way.
    """
    means = {width: mean_curve(seeds) for width, seeds in sorted(found.items()) if seeds}
    transferred = best(next(iter(means.values()))) if means else None
    if transferred is None:
        return None
    pairs = list(pairwise(width for width, mean in means.items() if transferred in mean))
    shared = 1 - (1 - CONFIDENCE) / max(1, len(pairs))
    worse = (
        (narrow, wide)
        for narrow, wide in pairs
        if _is_worse(found[narrow], found[wide], transferred, shared)
    )
    return next(worse, None)


def _is_worse(
    narrow: Mapping[int, Curve], wide: Mapping[int, Curve], rate: float, confidence: float
) -> bool:
    """By more than Student's interval over the seeds that both have; of one seed, than a plateau.

    They are paired: a seed is one order of the data. What diverged is worse than what did not.
    """
    both = sorted(narrow.keys() & wide.keys())
    before, after = ([of[seed][rate] for seed in both] for of in (narrow, wide))
    if not all(map(math.isfinite, (*before, *after))):
        return math.fsum(after) > math.fsum(before)
    more = [b - a for a, b in zip(before, after, strict=True)]
    margin = student.half_width(more, confidence)
    return bool(more) and statistics.fmean(more) > (PLATEAU if margin is None else margin)


def _difference(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start
