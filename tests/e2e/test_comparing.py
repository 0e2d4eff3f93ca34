"""The Compare page and the Grid tab in a real Chromium: read by all, filled while runs finish."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from muscope_server import urls
from tests.e2e.browser import PHONE, House, wait_for_charts, watched
from tests.e2e.browser import house as opened
from tests.server import measured, swept

pytestmark = pytest.mark.e2e
EVIL = "<b>Rates</b> & more"
STROKES = """lines => lines.map((one) => getComputedStyle(one))
  .filter((style) => Number.parseFloat(style.strokeWidth) > 0).map((style) => style.stroke)"""
SURFACE = """() => {
  const chart = document.querySelector(".chart");
  return chart ? getComputedStyle(chart).backgroundColor : "rgb(0, 0, 0)";
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a finished sweep."""
    folder = tmp_path_factory.mktemp("comparing")
    with opened(folder, lambda db: swept.finished(db, swept.sweep(EVIL))) as found:
        yield found


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
            wait_for_charts(found.page)
            assert found.overflow == 0, path
            assert found.axe() == [], path
            strokes = found.page.locator(".scatterlayer .js-line").evaluate_all(STROKES)
            surface = found.page.locator("body").evaluate(SURFACE)
            # what WCAG 2.2 asks of graphics (1.4.11)
            assert min((contrast(stroke, surface) for stroke in strokes), default=3) >= 3, path
        found.assert_clean()


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as a browser says them (WCAG 2.2)."""
    lights = []
    for colour in (one, other):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)


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
        watched(browser, house.enter(urls.compare(both(study_id))), viewport=PHONE) as compared,
    ):
        expect(grid.page.locator("a.cell.queued")).to_have_count(60)
        expect(compared.page.locator("#live-state")).to_have_text("live")
        table = compared.page.get_by_role("region", name="Variants", exact=True).last
        table.evaluate("one => { one.scrollLeft = 80; }")
        study = compared.page.locator("details", has_text=EVIL)
        study.locator("summary").click()
        study.get_by_role("checkbox").first.check()
        panels = compared.page.get_by_role("heading", name="Panels")
        panels.evaluate("one => one.scrollIntoView()")
        before = panels.bounding_box()
        swept.train_next(house.database, spec, study_id)
        expect(compared.page.get_by_role("region", name="Loss, each")).to_contain_text("width 32")
        drawn = compared.page.locator("[data-title='Difference at each one’s best rate']")
        expect(drawn.locator(".main-svg").first).to_be_attached()
        expect(grid.page.locator("a.cell.queued")).to_have_count(30)
        while swept.train_next(house.database, spec, study_id):
            pass
        expect(grid.page.locator("a.cell.queued")).to_have_count(0)
        expect(grid.page.locator("#grid")).to_contain_text("60 finished")
        last = compared.page.get_by_role("region", name="Loss, each")
        expect(last).to_contain_text("width 64")
        expect(compared.page.locator("#live-state")).to_be_hidden()
        # what the reader did and looks at is where it was, though tables have grown above it
        assert table.evaluate("one => one.scrollLeft") == 80
        expect(study.get_by_role("checkbox").first).to_be_checked()
        assert panels.bounding_box() == pytest.approx(before, abs=2)  # pixels are whole
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
