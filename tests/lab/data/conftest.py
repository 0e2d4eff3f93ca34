"""A datasets folder of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from muscope.lab import data


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty datasets folder; one Hugging Face name is allowed."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    data.use(data.Places(folder, ("owner/stories", "owner/stories/small")))
    yield folder
    data.use(data.Places())
