"""A user whose daemon is started, killed and started anew, at the same port, with a page open."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from .daemon import free_port
from .pace import within
from .page_desk import WAIT_MS
from .running import Running


def fix_port(root: Path) -> None:
    """Makes the daemon of a home have the same port in every run, as it has by default."""
    (root / "config.toml").write_text(f"[server]\nport = {free_port()}\n")


@contextmanager
def tab(chromium: Browser, **about: Any) -> Iterator[Page]:
    """Opens a browser that knows nothing yet."""
    with chromium.new_context(**about) as context:
        context.set_default_timeout(within(WAIT_MS))
        yield context.new_page()


def enter(page: Page, daemon: Running, path: str = "/folders") -> None:
    """Opens a page by a new link, under the pages' own name."""
    page.goto(daemon.ready().login(path if path != "/" else None))
    first_visit = "(?:welcome)?" if path == "/" else ""
    page.wait_for_url(re.compile(rf"localhost:{daemon.port}{path}{first_visit}$"))
    if path == "/":
        page.goto(address(daemon))
    expect(page.locator("html.js")).to_be_attached()


def address(daemon: Running, path: str = "/") -> str:
    """Returns what the user may have bookmarked."""
    return f"http://antifake.localhost:{daemon.port}{path}"
