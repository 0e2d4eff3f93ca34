"""Plugins are asked what they are by a process of its own: one that crashes or hangs is survived.

`python -m muscope.plugins.probe FILE [PACKAGE]` writes what the environment's plugins describe, or
those of one package, to the file.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from muscope.plugins import importing
from muscope.plugins.descriptions import Described
from muscope.plugins.importing import Found, Installed

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""So long importing all plugins may take: torch alone takes seconds on a loaded machine."""


class Report(BaseModel):
    """What a worker has, as it stands in its row: descriptions, and why others are left out."""

    model_config = ConfigDict(frozen=True)

    described: tuple[Described, ...] = ()
    refused: tuple[str, ...] = ()


def report(patience_s: float = PATIENCE_S) -> Report:
    """What this environment's plugins describe; nothing is imported here.

    Where asking all together fails, each package is asked by itself, and the one that ends or
    stops its process is left out with a sentence.
    """
    found = importing.find()
    if not found:
        return Report()
    together = _ask(None, patience_s)
    if isinstance(together, Report):
        return together
    described: list[Described] = []
    refused: list[str] = []
    for package in sorted({one.package for one in found}):
        alone = _ask(package, patience_s)
        if isinstance(alone, Report):
            described += alone.described
            refused += alone.refused
        else:
            refused.append(f"the plugins of {package} are left out: importing them {alone}")
    kept, doubled = importing.without_doubles(described)
    return Report(described=tuple(kept), refused=(*refused, *doubled))


def _ask(package: str | None, patience_s: float) -> Report | str:
    """The report of a process of its own, or how that process ended."""
    with tempfile.TemporaryDirectory(prefix="muscope-plugins-") as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", __name__, str(file), *([package] if package else [])]
        try:
            ended = subprocess.run(
                command,
                timeout=patience_s,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_environment(),
            )
        except subprocess.TimeoutExpired:
            return f"took more than {patience_s:g} s"
        if ended.returncode or not file.exists():
            log.warning("plugins: %s", ended.stderr.decode(errors="replace")[-2000:])
            return f"ended the process (exit code {ended.returncode})"
        try:
            return Report.model_validate_json(file.read_bytes())
        except ValidationError:
            return "left no report"


def _environment() -> dict[str, str]:
    """The same search path, whoever extended it."""
    # a fresh interpreter would forget what was put on the path since this one started
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def main(arguments: Sequence[str]) -> None:
    """Ask, and write the answer."""
    file, *packages = arguments
    found: list[Found] = importing.find()
    if packages:
        found = [one for one in found if one.package in packages]
    installed: Installed = importing.of_environment(found)
    answer = Report(described=installed.described, refused=installed.refused)
    Path(file).write_text(json.dumps(answer.model_dump(mode="json")))


if __name__ == "__main__":
    main(sys.argv[1:])
