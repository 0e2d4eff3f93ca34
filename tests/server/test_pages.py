"""The pages around the studies, read as a user reads them: parsed HTML, and what it means."""

import httpx

from muscope.presets import demo
from muscope.storage.database import open_database
from muscope.vocabulary import CellVerdict
from muscope_server import urls
from tests.server import measured
from tests.server.running import Running
from tests.server.soup import Soup
from tests.server.world import World


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
