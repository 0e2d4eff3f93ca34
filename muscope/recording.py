"""What a study records: which statistics of which kind, and at which of its steps."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from muscope.vocabulary import Statistic, TensorKind

Record: TypeAlias = Literal["losses", "activations", "standard", "full"]
"""How much a study records; each choice holds the one before it. Losses are always there."""

STATISTICS: Mapping[Record, Mapping[TensorKind, tuple[Statistic, ...]]]

_CHANGES = (Statistic.L1, Statistic.RMS, Statistic.CHANGE)
_SIZES = (Statistic.L1, Statistic.RMS, Statistic.MEAN, Statistic.MAX_ABS)
_STANDARD = (*_CHANGES, Statistic.MEAN, Statistic.MAX_ABS)
_OF_MATRICES = (Statistic.SPECTRAL, Statistic.STABLE_RANK)
_ALIGNMENTS = (Statistic.ALIGN_W, Statistic.ALIGN_X, Statistic.ALIGN_WX)
_OF_PRODUCTS = (Statistic.CONTRIBUTION, *_OF_MATRICES, *_ALIGNMENTS)
_LOST = (Statistic.UNDERFLOW, Statistic.OVERFLOW)

STATISTICS = {
    "losses": {},
    "activations": {TensorKind.ACTIVATION: _CHANGES},
    "standard": {
        TensorKind.ACTIVATION: _STANDARD,
        TensorKind.WEIGHT: _STANDARD,
        TensorKind.GRADIENT: _STANDARD,
        TensorKind.UPDATE: _SIZES,
    },
    "full": {
        TensorKind.ACTIVATION: (*_STANDARD, *_LOST),
        TensorKind.WEIGHT: (*_STANDARD, *_OF_PRODUCTS, *_LOST),
        TensorKind.GRADIENT: (*_STANDARD, *_LOST),
        TensorKind.UPDATE: (*_SIZES, *_OF_MATRICES),
    },
}

RATIOS = (Statistic.STABLE_RANK, *_ALIGNMENTS)
"""What divides two sizes, and is left out where they are zero: the sizes themselves say so."""

SINCE_START = (Statistic.CHANGE, Statistic.CONTRIBUTION, *_ALIGNMENTS)
"""What compares with step 0 and has no meaning at it."""

EVERY_STEP_UP_TO = 32
MOST_RECORDED = 1_024
"""Steps of a run that may be asked for: each has a row per tensor, and a slope to be judged."""
_DENSE = 8


def recorded_steps(steps: int, every: int | None = None) -> tuple[int, ...]:
    """The steps of a run that are recorded: all up to 32, of a longer one log-spaced ones.

    These are 0 to 8, then 8 times the powers of √2, rounded, and the last. With `every` they are
    its multiples from 0 on, and the last.
    """
    if every is not None:
        return (*range(0, steps, every), steps)
    if steps <= EVERY_STEP_UP_TO:
        return tuple(range(steps + 1))
    octaves = (steps // _DENSE).bit_length()
    spaced = (round(_DENSE * 2 ** (half / 2)) for half in range(1, 2 * octaves))
    return (*range(_DENSE + 1), *(step for step in spaced if step < steps), steps)
