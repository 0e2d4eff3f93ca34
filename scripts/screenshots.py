"""Take the pictures of docs/images from a running muscope whose newest study has finished.

muscope up --demo          # in another terminal, until the demo has finished
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
        study = origin + str(page.locator("a.study-name").first.get_attribute("href"))
        shoot(page, f"{origin}/", "studies.png", height=620)
        shoot(page, f"{origin}/studies/new", "new-study.png", height=1100)
        shoot(page, f"{study}?tab=verdict&statistic=change", "verdict.png", height=1250)
        charts = f"{study}?tab=coordinate-check&statistic=change"
        shoot(page, charts, "coordinate-check.png", height=1130)
        browser.close()


def shoot(page: Page, url: str, name: str, *, height: int) -> None:
    """Open a page at a height, wait for its charts, save what is in the window."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto(url)
    page.wait_for_load_state("networkidle")
    for plot in page.locator(".plot").all()[:2]:
        plot.locator(".main-svg").first.wait_for()
    page.screenshot(path=IMAGES / name)
    print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size // 1024} KiB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
