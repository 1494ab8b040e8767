"""A browser with the extension, a daemon and web sites, shared by the tests of one file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.daemon import Asked, mini_daemon, running_daemon
from kit.desk import Desk
from kit.extension import Chromium, chromium
from kit.sites import Sites
from playwright.sync_api import Page

from antifake.core.catalog import Home


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with Sites() as served:
        yield served


@pytest.fixture(scope="module")
def daemon(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """The daemon with the tiny model, which is loaded."""
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as asked:
        asked.wait_for_model()
        yield asked


@pytest.fixture(scope="module")
def with_mini(mini_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """The daemon with the real `mini`, which is loaded."""
    with mini_daemon(tmp_path_factory.mktemp("mini"), mini_home) as asked:
        asked.wait_for_model()
        yield asked


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Chromium) -> Iterator[Page]:
    """A new tab. What opened besides it is closed at the end."""
    tab = browser.context.new_page()
    yield tab
    for one in browser.context.pages:
        if one is not browser.pump:
            one.close()


@pytest.fixture
def desk(browser: Chromium, daemon: Asked, sites: Sites, page: Page) -> Desk:
    """The browser is not connected to the daemon."""
    browser.clear()
    return Desk(browser, daemon, sites, page)


@pytest.fixture
def connected(desk: Desk) -> Desk:
    desk.browser.connect(desk.daemon)
    return desk
