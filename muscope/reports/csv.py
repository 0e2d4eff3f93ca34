"""Measurements as CSV, row by row: what it holds is what the charts show."""

import csv
import io
from collections.abc import Iterable, Iterator

from muscope.records import Sample, Values

HEADER = (
    "variant", "width", "depth", "seed", "step", "tensor", "role", "kind", *Values._fields,
)  # fmt: skip
RISKY_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs text that starts like this as a formula."""


def lines(rows: Iterable[Iterable[object]], header: Iterable[object] = HEADER) -> Iterator[str]:
    """The header and one line per row; never more than one line in memory."""
    yield line(header)
    for row in rows:
        yield line(row)


def row(sample: Sample) -> tuple[object, ...]:
    """A sample in the order of the header."""
    return (
        sample.variant, sample.width, sample.depth, sample.seed, sample.step, sample.tensor,
        sample.role.value, sample.kind.value, *sample.values,
    )  # fmt: skip


def line(cells: Iterable[object]) -> str:
    """One CSV line; numbers stay numbers, None is empty, risky text gets a leading quote."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([safe(cell) for cell in cells])
    return buffer.getvalue()


def safe(cell: object) -> object:
    """The cell, unless it is text that a spreadsheet would run."""
    if isinstance(cell, str) and cell.startswith(RISKY_STARTS):
        return f"'{cell}"
    return cell
