"""Plugins in the test's own process: what it learned is offered no more when a test ends."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from muscope.plugins import importing, known
from muscope.plugins.importing import Installed
from tests.plugins import packages

Load = Callable[..., Installed]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the search path for packages of this test's own."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def load(folder: Path) -> Iterator[Load]:
    """Install a package of one module, then import and offer what there is."""

    def load(name: str, points: Mapping[str, str], code: str, version: str = "1.0") -> Installed:
        module = name.replace("-", "_")
        targets = {point: f"{module}:{attribute}" for point, attribute in points.items()}
        packages.install(folder, name, version, points=targets, code=code)
        installed = importing.of_environment()
        known.offer(one.name for one in installed.described)
        return installed

    yield load
    known.offer(())


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The example package, imported once."""
    folder = tmp_path_factory.mktemp("example")
    packages.install_example(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        return importing.of_environment()


@pytest.fixture
def offered(example: Installed) -> Iterator[Installed]:
    """The example package, offered for one test."""
    known.offer(one.name for one in example.described)
    yield example
    known.offer(())
