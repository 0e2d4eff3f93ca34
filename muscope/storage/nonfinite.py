"""NaN and infinities are data: stored as NULL with two bits that say which.

SQLite turns NaN into NULL by itself and nothing else can be told from it later, so every table of
numbers has a `nonfinite` column: bits 2k and 2k+1 belong to its k-th number.
"""

import math
from collections.abc import Iterable, Sequence

MEASUREMENT_COLUMNS = (
    "l1", "rms", "mean", "max_abs", "change", "contribution", "spectral", "stable_rank",
    "align_w", "align_x", "align_wx", "underflow", "overflow",
)  # fmt: skip
"""The order fixes the bits: append, never reorder."""

PROGRESS_COLUMNS = ("train_loss", "eval_loss", "grad_norm", "lr")

_MEANING: tuple[float | None, ...] = (None, math.nan, math.inf, -math.inf)


def flags(values: Sequence[tuple[int, float | None]]) -> int:
    """The bits of (position, value) pairs; 0 when all are finite or absent."""
    bits = 0
    for position, value in values:
        if value is not None and not math.isfinite(value):
            bits |= _code(value) << (2 * position)
    return bits


def stored(value: float | None) -> float | None:
    """What goes into the column: the value, or NULL where the bits speak for it."""
    # A float of Python, whatever came in; + 0.0 because SQLite drops the sign of -0.0.
    return None if value is None or not math.isfinite(value) else float(value) + 0.0


def restored(value: float | None, bits: int, position: int) -> float | None:
    """The value as it was measured."""
    return value if value is not None or not bits else _MEANING[bits >> (2 * position) & 3]


def flag_column(columns: Iterable[tuple[int, Sequence[float | None]]], rows: int) -> list[int]:
    """The bits of every row, from columns of (position, values)."""
    bits = [0] * rows
    for position, column in columns:
        # A sum that is finite has only finite terms, which is nearly always so and quickly known.
        if not math.isfinite(sum(filter(None, column))):
            bits = [b | flags([(position, v)]) for b, v in zip(bits, column, strict=True)]
    return bits


def stored_column(column: Sequence[float | None]) -> list[float | None]:
    """What goes into the database for each value of a column."""
    if math.isfinite(sum(filter(None, column))):  # as above
        return [None if value is None else float(value) + 0.0 for value in column]
    return [stored(value) for value in column]


def _code(value: float) -> int:
    if math.isnan(value):
        return 1
    return 2 if value > 0 else 3
