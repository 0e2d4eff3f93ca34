"""The page of a hyperparameter search in a real Chromium, on a phone: charts, policy, readers."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from muscope.storage import verdicts
from muscope.storage.database import Database
from muscope_server import urls
from tests.core.searches import bowl, carried_out
from tests.e2e.browser import PHONE, house, wait_for_charts, watched
from tests.server import measured
from tests.server.test_search_page import search

pytestmark = pytest.mark.e2e


def judged(database: Database) -> str:
    """A judged search."""
    study_id = measured.submitted(database, search())
    with database.write() as conn:
        verdicts.save(conn, study_id, (carried_out(search(), bowl)[1],))
    return study_id


def test_the_page_draws_three_charts_and_does_nothing_behind_the_reader(
    browser: Browser, tmp_path: Path
) -> None:
    with house(tmp_path, judged) as found:
        link = found.enter(urls.study(found.study_id, tab="search"))
        with watched(browser, link, viewport=PHONE) as seen:
            expect(seen.page.locator("[data-figure]")).to_have_count(3)
            wait_for_charts(seen.page)
            assert seen.overflow == 0
            assert seen.axe() == []
            seen.assert_clean()
