"""Who may import whom, and what a fresh interpreter loads."""

import ast
import json
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import muscope

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "numba", "numpy", "scipy", "sklearn"}
ROOM_OF = {
    "torch": ("muscope/lab",),
    "sklearn": ("muscope/lab",),
    "datasets": ("muscope/lab/data/huggingface.py",),
    "safetensors": ("muscope/lab/checkpoint.py",),
    "numba": ("muscope/lab/fused.py",),
    "numpy": ("muscope/lab", "muscope/verdicts"),
    "scipy": ("muscope/verdicts",),
    "plotly": ("muscope/plots",),
    "sqlalchemy": ("muscope/storage", "migrations"),
    "alembic": ("muscope/storage", "migrations"),
    "psycopg": ("muscope/storage",),
    "celery": ("muscope/dispatch.py", "worker"),
    "fastapi": ("server",),
    "uvicorn": ("muscope/cli/server.py", "server"),
    "typer": ("muscope/cli",),
    "mup": (),  # what tests compare with is no part of the product
    "pytorch_optimizer": (),
    "unit_scaling": (),
}
HANDED_ON = {"Connection", "Celery", "sqlalchemy.exc"}
"""What every room may take: the types it hands on, the errors it waits out."""


def modules_loaded_by(statement: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after the statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/"
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_its_place_in_the_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = {
        name.strip(" ()")
        for layer in contracts["contracts"][0]["layers"]
        for name in layer.replace("|", ":").split(":")
    }
    rooms = {f"muscope.{module.name}" for module in pkgutil.iter_modules(muscope.__path__)}
    assert rooms - layers <= {"muscope.__main__"}


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(package, what is taken from it) of every import in a file, lazy ones included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            package, dot, _ = node.module.partition(".")
            yield from ((package, node.module if dot else alias.name) for alias in node.names)


@pytest.mark.parametrize("library", ROOM_OF)
def test_a_heavy_library_stays_in_its_room(library: str) -> None:
    strangers = [
        f"{path.relative_to(ROOT)}: {taken}"
        for folder in ("muscope", "server", "worker", "migrations")
        for path in (ROOT / folder).rglob("*.py")
        for package, taken in imports(path)
        if package == library and taken not in HANDED_ON
        if not str(path.relative_to(ROOT)).startswith(ROOM_OF[library])
    ]
    assert strangers == []


def test_the_server_loads_without_torch_numpy_and_scipy() -> None:
    loaded = modules_loaded_by("import muscope_server.app")
    assert not loaded & (HEAVY | {"muscope_worker", "billiard.pool"})


@pytest.mark.parametrize("statement", ["import muscope", "import muscope.cli"])
def test_help_and_the_bare_package_wait_for_nothing_heavy(statement: str) -> None:
    loaded = modules_loaded_by(statement)
    assert not loaded & (HEAVY | {"celery", "fastapi", "sqlalchemy", "plotly"})


def test_the_lab_loads_without_database_queue_and_web() -> None:
    loaded = modules_loaded_by("import muscope.lab.engine")
    assert not loaded & {"sqlalchemy", "celery", "fastapi", "plotly", "pydantic_settings"}
