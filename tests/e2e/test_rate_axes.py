"""The tab of a study over several axes, in a real Chromium: its charts turn to each of them."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from muscope import plan
from muscope.storage import verdicts
from muscope.storage.database import Database
from muscope.verdicts.transfer import judge
from muscope.verdicts.transfer.losses import of_run
from muscope_server import urls
from tests.e2e.browser import PHONE, house, watched
from tests.server import measured
from tests.server.test_rates_page import over_steps

pytestmark = pytest.mark.e2e


def judged(database: Database) -> str:
    """A study over steps and depths."""
    spec = over_steps()
    study_id = measured.submitted(database, spec)
    found = [of_run(r, 2 + r.octave**2, start=9.0, train_loss=2.5) for r in plan.runs(spec)]
    with database.write() as conn:
        verdicts.save(conn, study_id, judge.judge(spec, found, runs_judged={}, final=True))
    return study_id


def test_the_charts_turn_to_every_axis_and_nobody_is_excluded(
    browser: Browser, tmp_path: Path
) -> None:
    with house(tmp_path, judged) as found:
        link = found.enter(urls.study(found.study_id))
        with watched(browser, link, viewport=PHONE) as seen:
            for axis in ("depth", "steps"):
                seen.page.locator("#axis").select_option(axis)
                expect(seen.page.locator("#axis")).to_have_value(axis)
                seen.page.locator("#optima-charts-title").scroll_into_view_if_needed()
                expect(seen.page.locator(".js-plotly-plot")).to_have_count(2)
                chart = seen.page.locator(".js-plotly-plot").last
                expect(chart).to_contain_text("number of steps" if axis == "steps" else "depth")
            assert seen.axe() == []
            assert seen.overflow == 0
            seen.assert_clean()
