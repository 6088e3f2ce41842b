from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.browser import ARGUMENTS, Watch, executable
from tests.e2e.launched import trainers
from tests.integration.stack import Together, running_together

PATIENCE = 30_000.0  # milliseconds, for anything that needs no background work


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    """`ftportal up`, shared by all tests of this directory; it may connect to the stand-ins of providers, and offers
    every trainer."""
    offered = trainers(tmp_path_factory.mktemp("trainers"))
    with running_together(FTPORTAL_ALLOW_PRIVATE_URLS="1", **offered) as stack:
        yield stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, together: Together) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=together.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield context
    context.close()


@pytest.fixture
def watch() -> Iterator[list[Watch]]:
    watches: list[Watch] = []
    yield watches
    assert [problem for each in watches for problem in each.problems] == []


@pytest.fixture
def page(context: BrowserContext, watch: list[Watch]) -> Page:
    """A tab in which nothing may go wrong unnoticed."""
    page = context.new_page()
    watch.append(Watch(page))
    return page
