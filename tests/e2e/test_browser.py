"""Every page in a real Chromium: nothing behind the reader's back, live, dark, on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from muscope.storage import bundles, studies, verdicts
from muscope.storage.database import Database
from muscope.verdicts.transfer import judge as transfer
from muscope_server import urls
from tests.core.test_joined import checked, trials
from tests.e2e.browser import PHONE, House, wait_for_charts, watched
from tests.e2e.browser import house as opened
from tests.server import measured
from tests.server.test_joined_page import drifting

pytestmark = pytest.mark.e2e

EVIL = '<span style="background:url(https://evil.example/x)">µ</span> <a href="//evil.example">'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a finished study of an evil name."""
    folder = tmp_path_factory.mktemp("browser")
    with opened(folder, lambda db: measured.finished(db, measured.small(EVIL))) as found:
        yield found


def pages(house: House) -> list[str]:
    """Every page, with every tab."""
    tabs = ("verdict", "coordinate-check", "runs", "recipe", "report")
    study = [urls.study(house.study_id, tab=tab) for tab in tabs]
    alone = urls.study(house.study_id, tab="coordinate-check", statistic="change", tensor="input")
    return ["/", "/studies/new", "/workers", "/help", "/studies/nothing", *study, alone]


def failed(database: Database) -> str:
    """A study that failed with a reason that is one long word."""
    study_id = measured.submitted(database, measured.small("Failed"))
    with database.write() as conn:
        claim = bundles.claim(conn, worker_id="lab-1", pid=1, code_version="0", lease_s=60)
        assert claim
        bundles.fail(conn, claim, code="E_DATA", text=f"{'/folder' * 20} is not there")
        studies.cancel(conn, study_id)
    return study_id


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_its_policy_calls_out_overflows_a_phone_or_excludes_a_reader(
    browser: Browser, house: House, scheme: str
) -> None:
    if scheme == "light":
        everywhere = [*pages(house), urls.study(failed(house.database))]
    else:
        everywhere = [*pages(house)[:2], *pages(house)[5:7]]
    with watched(browser, house.enter(), color_scheme=scheme, viewport=PHONE) as found:
        for path in everywhere:
            found.page.goto(house.server.origin + path)
            wait_for_charts(found.page)
            assert found.overflow == 0, path
            assert found.axe() == [], path
        found.errors = [text for text in found.errors if "404" not in text]
        found.assert_clean()


def test_what_check_and_sweep_say_together_arrives_while_somebody_looks(
    browser: Browser, house: House
) -> None:
    spec = drifting()
    study_id = measured.submitted(house.database, spec)
    with watched(browser, house.enter(urls.study(study_id)), viewport=PHONE) as found:
        page = found.page
        expect(page.get_by_role("link", name="LR transfer")).to_be_visible()
        expect(page.locator("#verdicts")).to_contain_text("nothing measured yet")
        swept = transfer.judge(
            spec.sweep or spec, trials(spec, drift=-0.6), runs_judged={}, final=True
        )
        with house.database.write() as conn:
            verdicts.save(conn, study_id, [checked(spec, passes=True), *swept])
        together = page.locator("#verdicts article").first
        expect(together).to_contain_text("passes, and yet the best learning rate moves")
        expect(together).to_contain_text("Weight decay is multiplied by a learning rate")
        assert found.overflow == 0
        assert found.axe() == []
        found.assert_clean()
    with house.database.write() as conn:
        studies.cancel(conn, study_id)


def test_the_login_page_lets_in_who_has_the_token(browser: Browser, house: House) -> None:
    with watched(browser, f"{house.server.origin}/workers") as found:
        assert found.axe() == []
        found.page.get_by_label("Token").fill(house.server.token)
        found.page.get_by_role("button", name="Enter").click()
        expect(found.page.get_by_role("heading", level=1)).to_have_text("Workers")
        found.assert_clean()


def test_the_plan_follows_while_typing_and_a_mistake_keeps_what_was_typed(
    browser: Browser, house: House
) -> None:
    with watched(browser, house.enter("/studies/new")) as found:
        page = found.page
        runs = page.locator("#plan dd").first
        expect(runs).to_have_text("40")
        page.get_by_label("Seeds", exact=True).fill("3")
        expect(runs).to_have_text("24")
        page.get_by_label("Name", exact=True).fill("Kept as typed")
        page.get_by_label("Widths").fill("64, wide")
        expect(page.locator("#plan")).to_contain_text("'wide'")
        page.get_by_role("button", name="Start the study").click()
        expect(page.locator("#widths-error")).to_contain_text("'wide'")
        expect(page.get_by_label("Name", exact=True)).to_have_value("Kept as typed")
        expect(page.get_by_label("Widths")).to_have_value("64, wide")
        expect(page.locator("#problems")).to_be_focused()
        page.locator("#problems").get_by_role("link", name="widths").click()
        expect(page.get_by_label("Widths")).to_be_focused()
        found.errors = [text for text in found.errors if "422" not in text]
        found.assert_clean()


def test_a_chip_opens_its_part_of_the_form_and_brings_an_optimizer_along(
    browser: Browser, house: House
) -> None:
    with watched(browser, house.enter("/studies/new")) as found:
        rates = found.page.get_by_label("MLP with AdamW: learning rates")
        expect(rates).to_be_hidden()
        found.page.get_by_label("MLP", exact=True).check()
        expect(rates).to_be_visible()
        expect(found.page.locator("#plan dd").first).to_have_text("80")


def test_a_picture_is_saved_with_its_title_and_none_is_offered_where_nothing_was_measured(
    browser: Browser, house: House
) -> None:
    empty = measured.submitted(house.database, measured.small("Never"))
    with house.database.write() as conn:
        studies.cancel(conn, empty)
    with watched(browser, house.enter(urls.study(house.study_id, tab="coordinate-check"))) as found:
        wait_for_charts(found.page)
        with found.page.expect_download() as saved:
            found.page.get_by_role("button", name="SVG").first.click()
        picture = saved.value.path().read_text(encoding="utf-8")
        assert "MLP · SP · SGD 0.1 · change since step 0" in picture
        found.page.goto(house.server.origin + urls.study(empty, tab="coordinate-check"))
        expect(found.page.locator(".empty-plot")).to_have_count(2)
        expect(found.page.get_by_role("button", name="SVG")).to_have_count(0)
        found.assert_clean()


def test_a_recipe_s_link_keeps_its_target_and_the_download_is_for_it(
    browser: Browser, house: House
) -> None:
    with watched(browser, house.enter(urls.study(house.study_id, tab="recipe"))) as found:
        page = found.page
        expect(page.get_by_role("note")).to_contain_text("given and not tuned")
        page.get_by_label("Width").fill("1024")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#recipe caption")).to_contain_text("width 1024, depth 1")
        page.goto(page.url)
        expect(page.get_by_label("Width")).to_have_value("1024")
        with page.expect_download() as saved:
            page.get_by_role("link", name="PyTorch").click()
        assert "WIDTH, DEPTH = 1024, 1" in saved.value.path().read_text(encoding="utf-8")
        page.get_by_label("Width").fill("wide")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("alert")).to_contain_text("whole number, got 'wide'")
        expect(page.get_by_label("Width")).to_have_value("wide")
        found.assert_clean()


def test_the_page_fills_while_it_is_measured_and_a_reload_draws_the_same(
    browser: Browser, house: House
) -> None:
    spec = measured.small("Live")
    study_id = measured.submitted(house.database, spec)
    with (
        watched(browser, house.enter(urls.study(study_id, tab="coordinate-check"))) as charts,
        watched(browser, house.enter(urls.study(study_id, tab="verdict"))) as verdict,
    ):
        expect(charts.page.locator("#live-state")).to_have_text("live")
        expect(verdict.page.locator("#study-header .badge")).to_have_text("queued")
        measured.train_next(house.database, spec, study_id)
        expect(verdict.page.locator("#study-header")).to_contain_text("4 of 16 runs ended")
        expect(verdict.page.locator(".card").first).to_contain_text("so far")
        wait_for_charts(charts.page)
        while measured.train_next(house.database, spec, study_id):
            pass
        expect(verdict.page.locator("#study-header .badge")).to_have_text("finished")
        expect(verdict.page.locator(".card").first).not_to_contain_text("so far")
        expect(charts.page.locator("#study-header .badge")).to_have_text("finished")
        verdict.page.goto(charts.page.url)
        wait_for_charts(verdict.page)
        fresh = verdict.page.evaluate(DRAWN)
        charts.page.wait_for_function(f"fresh => {DRAWN} === fresh", arg=fresh, timeout=10_000)
        charts.assert_clean()
        verdict.assert_clean()


def test_a_hidden_page_holds_no_stream_and_resumes_when_shown(
    browser: Browser, house: House
) -> None:
    spec = measured.small("Hidden")
    study_id = measured.submitted(house.database, spec)
    with watched(browser, house.enter(urls.study(study_id, tab="runs"))) as found:
        page = found.page
        expect(page.locator("#live-state")).to_have_text("live")
        measured.train_next(house.database, spec, study_id)
        expect(page.locator("#study-header")).to_contain_text("4 of 16 runs ended")
        _pretend(page, hidden=True)
        measured.train_next(house.database, spec, study_id)
        expect(page.locator("#study-header")).to_contain_text("4 of 16 runs ended")
        _pretend(page, hidden=False)
        expect(page.locator("#study-header")).to_contain_text("8 of 16 runs ended")
        streams = [url for url in found.requests if "/events?" in url]
        assert len(streams) == 2
        assert streams[0] != streams[1], "the second resumes after the last event seen"
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#study-header .badge")).to_have_text("cancelled")


def test_the_theme_switch_is_remembered(browser: Browser, house: House) -> None:
    with watched(browser, house.enter(), color_scheme="light") as found:
        page = found.page
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Theme: system").click()
        page.get_by_role("button", name="Theme: light").click()
        page.reload()
        expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_the_report_opens_from_a_file_without_a_network_and_asks_for_nothing(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    with house.server.browser() as visitor:
        answer = visitor.get(urls.report(house.study_id))
    file = tmp_path / "report.html"
    file.write_bytes(answer.content)
    with watched(browser, viewport=PHONE, offline=True) as found:
        found.page.goto(file.as_uri())
        wait_for_charts(found.page)
        assert found.requests == [file.as_uri()]
        assert found.overflow == 0
        assert found.axe() == []
        found.assert_clean()


def test_the_keyboard_reaches_the_content_and_the_help(browser: Browser, house: House) -> None:
    with watched(browser, house.enter()) as found:
        found.page.keyboard.press("Tab")
        expect(found.page.get_by_role("link", name="Skip to content")).to_be_focused()
        found.page.keyboard.press("Enter")
        assert found.page.evaluate("document.activeElement.id") == "main"
        found.page.keyboard.press("?")
        expect(found.page.get_by_role("heading", level=1)).to_have_text("How to read this")


# what the charts of a page hold, as text that can be compared
DRAWN = """JSON.stringify([...document.querySelectorAll(".js-plotly-plot")].map(
    (plot) => plot.data.map((trace) => [[...trace.x], [...trace.y], trace.name])))"""


def _pretend(page: Page, *, hidden: bool) -> None:
    """A headless tab is never hidden; say so in its place."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_one_click_adds_what_is_missing(browser: Browser, house: House) -> None:
    study_id = measured.undecided(house.database)
    with watched(browser, house.enter(urls.extension(study_id)), viewport=PHONE) as found:
        assert (found.overflow, found.axe()) == (0, [])
        found.page.goto(house.server.origin + urls.study(study_id))
        found.page.get_by_role("link", name="Extend", exact=True).click()
        assert (found.overflow, found.axe()) == (0, [])
        found.page.get_by_role("button", name="Add 2 seeds and width 1024").click()
        expect(found.page.get_by_text("0 of 24 new runs ended, 16 reused")).to_be_visible()
        assert (found.overflow, found.axe()) == (0, [])
        found.assert_clean()
