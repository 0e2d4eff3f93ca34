"""What a test needs and the machine may lack: a skip with its reason, but a failure in CI."""

import importlib
import os
from types import ModuleType
from typing import NoReturn

import pytest


def missing(reason: str, *, whole_file: bool = False) -> NoReturn:
    """Skip the test, or the file being imported; where CI is set, nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason, allow_module_level=whole_file)


def package(name: str, install: str) -> ModuleType:
    """A package that only tests use; without it, whoever imports the asking file is skipped."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
    missing(f"{name} is not installed; {install}", whole_file=True)
