"""What would decide an inconclusive variant: more seeds, wider widths, or both, the cheapest.

Every open cell says how far single seeds lie apart: s, the standard deviation of the slopes of
single seeds, read off its interval. Were S' seeds trained at the widths and the extra ones, half
the interval would be expected to be

    h' = t(S' - 1) s sqrt(V / V') / sqrt(S'),        V = sum of (log2 n - mean)^2 over the widths

because noise that is as large at every width makes slopes that scatter as 1/sqrt(V). The new slope
lies around the one that is known, by what the new runs can still change: Student's t with S - 1
degrees of freedom and the variance s^2/S - s^2 V/(V' S'). With what probability the whole new
interval falls into one of the regions where there is a word gives how likely that cell is decided;
the variant is decided when its least likely open cell is, or when one of them grows. Of all
candidates that decide it with `ENOUGH`, the cheapest in FLOPs is taken. A slope near the tolerance
itself needs very many seeds; where there is one, the cheapest is taken that decides `ENOUGH` of the
open slopes, and is said to. Where none does, the best if it is better than `HALF`.

What is known before is taken to be nothing (a flat prior of the slope): of slopes that are exactly
0 more are decided than that says.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import stdtr

from muscope import catalogue, costs
from muscope.spec import RunSpec, StudySpec, Variant
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.slopes import Floats, quantile_of_seeds
from muscope.verdicts.types import ENOUGH, Addition, Cell
from muscope.vocabulary import CellVerdict

HALF = 0.5
"""Less likely than not is not worth offering."""
FEWEST_SEEDS = 3
"""With two seeds an interval has one degree of freedom."""
MOST_SEEDS = 64
"""What a study may have."""
MOST_COST = 10.0
"""So many times the cost so far at most: an offer, not another study."""
EXTRA_OCTAVES = 2
"""Wider widths at most: each costs four times the one before."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An addition, with the FLOPs of its new runs and the spread of all its widths."""

    addition: Addition
    cost: float
    spread: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured: the widths, the seeds, and what one run costs at a width."""

    widths: Sequence[int]
    seeds: int
    cost: Callable[[int], float]

    def share(self, cost: float) -> float:
        """A cost over that of all that was measured."""
        return cost / (self.seeds * sum(map(self.cost, self.widths)))


def of_study(
    spec: StudySpec, variant: Variant, cells: Iterable[Cell], confidence: float
) -> Addition | None:
    """The cheapest addition to a study that would decide this variant, None where none would."""
    model = catalogue.MODELS[variant.model.name]
    options = dict(variant.model.options)

    def cost(width: int) -> float:
        run = RunSpec(
            variant=variant,
            width=width,
            depth=spec.depths[-1],
            base_width=spec.base_width or spec.widths[0],
            base_depth=spec.base_depth or spec.depths[0],
            seed=0,
            steps=spec.steps,
            record=spec.record,
            record_every=spec.record_every,
            batch_size=spec.batch_sizes[-1] if spec.batch_sizes else None,
        )
        return costs.flops(run)

    def is_possible(width: int) -> bool:
        return width <= 65_536 and model.check(width, options) is None

    measured = Measured(spec.widths, spec.seeds, cost)
    return cheapest(cells, measured, confidence=confidence, is_possible=is_possible)


def cheapest(
    cells: Iterable[Cell],
    measured: Measured,
    *,
    confidence: float = CONFIDENCE,
    is_possible: Callable[[int], bool] = lambda width: True,
) -> Addition | None:
    """The cheapest addition that would decide the open ones of these cells."""
    still_open = [cell for cell in cells if _is_open(cell)]
    if not still_open:
        return None
    if measured.seeds < FEWEST_SEEDS and any(cell.seeds < 2 for cell in still_open):
        return _first_interval(measured)
    known = [cell for cell in still_open if cell.low is not None and len(cell.widths) > 1]
    candidates = sorted(_candidates(measured, is_possible), key=lambda one: one.cost)
    if len(known) < len(still_open) or not candidates:
        return None
    all_of_them, share = _chances(known, measured, candidates, confidence)
    best = _first_of(all_of_them, share)
    if best is None:
        return None
    chosen = candidates[best]
    chances = {"probability": float(all_of_them[best]), "decided": float(share[best])}
    return chosen.addition.model_copy(update={**chances, "cost": measured.share(chosen.cost)})


def _first_of(all_of_them: Floats, share: Floats) -> int | None:
    """The cheapest that decides the verdict; else most slopes; else the best, better than not."""
    for chances in (all_of_them, share):
        enough = np.flatnonzero(chances >= ENOUGH)
        if len(enough):
            return int(enough[0])
    best = int(np.argmax(share))
    return best if share[best] >= HALF else None


def _is_open(cell: Cell) -> bool:
    return cell.decides and cell.counts and cell.verdict is CellVerdict.INCONCLUSIVE


def _first_interval(measured: Measured) -> Addition:
    """One seed has no interval, so nothing can be said of how many would be enough."""
    missing = FEWEST_SEEDS - measured.seeds
    cost = missing * sum(map(measured.cost, measured.widths))
    return Addition(seeds=FEWEST_SEEDS, cost=measured.share(cost))


def _candidates(measured: Measured, is_possible: Callable[[int], bool]) -> Iterator[Candidate]:
    """More seeds, and up to two more doublings of the widest width, as far as affordable."""
    widest, seeds = measured.widths[-1], measured.seeds
    extra = [widest * 2**octave for octave in range(1, EXTRA_OCTAVES + 1)]
    possible = [width for width in extra if is_possible(width)]
    old = sum(map(measured.cost, measured.widths))
    for total, more in product(range(seeds, MOST_SEEDS + 1), range(len(possible) + 1)):
        widths = tuple(possible[:more])
        cost = (total - seeds) * old + total * sum(map(measured.cost, widths))
        if 0 < cost <= MOST_COST * seeds * old:
            yield Candidate(
                addition=Addition(seeds=total, widths=widths),
                cost=cost,
                spread=_spread((*measured.widths, *widths)),
            )


def _spread(widths: Sequence[int]) -> float:
    return float(np.var(np.log2(np.array(widths, dtype=np.float64))) * len(widths))


def _chances(
    cells: Sequence[Cell], measured: Measured, candidates: Sequence[Candidate], confidence: float
) -> tuple[Floats, Floats]:
    """How likely each candidate decides the variant, and what share of its open cells."""
    totals = np.array([one.addition.seeds for one in candidates])
    gain = _spread(measured.widths) / np.array([one.spread for one in candidates])
    seeds = np.array([cell.seeds for cell in cells])[:, None]
    slope = np.array([cell.slope or 0.0 for cell in cells])[:, None]
    half_width = np.array([((cell.high or 0.0) - (cell.low or 0.0)) / 2 for cell in cells])[:, None]
    error = half_width / quantile_of_seeds(seeds, confidence)  # s / sqrt(S)
    new_error = error * np.sqrt(seeds * gain / np.maximum(totals, seeds))
    half = quantile_of_seeds(totals, confidence) * new_error
    still = np.sqrt(np.maximum(error**2 - new_error**2, 1e-24))
    grows = np.zeros(half.shape)
    decided = np.zeros(half.shape)
    for number, cell in enumerate(cells):
        for low, high in _regions(cell):
            ends = (low + half[number], np.maximum(high - half[number], low + half[number]))
            below, above = (
                stdtr(seeds[number] - 1, (end - slope[number]) / still[number]) for end in ends
            )
            decided[number] += above - below
            if math.isinf(high):
                grows[number] += above - below
    return np.maximum(decided.min(axis=0), grows.max(axis=0)), decided.mean(axis=0)


def _regions(cell: Cell) -> Iterator[tuple[float, float]]:
    """Where an interval has a word: it grows, is flat or legal, or shrinks."""
    low, high = -cell.tolerance, cell.tolerance
    yield (high, math.inf)
    if cell.legal_high is not None:
        low = -math.inf if cell.legal_low is None else min(low, cell.legal_low)
        high = max(high, cell.legal_high)
    yield (low, high)
    if math.isfinite(low):
        yield (-math.inf, low)
