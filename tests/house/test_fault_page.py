"""The page of faults says what the library says."""

import re
from pathlib import Path

import pytest

from muscope.theory.faults import FAULTS, Fault

PAGE = Path(__file__).resolve().parents[2] / "docs" / "diagnosis.md"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_every_fault_has_its_row(fault: Fault) -> None:
    found = re.search(
        rf"^\| `{fault.name}` \| (.*) \| .* \| (.*) \| (.*) \|$", PAGE.read_text(), re.M
    )
    assert found
    places = ", ".join(place.value for place in fault.visible)
    assert found.groups() == (fault.title, places, fault.fix)
