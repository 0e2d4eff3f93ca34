"""Many families of noisy power laws, judged once or look by look: how often is a word wrong?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from muscope.spec import StudySpec
from muscope.theory.expected import TOLERANCE
from muscope.verdicts.looks import CONFIDENCE, confidence, looks
from muscope.verdicts.slopes import Fits, Floats, fit
from muscope.verdicts.stopping import is_decided
from muscope.verdicts.types import Cell
from muscope.vocabulary import CellVerdict, Role, Statistic

WIDTHS = (64, 128, 256, 512)
SPREAD = 5**0.5
"""Noise of log2 at these widths over that of the slope through them: the root of Σ(x - mean)²."""

Words = NDArray[np.str_]
FLAT, GROWS, SHRINKS, OPEN = "flat", "grows", "shrinks", "inconclusive"


@dataclass(frozen=True)
class Judged:
    """The words of every family, (families, cells), and the seeds that each needed."""

    words: Words
    seeds: NDArray[np.intp]

    def wrong(self, exponents: Sequence[float]) -> float:
        """The share of families with any wrong word: flat beyond the tolerance, or the reverse."""
        true = np.array(exponents)
        wrong = (
            ((self.words == GROWS) & (true <= TOLERANCE))
            | ((self.words == SHRINKS) & (true >= -TOLERANCE))
            | ((self.words == FLAT) & (np.abs(true) > TOLERANCE))
        )
        return float(wrong.any(axis=1).mean())


def families(
    exponents: Sequence[float], noises: Sequence[float], *, seeds: int, count: int, seed: int = 0
) -> Floats:
    """Values (families, cells, widths, seeds); `noises` are those of a single seed's slope."""
    generator = np.random.default_rng(seed)
    logs = generator.normal(size=(count, len(exponents), len(WIDTHS), seeds))
    logs *= np.array(noises)[:, None, None] * SPREAD
    logs += np.array(exponents)[:, None, None] * np.log2(WIDTHS)[:, None]
    values: Floats = 2**logs
    return values


def judged_once(values: Floats) -> Judged:
    """The fixed design: all seeds, one interval."""
    words, _ = _words(values, values.shape[-1], CONFIDENCE)
    return Judged(words, np.full(len(values), values.shape[-1]))


def judged_in_looks(spec: StudySpec, values: Floats) -> Judged:
    """The design of a study that may stop early."""
    last = Judged(np.full(values.shape[:2], OPEN, dtype="<U12"), np.zeros(len(values), np.intp))
    for look in looks(spec):
        sure = confidence(spec, look)
        words, fits = _words(values, look, sure)
        for family in np.flatnonzero(last.seeds == 0):
            own = range(family * values.shape[1], (family + 1) * values.shape[1])
            if look == spec.seeds or _is_decided(words[family], fits, own, sure):
                last.words[family], last.seeds[family] = words[family], look
    return last


def _words(values: Floats, seeds: int, sure: float) -> tuple[Words, Fits]:
    flat = values[..., :seeds].reshape(-1, len(WIDTHS), seeds)
    fits = fit(WIDTHS, flat, np.ones_like(flat, dtype=np.bool_), confidence=sure)
    low, high = fits.slope - fits.half_width, fits.slope + fits.half_width
    words = np.full(len(flat), OPEN, dtype="<U12")
    words[(low >= -TOLERANCE) & (high <= TOLERANCE)] = FLAT
    words[low > TOLERANCE], words[high < -TOLERANCE] = GROWS, SHRINKS
    return words.reshape(values.shape[:2]), fits


def _is_decided(words: Words, fits: Fits, numbers: Sequence[int], sure: float) -> bool:
    worst = next(word for word in (GROWS, SHRINKS, OPEN, FLAT) if word in words)
    if worst == OPEN:
        return False
    named = zip(words, numbers, strict=True)
    cells = [_cell(CellVerdict(word), fits, number) for word, number in named]
    return is_decided(CellVerdict(worst), cells, sure)


def _cell(word: CellVerdict, fits: Fits, number: int) -> Cell:
    low, high = fits.interval_of(number) or (None, None)
    return Cell.model_construct(
        tensor="hidden.0",
        role=Role.HIDDEN,
        depth=1,
        step=number,
        statistic=Statistic.L1,
        verdict=word,
        slope=fits.slope_of(number),
        low=low,
        high=high,
        seeds=int(fits.seeds[number]),
        widths=WIDTHS,
        tolerance=TOLERANCE,
        smallest_detectable=None,
        exception=None,
        expected=None,
        as_expected=None,
        source="",
    )
