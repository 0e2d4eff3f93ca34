"""The published experiments on the pages and in the API."""

import json

import httpx
import pytest

from muscope import spec_file
from muscope.presets import PRESETS, SIZES
from muscope.spec import StudySpec
from muscope.storage import studies, workers
from muscope.storage.database import open_database
from muscope_server import experiments, forms, urls
from tests.server import swept
from tests.server.measured import WORKER, submitted
from tests.server.running import Running
from tests.server.soup import Soup
from tests.server.world import World


def stored(server: Running) -> list[StudySpec]:
    """Every study that the server has, the oldest first."""
    database = open_database(server.settings)
    try:
        with database.read() as conn:
            rows = studies.page(conn, limit=50)
    finally:
        database.close()
    return [row.spec for row in reversed(rows) if isinstance(row.spec, StudySpec)]


@pytest.mark.parametrize("name", experiments.OFFERED)
def test_an_empty_house_offers_published_experiments_and_a_click_starts_one(
    server: Running, visitor: httpx.Client, name: str
) -> None:
    page = Soup(visitor.get("/").text)
    assert PRESETS[name].title in page.text
    assert PRESETS[name].claim in page.text
    asked = {"preset": name, "size": experiments.OFFERED_SIZE}
    answer = visitor.post("/studies/new", data=asked)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/studies/")
    assert tuple(stored(server)) == PRESETS[name].studies("laptop")


def test_two_clicks_on_an_offer_make_one_study(server: Running, visitor: httpx.Client) -> None:
    page = Soup(visitor.get("/").text)
    asked = {"preset": experiments.OFFERED[0], "size": "smoke", "key": page.inputs["key"]}
    first, again = (visitor.post("/studies/new", data=asked) for _ in range(2))
    assert first.headers["location"] == again.headers["location"]
    assert len(stored(server)) == 1


def test_a_preset_of_several_studies_submits_all_of_them(
    server: Running, visitor: httpx.Client
) -> None:
    answer = visitor.post("/studies/new", data={"preset": "minicpm", "size": "smoke"})
    assert answer.headers["location"] == "/"
    assert tuple(stored(server)) == PRESETS["minicpm"].studies("smoke")


def test_a_house_with_studies_offers_nothing_on_its_home_page(world: World) -> None:
    assert PRESETS[experiments.OFFERED[0]].claim not in world.soup("/").text


@pytest.mark.parametrize("name", PRESETS)
def test_the_form_can_say_every_study_of_every_preset(name: str) -> None:
    for size in SIZES:
        for study in PRESETS[name].studies(size):
            assert forms.parse(forms.filled(study).values) == study


def test_the_form_is_filled_in_from_a_preset_with_a_plan_beside_it(visitor: httpx.Client) -> None:
    page = Soup(visitor.get("/studies/new?preset=cerebras-gpt&size=laptop").text)
    (study,) = PRESETS["cerebras-gpt"].studies("laptop")
    assert PRESETS["cerebras-gpt"].claim in page.text
    assert page.inputs["widths"] == ", ".join(map(str, study.widths))
    assert {"parametrization.sp", "parametrization.cerebras"} <= page.checked
    assert f"runs up to {study.run_count}" in page.text


def test_the_form_takes_another_size_and_study(visitor: httpx.Client) -> None:
    page = Soup(visitor.get("/studies/new?preset=complete-p&size=paper&study=2").text)
    assert "It needs a GPU" in page.text
    assert PRESETS["complete-p"].studies("paper")[1].name in page.inputs["name"]


@pytest.mark.parametrize(
    "query", ["preset=lingle", "preset=lingle-sp&size=huge", "preset=lingle-sp&study=2"]
)
def test_a_preset_that_is_not_there_is_not_found(visitor: httpx.Client, query: str) -> None:
    assert visitor.get(f"/studies/new?{query}").status_code == 404


def test_the_api_lists_presets_and_gives_their_studies_with_plans(visitor: httpx.Client) -> None:
    listed = visitor.get("/api/v1/presets").json()
    assert [one["name"] for one in listed["presets"]] == list(PRESETS)
    assert listed["sizes"] == ["smoke", "laptop", "paper"]
    full = visitor.get("/api/v1/presets/lingle-lion?size=paper").json()
    (study,) = PRESETS["lingle-lion"].studies("paper")
    (found,) = full["studies"]
    assert StudySpec.model_validate_json(json.dumps(found["study"])) == study
    assert spec_file.from_yaml(found["yaml"], "the YAML") == study
    assert found["plan"]["runs"] == study.run_count
    assert {row["ablation"] for row in full["figures"]} == {"Lion Optimizer"}


def test_the_api_refuses_what_is_not_there(visitor: httpx.Client) -> None:
    assert visitor.get("/api/v1/presets/lingle").status_code == 404
    assert visitor.get("/api/v1/presets/lingle-sp?size=huge").status_code == 422


def test_the_form_says_how_long_every_preset_takes_on_the_worker_that_is_there(
    server: Running, visitor: httpx.Client
) -> None:
    assert "about" not in Soup(visitor.get("/studies/new").text).by_id("experiments")
    database = open_database(server.settings)
    with database.write() as conn:
        workers.beat(conn, WORKER)
    database.close()
    listed = Soup(visitor.get("/studies/new").text).by_id("experiments")
    assert listed.count("about ") == len(PRESETS)


def test_a_study_of_a_preset_shows_what_its_source_printed(
    server: Running, visitor: httpx.Client
) -> None:
    database = open_database(server.settings)
    study_id = swept.finished(database, swept.sweep(preset="lingle-sp"))
    database.close()
    page = Soup(visitor.get(urls.study(study_id, tab="lr-transfer")).text)
    printed = page.by_id("published")
    assert PRESETS["lingle-sp"].source in printed
    assert "−6.54" in printed  # the optimum of its smallest width (facts 7.2)
    assert urls.published_figure("lingle-sp") in page.figures
    figures = [visitor.get(url).json() for url in page.figures]
    named = [{trace.get("name") for trace in figure["data"]} for figure in figures]
    assert sum("published optima" in names for names in named) == 1  # of SP, not of µP
    assert "What the source printed" in visitor.get(urls.report(study_id)).text


def test_a_study_of_its_own_shows_nothing_published(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    study_id = swept.finished(database, swept.sweep())
    database.close()
    page = Soup(visitor.get(urls.study(study_id, tab="lr-transfer")).text)
    assert "What the source printed" not in page.text
    assert visitor.get(urls.published_figure("transfer-demo")).status_code == 404


def test_a_running_study_says_how_long_it_still_takes(
    server: Running, visitor: httpx.Client
) -> None:
    database = open_database(server.settings)
    spec = swept.sweep()
    study_id = submitted(database, spec)
    assert " left" not in Soup(visitor.get(urls.study(study_id)).text).by_id("study-header")
    swept.train_next(database, spec, study_id)
    assert " left" in Soup(visitor.get(urls.study(study_id)).text).by_id("study-header")
    while swept.train_next(database, spec, study_id):
        pass
    database.close()
    assert " left" not in Soup(visitor.get(urls.study(study_id)).text).by_id("study-header")


def test_what_was_changed_in_the_form_still_knows_its_preset(
    server: Running, visitor: httpx.Client
) -> None:
    (spec,) = PRESETS["lingle-lion"].studies("smoke")
    values = {**forms.filled(spec).values, "name": "My own", "seeds": "2"}
    assert visitor.post("/studies/new", data=values).status_code == 303
    assert stored(server)[-1].preset == "lingle-lion"


def test_no_study_comes_from_a_preset_with_an_impossible_name(visitor: httpx.Client) -> None:
    (spec,) = PRESETS["lingle-lion"].studies("smoke")
    values = {**forms.filled(spec).values, "from_preset": "<b>"}
    answer = visitor.post("/studies/new", data=values)
    assert answer.status_code == 422
    assert "preset" in Soup(answer.text).by_id("problems")
