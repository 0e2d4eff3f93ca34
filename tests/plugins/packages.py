"""Packages with plugins, installed into a folder as an installer leaves them: no network."""

import os
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "plugin_package"


def install(
    folder: Path, name: str, version: str, *, points: Mapping[str, str], code: str = ""
) -> None:
    """A distribution with entry points; with code, its one module is called as the package."""
    module = name.replace("-", "_")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{point} = {target}" for point, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[muscope]", *lines, ""]))
    if code:
        (folder / f"{module}.py").write_text(code)


def install_example(folder: Path) -> None:
    """The example package, as its pyproject.toml says."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["muscope"]
    install(folder, project["name"], project["version"], points=points)
    shutil.copytree(EXAMPLE / "src" / "muscope_example", folder / "muscope_example")


def on_path(folder: Path) -> dict[str, str]:
    """The environment of a process that finds the packages of a folder."""
    return {"PYTHONPATH": os.pathsep.join((str(folder), os.environ.get("PYTHONPATH", "")))}


OPTIMIZER = """
from muscope.plugins import Plugin
import torch

class Optimizer:
    def __init__(self, options): pass
    def start(self, weight): return ()
    def update(self, weight, gradient, *, state, rates, step):
        return weight - rates.learning_rate * gradient.sign(), ()

def plugin(make=Optimizer, **changes):
    said = dict(title="Sign", help="Sign.", family="sign_like", learning_rate=1e-3, state="0")
    return Plugin("optimizer", make, **{**said, **changes})
"""
"""The head of a module with optimizers."""
