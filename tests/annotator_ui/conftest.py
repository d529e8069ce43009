"""Fixtures of the browser tests of the pages."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page


@pytest.fixture
def left(page: Page) -> Iterator[None]:
    """The page is left before the database is emptied: a closing work page gives its lease back."""
    yield
    for _ in range(10):
        if page.url == "about:blank":
            break
        with suppress(Error):  # interrupted: the page was on its way to the next one by itself
            page.goto("about:blank")
        page.wait_for_timeout(400)
