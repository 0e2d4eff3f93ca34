"""The worker's parent process stays light, and refuses what it cannot work on."""

import subprocess
import sys
from pathlib import Path

import pytest

from muscope.settings import Settings
from muscope.storage.schema import SchemaError
from muscope_worker import app


def test_the_parent_imports_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, muscope_worker.app, muscope_worker.tasks; "
        "print({'torch', 'scipy', 'numpy', 'fastapi', 'plotly'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_a_database_that_is_not_upgraded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="muscope db upgrade"):
        app.run(Settings(data_dir=tmp_path / "new"), name="test")
    assert not (tmp_path / "new").exists()
