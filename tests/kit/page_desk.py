"""The user at the pages in a real browser: mouse, keyboard, axe's rules, and screenshots."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from .pace import within
from .pages import ARGUMENTS, CHROMIUM, World

SCREENS = Path(__file__).parents[2] / "build" / "screens"
WAIT_MS = 20_000
"""Only a bound for what never comes."""


def later(page: Page) -> None:
    """Waits until everything that the page has begun is done."""
    page.evaluate("() => new Promise((done) => setTimeout(done, 300))")


@dataclass
class Desk:
    """The user at the page."""

    page: Page
    world: World
    url: str
    trouble: list[str] = field(default_factory=list)
    """Errors of the browser, and requests to other computers."""

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        expect(self.page.locator("html.js")).to_be_attached()
        return self.page

    def row(self, name: str) -> Locator:
        return self.page.locator(".row", has_text=name)

    def verdict(self, name: str) -> Locator:
        return self.row(name).locator("[data-verdict]")

    def keys(self, keys: str) -> None:
        self.page.wait_for_load_state()
        for key in keys.split():
            self.page.keyboard.press(key)

    def toast(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator("#toast")).to_contain_text(text)


@contextmanager
def page_browser() -> Iterator[Browser]:
    expect.set_options(timeout=within(WAIT_MS))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def desk_at(world: World, url: str, browser: Browser) -> Iterator[Desk]:
    """Opens the page for the user. At the end there must have been no trouble."""
    with browser.new_context(viewport={"width": 1180, "height": 860}) as context:
        context.set_default_timeout(within(WAIT_MS))
        page = context.new_page()
        made = Desk(page, world, url)
        page.on("console", lambda said: _note(made, said))
        page.on("pageerror", lambda error: made.trouble.append(str(error)))
        page.on("dialog", lambda dialog: made.trouble.append(dialog.message))
        page.on("request", lambda asked: _note_request(made, asked.url))
        page.goto(f"{url}/enter?code={world.access.mint_login()}")
        yield made
        page.close()
        assert made.trouble == []


def _note(desk: Desk, said: ConsoleMessage) -> None:
    # Chromium itself logs a line for each error answer, which these tests expect.
    if said.type in ("error", "warning") and "Failed to load resource" not in said.text:
        desk.trouble.append(said.text)


def _note_request(desk: Desk, url: str) -> None:
    if not url.startswith((desk.url, "data:")):
        desk.trouble.append(f"a request to {url}")


def look(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_function("document.readyState === 'complete'")


def shoot(page: Page, name: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True, animations="disabled")


FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const label = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent;
  const name = label || at.textContent.trim();
  return {name, outline: style.outlineStyle, width: at.getBoundingClientRect().width};
}"""
SMALL_TARGETS = """() => [...document.querySelectorAll("a[href], button, select, input, summary")]
  .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
  // A link within a sentence is as high as its line.
  .filter(([one, at]) => at.width && at.height < 24 && !one.closest("p, dd, .banner"))
  .filter(([one]) => !one.matches(".skip, .away"))
  .map(([one, at]) => one.outerHTML.slice(0, 90) + " " + at.height)"""
