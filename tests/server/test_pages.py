"""The pages around the studies, read as a user reads them: parsed HTML, and what it means."""

import httpx
import pytest

from muscope.presets import demo
from muscope.reports import formats
from muscope.storage.database import open_database
from muscope.vocabulary import CellVerdict, SearchVerdict, TransferVerdict
from muscope_server import urls
from muscope_server.services import submission
from tests.server import measured
from tests.server.running import Running
from tests.server.soup import Soup
from tests.server.world import World


def test_an_empty_house_offers_the_demo_and_says_how_long_it_takes(visitor: httpx.Client) -> None:
    home = visitor.get("/").text
    page, demo_form = Soup(home), Soup(home.partition("<form")[2].partition("</form>")[0])
    assert "about a minute" in page.text
    assert str(demo.demo().run_count) in page.text
    answer, again = (visitor.post("/studies/new", data=demo_form.inputs) for _ in range(2))
    assert answer.status_code == 303
    assert "Demo" in Soup(visitor.get(answer.headers["location"]).text).first("h1")
    assert again.headers["location"] == answer.headers["location"], "a double click"
    assert visitor.get("/").text.count("study-name") == 1


def test_a_click_that_is_one_too_many_is_kept_in_the_form(
    visitor: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "STUDIES_PER_HOUR", 0)
    answer = visitor.post("/studies/new", data={"preset": "transfer-demo", "size": "smoke"})
    page = Soup(answer.text)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "At most 0 studies" in page.by_id("problems")
    assert page.inputs["from_preset"] == "transfer-demo"
    assert page.inputs["widths"]
    assert page.by_id("experiments"), "the way to another one"
    unknown = visitor.post("/studies/new", data={"preset": "nosuch"})
    assert (unknown.status_code, Soup(unknown.text).first("h1")) == (404, "Not Found")


def test_the_list_shows_a_badge_per_variant_with_sign_and_word(world: World) -> None:
    page = world.soup("/")
    row = page.first("tbody")
    assert "↗ grows" in row
    assert "→ flat" in row
    assert "16 of 16 runs" in row
    assert urls.study(world.study_id) in page.links


def test_the_help_explains_every_word_that_a_badge_can_show(world: World) -> None:
    page = world.soup("/help")
    verdicts = {*CellVerdict, *TransferVerdict, *SearchVerdict}
    words = {formats.words(verdict) for verdict in verdicts}
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
