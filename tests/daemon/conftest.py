"""Pieces that several tests of the watcher share."""

from datetime import UTC, datetime

import pytest
from kit.watching import NotingSink

from antifake.daemon.store import open_store


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
