"""What the extension draws over a page: cards and marks, in closed shadow roots.

Scripts of the page cannot look into them, so they are read over the browser's own channel. What
is clicked is clicked by the mouse.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kit.waiting import eventually
from playwright.sync_api import CDPSession, Error, Frame, Page

Node = dict[str, Any]
_UNSEEN = {"STYLE", "SCRIPT", "TEMPLATE"}


@dataclass(frozen=True)
class Overlay:
    """One closed shadow root, as it was when it was read."""

    page: Page
    session: CDPSession
    frame: Frame | None
    """A frame in a process of its own, or None."""
    root: Node

    @property
    def text(self) -> str:
        return " ".join(_words(self.root))

    @property
    def elements(self) -> list[Node]:
        return [one for one in _all(self.root) if one["nodeType"] == 1]

    def with_role(self, role: str) -> list[Node]:
        return [one for one in self.elements if attributes(one).get("role") == role]

    @property
    def buttons(self) -> dict[str, Node]:
        """Returns the buttons that can be pressed, by their names."""
        found = [one for one in self.elements if one["nodeName"] == "BUTTON"]
        return {name_of(one): one for one in found if "disabled" not in attributes(one)}

    def press(self, name: str) -> None:
        """Clicks the button whose name begins so."""
        named = {text: node for text, node in self.buttons.items() if text.startswith(name)}
        assert named, f"no button {name!r} among {sorted(self.buttons)}"
        self.click(next(iter(named.values())))

    def click(self, node: Node) -> None:
        self.page.mouse.click(*self.middle(node))

    def box(self, node: Node) -> tuple[float, float, float, float]:
        """Returns left, top, right and bottom in the window."""
        about = {"backendNodeId": node["backendNodeId"]}
        self.session.send("DOM.scrollIntoViewIfNeeded", about)
        quads = self.session.send("DOM.getContentQuads", about)["quads"]
        assert quads, "it is not shown"
        xs, ys = quads[0][::2], quads[0][1::2]
        left, top = 0.0, 0.0
        if self.frame is not None:
            box = self.frame.frame_element().bounding_box()
            assert box is not None
            left, top = box["x"], box["y"]
        return left + min(xs), top + min(ys), left + max(xs), top + max(ys)

    def middle(self, node: Node) -> tuple[float, float]:
        left, top, right, bottom = self.box(node)
        return (left + right) / 2, (top + bottom) / 2


def overlays(page: Page) -> list[Overlay]:
    """Returns the closed shadow roots of a page and its frames. Empty ones count too."""
    found = []
    for frame, session in _sessions(page):
        tree = session.send("DOM.getDocument", {"depth": -1, "pierce": True})["root"]
        found += [
            Overlay(page, session, frame, root)
            for node in _all(tree)
            for root in node.get("shadowRoots", [])
            if root["shadowRootType"] == "closed"
        ]
    return found


def cards(page: Page) -> list[Overlay]:
    return [one for one in overlays(page) if one.with_role("dialog")]


def picker(page: Page) -> Overlay | None:
    """Returns the layer of pick mode, if that is on."""
    return next((one for one in overlays(page) if one.with_role("listbox")), None)


def card(page: Page, says: str | Callable[[str], bool] = "", within_s: float = 20) -> Overlay:
    """Waits for the card until it says this. Returns it."""
    is_said = says if callable(says) else lambda text: says in text
    seen: list[str] = []

    def look() -> Overlay | None:
        page.wait_for_timeout(10)
        found = overlays(page)
        seen[:] = [one.text for one in found]
        return next((one for one in found if one.with_role("dialog") and is_said(one.text)), None)

    try:
        return eventually(look, within_s)
    except AssertionError as error:
        raise AssertionError(f"no such card; shown: {seen}") from error


def no_card(page: Page) -> None:
    """Waits until there is no card."""

    def look() -> bool:
        page.wait_for_timeout(10)
        return not cards(page)

    eventually(look)


def drawn(page: Page) -> None:
    """Waits until the browser has told the card what covers it, every 100 ms with a frame."""
    page.wait_for_timeout(400)
    page.evaluate(
        "async () => { for (let n = 0; n < 3; n++) await new Promise(requestAnimationFrame); }"
    )
    page.wait_for_timeout(200)


def attributes(node: Node) -> dict[str, str]:
    flat = node.get("attributes", [])
    return dict(zip(flat[::2], flat[1::2], strict=True))


def name_of(node: Node) -> str:
    return attributes(node).get("aria-label") or " ".join(_words(node))


def _sessions(page: Page) -> Iterator[tuple[Frame | None, CDPSession]]:
    yield None, page.context.new_cdp_session(page)
    for frame in page.frames[1:]:
        try:
            yield frame, page.context.new_cdp_session(frame)
        except Error:
            continue  # it is in the process of its parent, whose session sees it


def _all(node: Node) -> Iterator[Node]:
    yield node
    for name in ("children", "shadowRoots"):
        for child in node.get(name, []):
            yield from _all(child)
    if inner := node.get("contentDocument"):
        yield from _all(inner)


def _words(node: Node) -> Iterator[str]:
    if node["nodeType"] == 3 and (text := " ".join(node["nodeValue"].split())):
        yield text
    if node["nodeName"] not in _UNSEEN and "hidden" not in attributes(node):
        for child in node.get("children", []):
            yield from _words(child)
