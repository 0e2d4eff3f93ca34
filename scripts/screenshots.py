"""Take the pictures of docs/images from a running muscope, of the newest study of each kind.

muscope up --demo          # in another terminal, until the demo and a learning-rate study finished
python scripts/screenshots.py 'http://127.0.0.1:8765/?token=…'
"""

import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDTH = 1280


def main(link: str) -> None:
    """Save one picture per page."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": WIDTH, "height": 800})
        page.goto(link)
        parts = urlsplit(link)
        origin = f"{parts.scheme}://{parts.netloc}"
        shoot(page, f"{origin}/", "studies.png", height=620)
        shoot(page, f"{origin}/studies/new", "new-study.png", height=1100)
        check, sweep = newest(page, origin, "coordinate_check"), newest(page, origin, "lr_transfer")
        if check:
            shoot(page, f"{check}?tab=verdict&statistic=change", "verdict.png", height=1250)
            charts = f"{check}?tab=coordinate-check&statistic=change"
            shoot(page, charts, "coordinate-check.png", height=1130)
        if sweep:
            shoot(page, f"{sweep}?tab=lr-transfer", "lr-transfer.png", height=1000)
            curves = f"{sweep}?tab=lr-transfer#rate-charts-title"
            shoot(page, curves, "lr-curves.png", height=1080)
            shoot(page, f"{sweep}?tab=grid", "grid.png", height=820)
            compared = str(page.get_by_role("link", name="Compare").last.get_attribute("href"))
            shoot(page, origin + compared, "compare.png", height=1100)
        browser.close()


def newest(page: Page, origin: str, kind: str) -> str | None:
    """The address of the newest study of a kind that has finished."""
    studies = page.request.get(f"{origin}/api/v1/studies").json()["studies"]
    found = (one for one in studies if (one["kind"], one["state"]) == (kind, "finished"))
    return next((origin + f"/studies/{one['id']}" for one in found), None)


def shoot(page: Page, url: str, name: str, *, height: int) -> None:
    """Open a page at a height, wait for its charts, save the window from `#id` or the top on."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto(url)
    page.wait_for_load_state("networkidle")
    for plot in page.locator(".plot").all()[:2]:
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()
    place = urlsplit(url).fragment
    page.evaluate("id => document.getElementById(id || 'main').scrollIntoView()", place)
    if not place:
        page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=IMAGES / name)
    print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size // 1024} KiB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
