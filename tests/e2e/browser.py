"""A real Chromium that notes whatever a page does behind its reader's back."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

from muscope.settings import Settings
from muscope.storage import schema
from muscope.storage.database import Database, open_database
from tests import needs
from tests.server.running import Running, running

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SERIOUS = ("serious", "critical")
PHONE = {"width": 360, "height": 800}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's chromium, else the one that playwright brings; a skip (in CI a failure) without."""
    with sync_playwright() as playwright:
        installed = shutil.which("chromium") or shutil.which("chromium-browser")
        try:
            browser = playwright.chromium.launch(executable_path=installed)
        except Error as error:
            needs.missing(f"no Chromium starts here ({str(error).splitlines()[0]})")
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what it did: policy violations, script errors, requests to other hosts."""

    page: Page
    violations: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def foreign_hosts(self) -> set[str]:
        """Hosts other than our own that were asked for anything."""
        hosts = {urlsplit(url).hostname for url in self.requests if url.startswith("http")}
        return {host for host in hosts if host and host != "127.0.0.1"}

    def assert_clean(self) -> None:
        """No violation of the content security policy, no error, no foreign request."""
        assert not self.violations
        assert not self.errors
        assert not self.foreign_hosts

    def axe(self) -> list[str]:
        """Serious accessibility findings, each with its first element."""
        # evaluated by the debugger, which the page's policy does not bind
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{finding['id']}: {finding['nodes'][0]['html'][:200]}"
            for finding in found["violations"]
            if finding["impact"] in SERIOUS
        ]

    @property
    def overflow(self) -> int:
        """How many pixels of the page lie to the right of the window."""
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(width))


@contextmanager
def watched(browser: Browser, url: str = "", **options: object) -> Iterator[Watched]:
    """A fresh page, opened at `url` (which may carry the token) and watched from the start."""
    context = browser.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    found = Watched(page)

    def note_message(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            found.violations.append(message.text)
        elif message.type == "error":
            found.errors.append(message.text)

    def note_request(request: Request) -> None:
        found.requests.append(request.url)

    page.on("console", note_message)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", note_request)
    if url:
        page.goto(url)
    yield found
    context.close()


@dataclass(frozen=True)
class House:
    """A server with a study to look at, and its database."""

    server: Running
    database: Database
    study_id: str

    def enter(self, path: str = "/") -> str:
        """A link that lets its reader in."""
        mark = "&" if "?" in path else "?"
        return f"{self.server.origin}{path}{mark}token={self.server.token}"


@contextmanager
def house(folder: Path, study: Callable[[Database], str]) -> Iterator[House]:
    """A house in a folder, with the study that is made in its database."""
    settings = Settings(data_dir=folder / "data", port=0)
    database = open_database(settings)
    schema.upgrade(database)
    with running(settings) as server:
        yield House(server, database, study(database))
    database.close()


def wait_for_charts(page: Page) -> None:
    """Scroll each chart into view and wait until all are drawn."""
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        expect(plot.locator(".main-svg").first).to_be_visible(timeout=15_000)
