"""One Chromium for all tests that look at pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A real browser; every page that is opened in it has a context of its own."""
    with chromium() as found:
        yield found
