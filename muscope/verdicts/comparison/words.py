"""Which word a difference gets, among all differences of its kind.

*Alike*: its interval lies within what still counts as the same. *Lower* or *higher*: its interval
leaves zero out, and so does one with the error of its confidence shared among all differences of
the quantity (Bonferroni), as decision 36 has it of slopes. Else *open*. So many looks at few seeds
ask for a fair error: half of its variance is its own, half the mean of its like, and its degrees of
freedom count twice. A difference that has no like stands for itself, by its own interval.
"""

import math
from collections.abc import Sequence

from muscope.verdicts import student
from muscope.verdicts.comparison.intervals import Estimate
from muscope.verdicts.comparison.types import Word
from muscope.verdicts.looks import CONFIDENCE

FREEDOM = 2
"""Degrees of freedom for every one that a difference's own variance has, as for slopes."""


def words(estimates: Sequence[Estimate | None], tolerance: float) -> list[Word | None]:
    """The word of each; None where there is no difference at all."""
    known = [one for one in estimates if one is not None and one.variance is not None]
    shared = 1 - (1 - CONFIDENCE) / max(1, len(known))
    like = {paired: _mean_variance(known, paired=paired) for paired in (True, False)}
    return [
        None if one is None else _word(one, like[one.paired], shared, tolerance)
        for one in estimates
    ]


def _word(one: Estimate, like: float, confidence: float, tolerance: float) -> Word:
    half_width = one.half_width()
    if half_width is None:
        return Word.OPEN
    if abs(one.difference) + half_width <= tolerance:
        return Word.ALIKE
    if abs(one.difference) <= max(half_width, _reach(one, like, confidence)):
        return Word.OPEN
    return Word.LOWER if one.difference < 0 else Word.HIGHER


def _mean_variance(known: Sequence[Estimate], *, paired: bool) -> float:
    like = [one.variance or 0.0 for one in known if one.paired is paired]
    return math.fsum(like) / len(like) if like else 0.0


def _reach(one: Estimate, like: float, confidence: float) -> float:
    """Half the interval that holds among all, of a variance pooled with the mean of its like."""
    variance = ((one.variance or 0.0) + like) / 2
    return student.quantile(FREEDOM * one.freedom, confidence) * math.sqrt(variance)
