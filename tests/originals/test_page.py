"""docs/parity.md says of every comparison what its test shows."""

import re
from pathlib import Path

import pytest

from tests.originals.comparison import Comparison
from tests.originals.table import rows

PAGE = (Path(__file__).resolve().parents[2] / "docs/parity.md").read_text()


@pytest.mark.parametrize(
    ("file", "cases"), [pytest.param(*row, id=", ".join(row[1][0].row)) for row in rows()]
)
def test_every_comparison_has_its_row_with_a_difference_within_tolerance(
    file: str, cases: tuple[Comparison, ...]
) -> None:
    said = re.escape(f"| {' | '.join(cases[0].row)} | ") + r"(\S+)" + re.escape(f" | `{file}` |")
    found = re.search(f"^{said}$", PAGE, re.MULTILINE)
    assert found, said
    assert float(found[1]) <= min(case.tolerance for case in cases)


def test_no_row_is_left_of_a_comparison_that_is_gone() -> None:
    files = {file for file, _ in rows()}
    said = re.findall(r"^\|.*\| `(test_\w+\.py)` \|$", PAGE, re.MULTILINE)
    assert set(said) == files
    assert len(said) == len(list(rows()))
