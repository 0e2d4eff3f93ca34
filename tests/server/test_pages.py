"""The pages, read as a user reads them: parsed HTML, and what it means."""

import csv
import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import httpx
import jinja2
import jinja2.meta
import pytest
import yaml
from plotly.offline import get_plotlyjs_version

from muscope import assets, catalogue
from muscope.presets import demo
from muscope.reports import templating
from muscope.reports.csv import HEADER
from muscope.settings import Settings
from muscope.spec import StudySpec
from muscope.storage import bundles, studies
from muscope.storage.database import Database, open_database
from muscope.vocabulary import CellVerdict
from muscope_server import contexts, forms, templates, urls
from tests.server import measured
from tests.server.running import Running, running
from tests.server.soup import Soup

CHECKOUT = Path(__file__).resolve().parents[2]  # the browser tests' own vendored files lie there
GLOBALS = {"urls", "version", "path", "ui", "fields"}
PAGES = {
    "studies.html": contexts.StudiesContext,
    "new_study.html": contexts.NewStudyContext,
    "_plan.html": contexts.PlanContext,
    "study.html": contexts.StudyContext,
    "_study_header.html": contexts.StudyContext,
    "_verdict_tab.html": contexts.StudyContext,
    "_runs_tab.html": contexts.StudyContext,
    "workers.html": contexts.WorkersContext,
    "help.html": contexts.HelpContext,
    "login.html": contexts.LoginContext,
    "error.html": contexts.ErrorContext,
}


@dataclasses.dataclass(frozen=True)
class World:
    """A server with one finished study, and a visitor who is in."""

    database: Database
    visitor: httpx.Client
    study_id: str

    def soup(self, url: str, *, status: int = 200) -> Soup:
        response = self.visitor.get(url)
        assert response.status_code == status, response.text
        return Soup(response.text)


@pytest.fixture(scope="module")
def world(template_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared by the tests that change nothing."""
    from tests.server.conftest import fresh

    settings = fresh(template_dir, tmp_path_factory.mktemp("pages"))
    with running(settings) as server, server.browser() as visitor:
        database = open_database(settings)
        yield World(database, visitor, measured.finished(database, measured.small()))
        database.close()


@pytest.fixture
def visitor(server: Running) -> Iterator[httpx.Client]:
    """A visitor of an empty house."""
    with server.browser() as client:
        yield client


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


def test_an_empty_house_offers_the_demo_and_says_how_long_it_takes(visitor: httpx.Client) -> None:
    page = Soup(visitor.get("/").text)
    assert "about a minute" in page.text
    assert str(demo.demo().run_count) in page.text
    answer = visitor.post("/studies/new", data={"preset": "demo"})
    assert answer.status_code == 303
    assert "Demo" in Soup(visitor.get(answer.headers["location"]).text).first("h1")


def test_the_list_shows_a_badge_per_variant_with_sign_and_word(world: World) -> None:
    page = world.soup("/")
    row = page.first("tbody")
    assert "↗ grows" in row
    assert "→ flat" in row
    assert "16 of 16 runs" in row
    assert urls.study(world.study_id) in page.links


def test_the_form_opens_filled_in_with_a_plan_beside_it(world: World) -> None:
    page = world.soup("/studies/new")
    assert page.inputs["widths"] == "64, 128, 256, 512"
    assert page.inputs["model.gpt"] == "on"
    assert "model.mlp" not in page.checked
    assert "runs 40" in page.text
    assert "parameters of the largest 6.59 M" in page.text


def test_a_study_is_submitted_as_it_was_typed(server: Running, visitor: httpx.Client) -> None:
    answer = visitor.post("/studies/new", data=forms.from_spec(measured.small()))
    assert answer.status_code == 303
    assert _stored(server.settings, answer.headers["location"]) == measured.small()


def test_two_clicks_make_one_study_and_another_spec_makes_another(
    server: Running, visitor: httpx.Client
) -> None:
    typed = forms.from_spec(measured.small()) | {"key": "of this form"}
    first, again = (visitor.post("/studies/new", data=typed) for _ in range(2))
    other = visitor.post("/studies/new", data=typed | {"seeds": "3"})
    assert first.headers["location"] == again.headers["location"] != other.headers["location"]


def test_errors_stand_beside_their_field_and_nothing_typed_is_lost(world: World) -> None:
    typed = forms.from_spec(measured.small()) | {"widths": "64, wide", "name": "Mine & yours"}
    typed["model.mlp.batch_size"] = "70000"
    answer = world.visitor.post("/studies/new", data=typed)
    page = Soup(answer.text)
    assert answer.status_code == 422
    assert page.inputs["name"] == "Mine & yours"
    assert page.inputs["widths"] == "64, wide"
    assert "'wide'" in page.by_id("widths-error")


@pytest.mark.parametrize(
    ("field", "value", "beside", "says"),
    [
        ("model.mlp.batch_size", "70000", "model.mlp.batch_size", "65536"),
        ("model.mlp.sgd.learning_rates", "0.1, -1", "model.mlp.sgd.learning_rates", "greater"),
        ("model.mlp.sgd.option.momentum", "2", "model.mlp.sgd.option.momentum", "between"),
        ("widths", "64, 64", "widths", "twice"),
        ("widths", "9" * 4000, "widths", "whole number"),
        ("seeds", "", "seeds", "whole number"),
        ("depths", "0", "depths", "at least 1"),
        ("name", "", "name", "at least 1"),
        ("base_width", "4096", "base_width", "larger than every one of the widths"),
        ("base_depth", "9", "base_depth", "larger than every one of the depths"),
        ("steps", "1e400", "steps", "whole number"),
        ("yaml", "widths: [1", "yaml", "expected"),
        ("yaml", "name: x\nspeed: 3", "yaml", "speed: unknown field"),
    ],
)
def test_each_mistake_is_explained_where_it_was_made(
    field: str, value: str, beside: str, says: str
) -> None:
    typed = forms.from_spec(measured.small()) | {field: value}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    assert says in caught.value.errors[beside]


def test_every_mistake_is_told_in_one_round() -> None:
    typed = forms.from_spec(demo.demo()) | {
        "name": "", "seeds": "many", "widths": "64, 100, wide", "base_width": "4096",
        "model.gpt.adamw.learning_rates": "-1, nan",
    }  # fmt: skip
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    errors = caught.value.errors
    assert set(errors) == {
        "name", "seeds", "widths", "base_width", "model.gpt.option.head_size",
        "model.gpt.adamw.learning_rates",
    }  # fmt: skip
    assert "'wide'" in errors["widths"]
    assert "100 is not a multiple of the head size 32" in errors["widths"]
    assert "greater than 0.0, got -1.0" in errors["model.gpt.adamw.learning_rates"]
    assert "'nan'" in errors["model.gpt.adamw.learning_rates"]


def test_a_long_list_of_mistakes_is_explained_by_the_first_few() -> None:
    typed = forms.from_spec(demo.demo()) | {"widths": ", ".join(map(str, range(33, 60)))}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    assert caught.value.errors["widths"].count("not a multiple") == forms.MOST_COMPLAINTS


def test_the_summary_of_mistakes_links_to_their_fields_in_the_order_of_the_page(
    world: World,
) -> None:
    typed = forms.from_spec(measured.small()) | {"steps": "x", "name": "", "model.gpt": "on"}
    page = Soup(world.visitor.post("/studies/new", data=typed).text)
    fields = [link.removeprefix("#") for link in page.links if link.startswith("#")]
    assert fields == ["main", "name", "model.gpt.optimizers", "steps"]
    assert "choose at least one optimizer" in page.by_id("model.gpt.optimizers")


def test_a_base_width_that_is_no_width_is_pointed_out_in_the_plan(world: World) -> None:
    typed = forms.from_spec(measured.small()) | {"base_width": "96"}
    headers = {"HX-Request": "true"}
    panel = Soup(world.visitor.post("/studies/plan", data=typed, headers=headers).text).text
    assert "base width 96 is none of the widths" in panel
    assert forms.hints(measured.small()) == []


def test_a_choice_that_is_missing_is_asked_for() -> None:
    typed = {"name": "x", "widths": "64, 128", "depths": "1", "seeds": "2", "steps": "2"}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    assert {"models", "parametrizations"} <= set(caught.value.errors)


@pytest.mark.parametrize("spec", [measured.small(), demo.demo()], ids=["small", "demo"])
def test_the_form_gives_back_the_spec_it_was_filled_from(spec: StudySpec) -> None:
    assert forms.parse(forms.filled(spec).values) == spec


def test_every_optimizer_of_the_catalogue_can_be_ticked_on_the_form() -> None:
    ticked = {f"model.mlp.{name}": "on" for name in catalogue.OPTIMIZERS}
    spec = forms.parse(forms.from_spec(measured.small()) | ticked)
    assert [optimizer.name for optimizer in spec.arms[0].optimizers] == list(catalogue.OPTIMIZERS)
    assert forms.parse(forms.filled(spec).values) == spec


def test_every_parametrization_of_the_catalogue_can_be_ticked_on_the_form() -> None:
    entries = catalogue.PARAMETRIZATION_ENTRIES
    ticked = {f"parametrization.{name}": "on" for name in entries}
    spec = forms.parse(forms.blank().values | ticked)
    assert [parametrization.name for parametrization in spec.parametrizations] == list(entries)
    assert forms.parse(forms.filled(spec).values) == spec


def test_a_choice_is_a_list_to_choose_from(world: World) -> None:
    page = world.visitor.get("/studies/new").text
    assert '<select id="parametrization.mup.option.form"' in page
    assert '<option value="table8" selected>' in page
    typed = forms.blank().values | {"parametrization.mup.option.form": "table9"}
    assert forms.parse(typed).parametrizations[1].options["form"] == "table9"
    with pytest.raises(forms.FormErrors, match="must be one of table8, table3, table9"):
        forms.parse(typed | {"parametrization.mup.option.form": "table4"})


def test_the_plan_panel_answers_alone_for_the_live_form_and_as_a_page_without_scripts(
    world: World,
) -> None:
    typed = forms.from_spec(measured.small())
    panel = world.visitor.post("/studies/plan", data=typed, headers={"HX-Request": "true"}).text
    page = world.visitor.post("/studies/plan", data=typed).text
    assert Soup(panel).first("dd") == Soup(page).first("dd") == "16"
    assert "<html" not in panel
    assert "2 seeds" in panel, "a warning of the plan"
    text = Soup(panel).by_id("spec-yaml")
    assert StudySpec.model_validate_json(json.dumps(yaml.safe_load(text))) == measured.small()


def test_a_pasted_yaml_takes_precedence(server: Running, visitor: httpx.Client) -> None:
    text = yaml.safe_dump(measured.small("From YAML").model_dump(mode="json"), allow_unicode=True)
    answer = visitor.post("/studies/new", data={"name": "ignored", "yaml": text})
    assert answer.status_code == 303
    assert _stored(server.settings, answer.headers["location"]).name == "From YAML"


def test_a_clone_starts_from_the_study(world: World) -> None:
    page = world.soup(urls.clone(world.study_id))
    assert page.inputs["model.mlp.batch_size"] == "8"
    assert page.inputs["seeds"] == "2"
    world.soup("/studies/new?clone=nothing", status=404)


def test_the_verdict_tab_says_it_in_a_sentence_and_shows_every_slope(world: World) -> None:
    page = world.soup(urls.study(world.study_id))
    assert "change since step 0: exponent" in page.text, "it opens on what decides"
    assert "grows in 3 of 3 tensors" in page.text
    assert "flat in all 3 tensors" in page.text
    assert "as theory expects" in page.text
    assert "+1.00" in page.text
    assert "theory +1" in page.text
    assert "Excused: a µP readout shrinks at initialization." in page.text


def test_the_runs_tab_lists_every_run(world: World) -> None:
    page = world.soup(urls.study(world.study_id, tab="runs"))
    assert page.count("tbody tr") == 16
    assert "16 runs" in page.text


def test_the_report_tab_previews_the_content_of_the_file(world: World) -> None:
    page = world.soup(urls.study(world.study_id, tab="report"))
    assert "How the verdict is computed" in page.text
    assert "torch" in page.text
    assert page.count("iframe") == 0


def test_the_chart_tab_says_each_chart_in_words_and_asks_for_its_figure(world: World) -> None:
    page = world.soup(urls.study(world.study_id, tab="coordinate-check", statistic="change"))
    assert "3 tensors at 4 widths from 64 to 512, 2 seeds" in page.text
    assert len(page.figures) == 2
    for url in page.figures:
        figure = world.visitor.get(url).json()
        assert figure["layout"]["meta"]["panels"] == 2
        assert figure["layout"]["xaxis"]["tickvals"] == [64, 128, 256, 512]


@pytest.mark.parametrize(
    "query", ["variant=nobody", "", "variant=x&statistic=loudness"], ids=["stranger", "none", "odd"]
)
def test_a_figure_that_cannot_be_is_refused(world: World, query: str) -> None:
    answer = world.visitor.get(f"{urls.api_study(world.study_id)}/figures/coordinate-check?{query}")
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("part", ["header", "verdict", "runs"])
def test_a_part_is_the_same_as_in_the_whole_page(world: World, part: str) -> None:
    tab = part if part == "runs" else "verdict"
    whole = world.visitor.get(urls.study(world.study_id, tab=tab)).text
    fragment = world.visitor.get(urls.part(world.study_id, part)).text
    assert "<html" not in fragment
    assert " ".join(fragment.split()) in " ".join(whole.split())


@pytest.mark.parametrize("query", ["?tab=secrets", "?part=secrets"])
def test_a_tab_or_part_that_is_not_there_is_not_found(world: World, query: str) -> None:
    world.soup(f"/studies/{world.study_id}{query}", status=404)


def test_a_queued_study_without_a_worker_says_why_it_waits_and_can_be_cancelled(
    server: Running, visitor: httpx.Client
) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    database.close()
    assert "No worker is there" in Soup(visitor.get(urls.study(study_id)).text).by_id("waiting")
    assert "muscope worker" in visitor.get("/workers").text
    answer = visitor.post(urls.cancel(study_id))
    assert answer.status_code == 303
    assert "cancelled" in Soup(visitor.get(answer.headers["location"]).text).by_id("study-header")


def test_a_cancelled_study_says_what_its_verdict_lacks(
    server: Running, visitor: httpx.Client
) -> None:
    database = open_database(server.settings)
    spec = measured.small()
    study_id = measured.submitted(database, spec)
    measured.train_next(database, spec, study_id)
    assert "so far" in Soup(visitor.get(urls.study(study_id)).text).text
    visitor.post(urls.cancel(study_id))
    database.close()
    page = Soup(visitor.get(urls.study(study_id)).text)
    assert "4 of 16 runs finished" in page.by_id("study-header")
    assert "incomplete: 2 of 8 runs judged, width 64" in page.text
    assert "so far" not in page.text
    assert "incomplete" in Soup(visitor.get("/").text).first("tbody")
    charts = Soup(visitor.get(urls.study(study_id, tab="coordinate-check")).text).text
    assert "at 1 of 4 widths (64)" in charts


def test_a_study_that_never_ran_promises_nothing(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    database.close()
    visitor.post(urls.cancel(study_id))
    page = Soup(visitor.get(urls.study(study_id)).text)
    header = " ".join(page.by_id("study-header").split())
    assert "0 of 16 runs finished submitted" in header
    assert "not judged nothing was measured" in page.text
    assert "yet" not in page.text


def test_a_bundle_is_counted_within_its_study(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    measured.finished(database, measured.small("before"))
    spec = measured.small()
    study_id = measured.submitted(database, spec)
    measured.train_next(database, spec, study_id)
    with database.write() as conn:
        bundles.claim(conn, worker_id="lab-1", pid=1, code_version="0.1.0", lease_s=60)
    database.close()
    header = Soup(visitor.get(urls.study(study_id)).text).by_id("study-header")
    assert "bundle 2 of 4 at step 0 of 2" in header
    assert "bundle 2 of 4" in Soup(visitor.get("/workers").text).text


def test_the_help_explains_every_word_that_a_badge_can_show(world: World) -> None:
    page = world.soup("/help")
    words = {verdict.value for verdict in CellVerdict}
    for word in {*words, "so far", "incomplete", "Slope", "Interval", "Power", "Excused", "Bundle"}:
        assert word in page.text
    assert urls.help in world.soup("/").links
    assert page.by_id("theory") == "Theory", "where the cards' links lead"


def test_a_stranger_s_host_name_is_refused_in_plain_text(world: World) -> None:
    answer = world.visitor.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert "MUSCOPE_ALLOWED_HOSTS" in answer.text


def test_the_workers_page_shows_who_is_there(world: World) -> None:
    page = world.soup("/workers")
    for shown in ("lab-1", "alive", "cpu", "8 GiB", "torch 2.13.0", "waiting for work"):
        assert shown in page.text


def test_the_csv_is_streamed_with_the_promised_header(world: World) -> None:
    answer = world.visitor.get(urls.measurements(world.study_id))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert tuple(rows[0]) == HEADER
    assert len(rows) == 16 * 3 * 3  # runs, steps, tensors
    assert answer.headers["content-disposition"].startswith("attachment")


def test_the_report_is_an_attachment_that_can_do_nothing_in_our_origin(
    template_dir: Path, tmp_path: Path
) -> None:
    from tests.server.conftest import fresh

    settings = fresh(template_dir, tmp_path)
    name = 'µ "quoted" ../../etc € <b>'
    with running(settings) as server, server.browser() as visitor:
        database = open_database(settings)
        study_id = measured.finished(database, measured.small(name))
        database.close()
        answer = visitor.get(urls.report(study_id))
    disposition = answer.headers["content-disposition"]
    assert disposition.isascii()
    assert "filename*=UTF-8''muscope-" in disposition
    assert "/" not in disposition
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "<b>" not in answer.text.split("<main", 1)[1].split("<script", 1)[0]


def test_text_from_users_is_shown_literally(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    name = "<img src=x onerror=alert(1)> {{7*7}}"
    study_id = measured.finished(database, measured.small(name))
    database.close()
    for url in ("/", *(urls.study(study_id, tab=tab) for tab in ("verdict", "runs", "report"))):
        text = visitor.get(url).text
        assert "<img" not in text
        assert "{{7*7}}" in text


def test_a_study_that_is_not_there_is_not_found(world: World) -> None:
    world.soup("/studies/nothing", status=404)


def _names(env: jinja2.Environment, name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Every variable that a template needs, with those it extends and includes."""
    assert env.loader is not None
    tree = env.parse(env.loader.get_source(env, name)[0])
    names = jinja2.meta.find_undeclared_variables(tree)
    for other in jinja2.meta.find_referenced_templates(tree):
        if other and other not in seen and other not in ("_macros.html", "_fields.html"):
            names |= _names(env, other, seen | {name})
    return names


def _stored(settings: Settings, location: str) -> StudySpec:
    database = open_database(settings)
    with database.read() as conn:
        row = studies.get(conn, location.rsplit("/", 1)[1])
    database.close()
    assert row is not None
    return row.spec
