"""The docs cannot lie by omission: what is public has its line."""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
import typer

import muscope
from muscope import catalogue, plan, spec_file, vocabulary
from muscope.catalogue.optimizers import SCHEDULE
from muscope.cli import app
from muscope.settings import Settings
from muscope_server.permissions import ROUTES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
WORDS = {
    word.value
    for enum in vars(vocabulary).values()
    if isinstance(enum, type) and issubclass(enum, StrEnum) and enum is not StrEnum
    for word in enum
}


def commands(command: object, path: str) -> Iterator[tuple[str, list[str]]]:
    """Every command with its long options, `muscope db upgrade` included."""
    if children := getattr(command, "commands", None):
        for name, child in children.items():
            yield from commands(child, f"{path} {name}")
    else:
        params = getattr(command, "params", [])
        yield path, [o for p in params for o in p.opts if o.startswith("--") and o != "--help"]


@pytest.mark.parametrize(
    ("command", "options"), list(commands(typer.main.get_command(app), "muscope"))
)
def test_every_command_and_option_is_documented(command: str, options: list[str]) -> None:
    text = (DOCS / "cli.md").read_text()
    section = re.search(rf"^## `{command}`$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no heading ## `{command}`"
    assert [option for option in options if f"`{option}" not in section[1]] == []


def test_every_setting_and_environment_variable_is_documented() -> None:
    text = (DOCS / "settings.md").read_text()
    settings = {f"MUSCOPE_{name.upper()}" for name in Settings.model_fields}
    sources = [p for room in ("muscope", "server", "worker") for p in (ROOT / room).rglob("*.py")]
    named = {name for p in sources for name in re.findall(r"MUSCOPE_[A-Z_]+[A-Z]", p.read_text())}
    assert sorted(name for name in settings | named if f"`{name}`" not in text) == []


def test_every_api_route_is_documented() -> None:
    text = (DOCS / "api.md").read_text()
    routes = [f"`{method} {path}`" for method, path in ROUTES if path.startswith("/api/")]
    assert [route for route in routes if route not in text] == []


def test_the_study_of_the_first_how_to_can_be_planned(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", (DOCS / "how-to/your-first-study.md").read_text(), re.S)
    assert found
    (tmp_path / "study.yaml").write_text(found[1])
    assert plan.plan(spec_file.read(tmp_path / "study.yaml")).run_count == 40


def test_every_word_is_in_the_glossary() -> None:
    text = (DOCS / "glossary.md").read_text()
    assert sorted(word for word in WORDS if f"**{word}**" not in text) == []


@pytest.mark.parametrize("name", catalogue.MODELS)
def test_every_model_has_its_chapter_with_a_row_for_every_option(name: str) -> None:
    entry = catalogue.MODELS[name]
    page = (DOCS / "models.md").read_text()
    chapter = page.split(f"\n## {entry.title}\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", chapter, re.MULTILINE))
    words = {option.name: [f"`{word}`" for word in option.allowed] for option in entry.options}
    assert list(rows) == list(words)
    assert [word for name, row in rows.items() for word in words[name] if word not in row] == []


@pytest.mark.parametrize("name", catalogue.OPTIMIZERS)
def test_every_optimizer_has_its_page_and_its_rows(name: str) -> None:
    page = (DOCS / "optimizers" / f"{name}.md").read_text()
    entry = catalogue.OPTIMIZERS[name]
    assert page.startswith(f"# {entry.title}\n")
    assert f"**{entry.family}**" in page
    own = [option.name for option in entry.options if option not in SCHEDULE]
    assert [option for option in own if f"`{option}`" not in page] == []
    assert f"]({name}.md)" in (DOCS / "optimizers/README.md").read_text()
    assert f"| {name} |" in (DOCS / "parity.md").read_text()


@pytest.mark.parametrize("name", catalogue.PARAMETRIZATION_ENTRIES)
def test_every_parametrization_has_its_page_with_its_formulas_and_options(name: str) -> None:
    page = (DOCS / "parametrizations" / f"{name}.md").read_text()
    entry = catalogue.PARAMETRIZATION_ENTRIES[name]
    assert page.startswith(f"# {entry.title}\n")
    assert f"]({name}.md)" in (DOCS / "parametrizations/README.md").read_text()
    said = entry.theory.formulas(catalogue.with_defaults({}, entry.options))
    rows = [f"| {role.value} | {formula} |" for role, formula in said.items()]
    options = [f"`{option.name}`" for option in entry.options]
    families = [f"`{family.value}`" for family in entry.theory.families]
    assert [part for part in (*rows, *options, *families) if part not in page] == []


def test_the_readme_counts_right() -> None:
    words = {4: "four", 13: "thirteen"}
    text = " ".join((ROOT / "README.md").read_text().lower().split())
    for entries, name in (
        (catalogue.PARAMETRIZATION_ENTRIES, "[parametrizations]"),
        (catalogue.OPTIMIZERS, "[optimizers]"),
    ):
        assert f"{words[len(entries)]} {name}" in text
    assert f"[{words[len(catalogue.MODELS)]} models]" in text


def test_the_changelog_opens_with_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == muscope.__version__


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_images_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_every_decision_has_the_five_headings() -> None:
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert records
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
        expected = ["Context", "Decision", "Alternatives", "Consequences", "Status"]
        assert headings == expected, record.name
