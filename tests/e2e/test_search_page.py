"""The page of a hyperparameter search in a real Chromium, on a phone: charts, policy, readers."""

from collections.abc import Iterator

import pytest

from muscope.settings import Settings
from muscope.storage import schema, verdicts
from muscope.storage.database import open_database
from muscope_server import urls
from tests.core.searches import bowl, carried_out
from tests.e2e.browser import Watched, chromium, watched
from tests.server import measured
from tests.server.running import running
from tests.server.test_search_page import search

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The search tab of a judged study."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("search") / "data", port=0)
    database = open_database(settings)
    schema.upgrade(database)
    study_id = measured.submitted(database, search())
    with database.write() as conn:
        verdicts.save(conn, study_id, (carried_out(search(), bowl)[1],))
    phone = {"width": 360, "height": 800}
    with running(settings) as server, chromium() as browser:
        url = f"{server.origin}{urls.study(study_id, tab='search')}&token={server.token}"
        with watched(browser, url, viewport=phone) as found:
            yield found
    database.close()


def test_the_page_draws_three_charts_and_does_nothing_behind_the_reader(page: Watched) -> None:
    plots = page.page.locator("[data-figure]")
    assert plots.count() == 3
    for number in range(3):
        plots.nth(number).scroll_into_view_if_needed()
        plots.nth(number).locator(".main-svg").first.wait_for()
    assert page.overflow == 0
    assert page.axe() == []
    page.assert_clean()
