"""Pieces that several tests of the daemon share."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from kit.daemon import tiny_home_in
from kit.pages import World, serving, world
from kit.watching import NotingSink

from antifake.daemon.places import Places, places
from antifake.daemon.store import open_store


@pytest.fixture
def where(tmp_path, monkeypatch) -> Places:
    """A fresh user's places, without a model."""
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    found = places()
    found.make()
    return found


# --- Of the watcher -------------------------------------------------------------------------


@pytest.fixture
def sink(tmp_path):
    """Takes what a watcher hands over, and keeps a real ledger."""
    with open_store(tmp_path / "log" / "app.db", datetime(2026, 11, 22, 12, tzinfo=UTC)) as store:
        yield NotingSink(store)


@pytest.fixture
def root(tmp_path):
    """An empty folder to watch."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


# --- Of the pages ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    # Not at the top: only these tests need a browser.
    from kit.page_desk import page_browser

    with page_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def home(tiny_source, tmp_path_factory):
    return tiny_home_in(tmp_path_factory.mktemp("home"), tiny_source)


@pytest.fixture
def here(tmp_path, home) -> Iterator[World]:
    """An empty history, without a worker."""
    with world(tmp_path, home) as made:
        yield made


@pytest.fixture
def served(here) -> Iterator[str]:
    with serving(here.app()) as url:
        yield url


@pytest.fixture
def stranger(here):
    """A client whom no link has let in."""
    return here.app().test_client()


@pytest.fixture
def me(here, stranger):
    """A client that a link has let in."""
    stranger.get(f"/open?code={here.access.mint_login()}")
    return stranger
