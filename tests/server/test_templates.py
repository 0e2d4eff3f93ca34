"""What templates may use, hold and load."""

import hashlib
import json
import re
from pathlib import Path
from typing import get_type_hints

import jinja2
import jinja2.meta
import pytest
from plotly.offline import get_plotlyjs_version

from muscope import assets
from muscope.reports import templating
from muscope_server import contexts, templates
from muscope_server.study_page.view import PARTS

CHECKOUT = Path(__file__).resolve().parents[2]  # the browser tests' own vendored files lie there


GLOBALS = {"urls", "version", "path", "ui", "fields"}


PAGES = {
    "studies.html": contexts.StudiesContext,
    "new_study.html": contexts.NewStudyContext,
    "_plan.html": contexts.PlanContext,
    **{part.template: contexts.StudyContext for part in PARTS.values()},
    "compare.html": contexts.CompareContext,
    "_comparison.html": contexts.CompareContext,
    "workers.html": contexts.WorkersContext,
    "help.html": contexts.HelpContext,
    "login.html": contexts.LoginContext,
    "error.html": contexts.ErrorContext,
}


@pytest.mark.parametrize("name", PAGES)
def test_a_template_uses_only_what_its_context_promises(name: str) -> None:
    promised = set(get_type_hints(PAGES[name])) | GLOBALS
    assert _names(templates.environment(), name) <= promised


def test_the_report_body_is_shared_by_the_page_and_the_file() -> None:
    assert _names(templating.environment(), "_report_body.html") == {"content"}


def test_no_template_holds_an_inline_style_or_script_or_a_foreign_address() -> None:
    for file in (assets.frontend() / "templates").glob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son\w+=|https?://", text), file.name
        if file.name not in ("report.html", "_report_body.html"):
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style", text), file.name


def test_the_vendored_files_are_the_recorded_ones_and_plotly_is_the_version_of_plotly_py() -> None:
    root = assets.frontend()
    for entry in json.loads((root / "vendor.lock.json").read_text(encoding="utf-8")):
        folder = CHECKOUT if entry["path"].startswith("tests/") else root
        content = (folder / entry["path"].removeprefix("frontend/")).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry["path"]
        if entry["package"].startswith("plotly.js"):
            assert entry["version"] == get_plotlyjs_version()


def _names(env: jinja2.Environment, name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Every variable that a template needs, with those it extends and includes."""
    assert env.loader is not None
    tree = env.parse(env.loader.get_source(env, name)[0])
    names = jinja2.meta.find_undeclared_variables(tree)
    for other in jinja2.meta.find_referenced_templates(tree):
        if other and other not in seen and other not in ("_macros.html", "_fields.html"):
            names |= _names(env, other, seen | {name})
    return names
