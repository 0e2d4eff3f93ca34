"""The pages of data and schedules say what the catalogue says."""

import re
from pathlib import Path

import pytest

from muscope.catalogue import DATASETS, DatasetEntry, Option
from muscope.catalogue.optimizers import SCHEDULE
from muscope.theory import schedules

DOCS = Path(__file__).resolve().parents[2] / "docs"


def row(entry: DatasetEntry) -> str:
    """The row of docs/datasets.md."""
    size = "×".join(map(str, entry.shape)) or "a window of tokens"
    place = f"`{entry.place}`" if entry.place else "there by itself"
    cells = [f"`{entry.name}`", entry.title, size, str(entry.classes), entry.help, entry.source]
    return f"| {' | '.join([*cells, place])} |"


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_every_dataset_has_its_row(entry: DatasetEntry) -> None:
    assert row(entry) in (DOCS / "datasets.md").read_text().splitlines()


@pytest.mark.parametrize("name", schedules.READS)
def test_every_schedule_has_its_row_with_the_options_that_it_reads(name: str) -> None:
    page = (DOCS / "schedules.md").read_text()
    found = re.search(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
    assert found
    assert set(re.findall(r"`(\w+)`", found[0])) == {name, *schedules.READS[name]}


@pytest.mark.parametrize("option", SCHEDULE, ids=lambda option: option.name)
def test_every_option_of_a_schedule_has_its_row(option: Option) -> None:
    default = option.default if isinstance(option.default, str) else f"{option.default:g}"
    page = (DOCS / "schedules.md").read_text()
    assert f"| `{option.name}` | {default} | {option.help} |" in page.splitlines()
