"""The best learning rate of one curve: a parabola through the best cell and its neighbours.

Of three cells around an interior minimum, g octaves apart, the vertex is
x* = x1 + g (y0 - y2) / (2 (y0 - 2 y1 + y2)) (facts 7.1). Of a finer grid all cells within half an
octave are neighbours, and the parabola is that of least squares: one noisy cell decides less.
"""

import math
from collections.abc import Sequence

from muscope.verdicts.transfer.losses import Curve

NEAR = 0.5
"""Octaves within which every cell is a neighbour; the nearest on each side always is one."""


def best(curve: Curve) -> float | None:
    """The octave of the least loss, the lower of two; None where everything diverged."""
    finite = [octave for octave, loss in curve.items() if math.isfinite(loss)]
    return min(finite, key=lambda octave: (curve[octave], octave), default=None)


def optimum(curve: Curve) -> float | None:
    """The octave of the optimum, or None when it is not bracketed by worse cells.

    A neighbour that diverged is worse than any other: the vertex is then at the limit of the
    formula, half-way to the other neighbour.
    """
    centre = best(curve)
    octaves = sorted(curve)
    if centre is None or centre in (octaves[0], octaves[-1]):
        return None
    place = octaves.index(centre)
    low, high = octaves[place - 1], octaves[place + 1]
    below, above = math.isfinite(curve[low]), math.isfinite(curve[high])
    if not below or not above:
        inner = low if below else high if above else centre
        return (centre + inner) / 2
    near = [x for x in octaves if low <= x <= high or abs(x - centre) <= NEAR]
    finite = [x for x in near if math.isfinite(curve[x])]
    return min(max(_vertex(finite, [curve[x] for x in finite], centre), low), high)


def spacing_unknown(curve: Curve) -> float:
    """Octaves between rates where the best one stands beside a diverged one; else 0.

    There the vertex is a place of the grid, whatever the loss: it is known to half a spacing.
    """
    centre, octaves = best(curve), sorted(curve)
    if centre is None or centre in (octaves[0], octaves[-1]):
        return 0.0
    place = octaves.index(centre)
    low, high = octaves[place - 1], octaves[place + 1]
    is_limit = not (math.isfinite(curve[low]) and math.isfinite(curve[high]))
    return (high - low) / 2 if is_limit else 0.0


def _vertex(x: Sequence[float], y: Sequence[float], centre: float) -> float:
    """The vertex of the parabola of least squares; the centre where it has none."""
    shifted = [value - centre for value in x]
    level = min(y)
    raised = [value - level for value in y]
    power = [math.fsum(value**n for value in shifted) for n in range(5)]
    moment = [
        math.fsum(loss * value**n for value, loss in zip(shifted, raised, strict=True))
        for n in range(3)
    ]
    # Cramer's rule for [c, b, a] of y = a x² + b x + c; the common denominator cancels in b / a.
    rows = [[power[i + j] for j in range(3)] for i in range(3)]
    linear = _determinant([[row[0], m, row[2]] for row, m in zip(rows, moment, strict=True)])
    square = _determinant([[row[0], row[1], m] for row, m in zip(rows, moment, strict=True)])
    if square <= 0:
        return centre
    return centre - linear / (2 * square)


def _determinant(rows: Sequence[Sequence[float]]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
