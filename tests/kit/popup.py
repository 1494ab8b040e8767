"""The popup of the toolbar button, read and pressed over the browser's own channel."""

import json
from dataclasses import dataclass
from typing import Any

from kit.extension import Channel, Chromium
from playwright.sync_api import Page


@dataclass
class Popup:
    """The popup of the toolbar button, as the browser opens it over a page."""

    browser: Chromium
    target: str
    channel: Channel

    @classmethod
    def over(cls, browser: Chromium, page: Page) -> "Popup":
        target = browser.click_action(page)
        opened = cls(browser, target, Channel.to(browser.browser, browser.pump, target))
        opened.wait("document.querySelector('#state svg:not([hidden])') !== null")
        opened.wait("!document.querySelector('#state').matches('.busy')")
        return opened

    def read(self, script: str) -> Any:
        return self.channel.run(f"() => {script}")

    def wait(self, script: str) -> None:
        self.browser.until(lambda: self.read(script))

    def text(self, selector: str = "body") -> str:
        """Returns the visible text."""
        found: str = self.read(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def shown(self, selector: str) -> list[str]:
        """Returns the texts of the visible elements."""
        script = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            ".filter((one) => one.checkVisibility()).map((one) => one.innerText)"
        )
        found: list[str] = self.read(script)
        return found

    def click(self, selector: str) -> None:
        self.read(f"document.querySelector({json.dumps(selector)}).click()")

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            about = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            self.channel.send("Input.dispatchKeyEvent", **about, **text)

    def is_open(self) -> bool:
        return self.target in {one["targetId"] for one in self.browser.targets("page")}

    def close(self) -> None:
        if self.is_open():
            self.browser.browser.send("Target.closeTarget", {"targetId": self.target})
