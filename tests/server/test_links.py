"""Every link of every page leads somewhere, whatever kind of study it is about."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag

import httpx
import pytest

from muscope.client import Client
from muscope.storage import verdicts
from muscope.storage.database import open_database
from muscope_server import urls
from tests.core.searches import bowl, carried_out
from tests.server import measured, recorded, swept
from tests.server.conftest import fresh
from tests.server.running import running
from tests.server.soup import Soup
from tests.server.test_search_page import search

KINDS = ("coordinate_check", "lr_transfer", "hyperparameter_search", "recorded")


@pytest.fixture(scope="module")
def house(
    template_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    """Somebody who is in, and a judged study of every kind."""
    settings = fresh(template_dir, tmp_path_factory.mktemp("links"))
    with running(settings) as server, server.browser() as visitor:
        database = open_database(settings)
        check, sweep = (
            measured.undecided(database), swept.finished(database, swept.sweep())
        )  # fmt: skip
        searched = measured.submitted(database, search())
        with database.write() as conn:
            verdicts.save(conn, searched, (carried_out(search(), bowl)[1],))
        page = Client(server.origin, server.token).push(recorded.pushed())
        recorded.judge(database)
        yield (
            visitor,
            dict(zip(KINDS, (check, sweep, searched, page.rpartition("/")[2]), strict=True)),
        )
        database.close()


def test_every_link_of_every_page_leads_somewhere(
    house: tuple[httpx.Client, dict[str, str]],
) -> None:
    visitor, _ = house
    known: dict[str, str] = {}
    waiting = ["/"]
    while waiting:
        address = waiting.pop()
        if address in known or "preset=" in address:  # test_presets asks for each of these
            continue
        answer = visitor.get(address)
        assert answer.status_code == 200, (address, answer.text[:300])
        known[address] = answer.text
        if answer.headers["content-type"].startswith("text/html") and "/api/" not in address:
            page = Soup(answer.text)
            waiting += [urldefrag(link)[0] or address for link in page.links]
    assert len(known) > 60
    for address, text in known.items():
        for link in map(unescape, re.findall(r'<a [^>]*href="([^"]*#[^"]*)"', text)):
            page, fragment = urldefrag(link)
            assert f'id="{fragment}"' in known.get(page or address, text), (address, link)


@pytest.mark.parametrize(
    ("kind", "tab", "files"),
    [
        ("coordinate_check", "verdict", {"slopes.csv"}),
        ("coordinate_check", "report", {"measurements.csv"}),
        ("lr_transfer", "report", {"losses.csv"}),
        ("hyperparameter_search", "report", {"sets.csv"}),
        ("recorded", "runs", {"runs.csv"}),
    ],
)
def test_a_table_comes_as_a_file_too(
    house: tuple[httpx.Client, dict[str, str]], kind: str, tab: str, files: set[str]
) -> None:
    visitor, ids = house
    page = Soup(visitor.get(urls.study(ids[kind], tab=tab)).text)
    offered = {link.rpartition("/")[2]: link for link in page.links if link.endswith(".csv")}
    assert files <= set(offered)
    assert all(visitor.get(offered[name]).text.count("\r\n") > 1 for name in files), "no empty one"
