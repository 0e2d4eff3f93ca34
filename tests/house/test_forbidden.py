"""What no file of the house may contain (reliability.md, section 3, and the house's habits)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRONTEND = ROOT / "frontend"
SOURCES = sorted(
    path
    for folder in ("muscope", "server", "worker", "migrations")
    for path in (ROOT / folder).rglob("*.py")
)
OUTSIDE_LAB = [path for path in SOURCES if ROOT / "muscope" / "lab" not in path.parents]
RUNS_CODE = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "torch.load", "joblib.load"}
UNPICKLERS = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
PAGES = [
    path
    for path in sorted(FRONTEND.rglob("*"))
    if path.suffix in {".html", ".js", ".css", ".svg"} and "vendor" not in path.parts
]


def calls(path: Path) -> Iterator[str]:
    """The names called in a file, dotted as they are written."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", OUTSIDE_LAB, ids=lambda path: str(path.relative_to(ROOT)))
def test_data_never_becomes_code_outside_the_lab(path: Path) -> None:
    assert not RUNS_CODE & set(calls(path))
    assert not UNPICKLERS & set(imported(path))


def test_only_the_command_line_prints() -> None:
    commands = ROOT / "muscope" / "cli"
    printing = [path for path in SOURCES if "print" in calls(path) and commands not in path.parents]
    assert printing == []


def test_the_lab_never_reads_the_environment() -> None:
    for path in (ROOT / "muscope" / "lab").rglob("*.py"):
        assert not re.search(r"os\.(environ|getenv)", path.read_text()), path


def test_pages_load_nothing_from_other_hosts() -> None:
    namespaces = re.compile(r"http://www\.w3\.org/[\w/#]+")
    loading = re.compile(r"""(src|href|action|url\(|import|fetch\()\s*[=(]?\s*["']?(https?:)?//""")
    for path in PAGES:
        assert not loading.search(namespaces.sub("", path.read_text())), path


def test_templates_hold_no_inline_script_or_style() -> None:
    inline = re.compile(
        r"<script(?![^>]*(\bsrc=|application/json))[^>]*>|\son\w+=|\sstyle=|javascript:",
        re.IGNORECASE,
    )
    for path in (FRONTEND / "templates").rglob("*.html"):
        if path.name.startswith("report"):
            continue  # one file that opens offline: it carries its own CSP by hash
        assert not inline.search(path.read_text()), path
