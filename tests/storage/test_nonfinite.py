"""Columns are flagged and stored as their values are, one by one."""

import math
from collections.abc import Sequence

import pytest

from muscope.storage import nonfinite

NAN, INF = math.nan, math.inf

COLUMNS: tuple[Sequence[float | None], ...] = (
    (),
    (1.0, -2.5, 0.0, -0.0, 5e-324),
    (None, 1.0, None),
    (None, None),
    (1.0, NAN, None, INF, -INF),
    (INF, -INF),
    (1e308, 1e308, -1.0),  # all finite, and their sum is not
    (0, 1, 2),
)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("position", [0, 12])
def test_a_column_is_what_its_values_are(column: Sequence[float | None], position: int) -> None:
    stored = nonfinite.stored_column(column)
    bits = nonfinite.flag_column([(position, column)], len(column))
    assert list(map(repr, stored)) == [repr(nonfinite.stored(value)) for value in column]
    assert bits == [nonfinite.flags([(position, value)]) for value in column]
    pairs = zip(stored, bits, strict=True)
    restored = [nonfinite.restored(value, flags, position) for value, flags in pairs]
    assert str(restored) == str([None if v is None else v + 0.0 for v in column])


def test_the_bits_of_all_columns_stand_in_one_number() -> None:
    columns = [(0, (NAN, 1.0)), (3, (INF, -INF))]
    assert nonfinite.flag_column(columns, 2) == [1 + (2 << 6), 3 << 6]
    assert nonfinite.flag_column([], 2) == [0, 0]
