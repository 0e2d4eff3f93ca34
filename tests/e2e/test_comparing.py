"""The Compare page and the Grid tab in a real Chromium: read by all, filled while runs finish."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from muscope.settings import Settings
from muscope.storage import schema
from muscope.storage.database import open_database
from muscope_server import urls
from tests.e2e.browser import chromium, watched
from tests.e2e.test_browser import PHONE, House, _wait_for_charts
from tests.server import measured, swept
from tests.server.running import running

pytestmark = pytest.mark.e2e
EVIL = "<b>Rates</b> & more"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("comparing") / "data", port=0)
    database = open_database(settings)
    schema.upgrade(database)
    study_id = swept.finished(database, swept.sweep(EVIL))
    with running(settings) as server:
        yield House(server, database, study_id)
    database.close()


def both(study_id: str) -> list[str]:
    """SP and µP of a sweep."""
    return [f"{study_id}:{variant.key}" for variant in swept.sweep().variants]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_on_a_phone_is_excluded_from_neither_page(
    browser: Browser, house: House, scheme: str
) -> None:
    everywhere = [urls.compare(both(house.study_id)), urls.study(house.study_id, tab="grid")]
    if scheme == "light":
        check = measured.finished(house.database, measured.small())
        sizes = [f"{check}:{variant.key}" for variant in measured.small().variants]
        everywhere += [urls.compare(), urls.compare(sizes)]
    with watched(browser, house.enter(), color_scheme=scheme, viewport=PHONE) as found:
        for path in everywhere:
            found.page.goto(house.server.origin + path)
            _wait_for_charts(found.page)
            assert found.overflow == 0, path
            assert found.axe() == [], path
        found.assert_clean()


def test_variants_are_chosen_by_hand_and_the_address_keeps_what_is_seen(
    browser: Browser, house: House
) -> None:
    with watched(browser, house.enter(urls.compare())) as found:
        page = found.page
        study = page.locator("details", has_text=EVIL)
        if not study.evaluate("one => one.open"):
            study.locator("summary").click()
        for box in study.get_by_role("checkbox").all():
            box.check()
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("region", name="Variants", exact=True).last).to_contain_text(
            "transfers"
        )
        page.wait_for_load_state()  # a choice is shown at once only when its script has come
        page.get_by_label("Subtract").select_option("B")
        expect(page.get_by_role("region", name="Loss, each")).to_contain_text("A − B")
        assert "against=" in page.url
        page.reload()
        expect(page.get_by_role("region", name="Loss, each")).to_contain_text("A − B")
        found.assert_clean()


def test_without_scripts_the_page_reads_as_well(browser: Browser, house: House) -> None:
    path = urls.compare(both(house.study_id))
    with watched(browser, house.enter(path), java_script_enabled=False) as found:
        expect(found.page.get_by_role("region", name="Drift")).to_contain_text("+0.50")
        expect(found.page.locator("figcaption").first).to_contain_text("least loss 1.9513")


def test_cells_and_comparison_fill_while_runs_finish(browser: Browser, house: House) -> None:
    spec = swept.sweep("Live", widths=(32, 64))
    study_id = measured.submitted(house.database, spec)
    with (
        watched(browser, house.enter(urls.study(study_id, tab="grid"))) as grid,
        watched(browser, house.enter(urls.compare(both(study_id)))) as compared,
    ):
        expect(grid.page.locator("a.cell.queued")).to_have_count(60)
        expect(compared.page.locator("#live-state")).to_have_text("live")
        swept.train_next(house.database, spec, study_id)
        expect(grid.page.locator("a.cell.queued")).to_have_count(30)
        while swept.train_next(house.database, spec, study_id):
            pass
        expect(grid.page.locator("a.cell.queued")).to_have_count(0)
        expect(grid.page.locator("#grid")).to_contain_text("60 finished")
        # it asks every five seconds
        last = compared.page.get_by_role("region", name="Loss, each")
        expect(last).to_contain_text("width 64", timeout=15_000)
        expect(compared.page.locator("#live-state")).to_be_hidden()
        grid.assert_clean()
        compared.assert_clean()


def test_arrow_keys_move_between_cells_and_enter_leads_to_the_run(
    browser: Browser, house: House
) -> None:
    with watched(browser, house.enter(urls.study(house.study_id, tab="grid"))) as found:
        page = found.page
        colours = page.locator(".swatches span").evaluate_all(
            "all => all.map((one) => getComputedStyle(one).backgroundColor)"
        )
        assert len(set(colours)) == 7
        cells = page.locator("table.heat").first.locator("a.cell")
        assert cells.nth(1).get_attribute("tabindex") == "-1", "one stop of Tab per table"
        cells.first.focus()
        for key, place in zip(("ArrowRight", "ArrowDown", "ArrowLeft"), (1, 6, 5), strict=True):
            page.keyboard.press(key)
            expect(cells.nth(place)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("tr:target")).to_contain_text("0.01562")
