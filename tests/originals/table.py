"""The rows of docs/parity.md on parametrizations: `python -m tests.originals.table` prints them."""

from collections.abc import Iterator
from itertools import groupby

import torch

from tests.originals import (
    mup_comparisons,
    unit_scaling_model_comparisons,
    unit_scaling_operators,
    unit_scaling_tensors,
)
from tests.originals.comparison import Comparison

SHOWN_BY: dict[str, tuple[Comparison, ...]] = {
    "test_mup.py": mup_comparisons.COMPARISONS,
    "test_unit_scaling.py": unit_scaling_operators.COMPARISONS
    + unit_scaling_tensors.COMPARISONS
    + unit_scaling_model_comparisons.COMPARISONS,
}
"""The comparisons by the file of tests/originals that holds each to its tolerance."""


def rows() -> Iterator[tuple[str, tuple[Comparison, ...]]]:
    """The file and the cases of every row."""
    for file, comparisons in SHOWN_BY.items():
        ordered = sorted(comparisons, key=lambda comparison: comparison.row)
        for _, cases in groupby(ordered, key=lambda comparison: comparison.row):
            yield file, tuple(cases)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for file, cases in rows():
        largest = max(case.difference() for case in cases)
        print(f"| {' | '.join(cases[0].row)} | {largest:.0e} | `{file}` |")  # noqa: T201
