"""Chromium with the extension in it, as a person has it, and what a test needs to use it.

The worker is spoken to over the browser's own channel instead of Playwright's handle, because it
dies and comes back. The browser treats a target with a channel as debugged: such a worker is not
ended after 30 s.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from kit.daemon import Asked
from kit.pace import within
from kit.page_desk import WAIT_MS
from kit.pages import ARGUMENTS, CHROMIUM
from kit.waiting import eventually
from playwright.sync_api import (
    BrowserContext,
    CDPSession,
    Error,
    Frame,
    Locator,
    Page,
    expect,
    sync_playwright,
)

FOLDER = Path(__file__).parents[2] / "extension"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
WORKER = "background/worker.js"
POPUP = "pages/popup.html"
OPTIONS = "pages/options.html"
MENU_ITEM = "check-picture"
SCOPES = ("check", "correct")
AT_ONCE = 4
"""So many pictures of a page are under way at most where marks are on."""
ALL_SITES = ("http://*/*", "https://*/*")
MAPPING = "--host-resolver-rules=MAP *.test 127.0.0.1"


def id_of(key: str) -> str:
    """Returns the id that Chromium gives to an extension with that key."""
    digest = hashlib.sha256(base64.b64decode(key)).hexdigest()[:32]
    return "".join(chr(ord("a") + int(letter, 16)) for letter in digest)


ID = id_of(MANIFEST["key"])
ORIGIN = f"chrome-extension://{ID}"


T = TypeVar("T")


class ScriptError(Exception):
    """A script in the browser has thrown."""


@dataclass
class Channel:
    """Scripts for one target of the browser, such as a worker."""

    browser: CDPSession
    pump: Page
    """A page whose waiting lets messages arrive."""
    session: str
    answers: dict[int, Any] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    def to(cls, browser: CDPSession, pump: Page, target: str) -> "Channel":
        wanted = {"targetId": target, "flatten": False}
        found = cls(browser, pump, browser.send("Target.attachToTarget", wanted)["sessionId"])
        browser.on("Target.receivedMessageFromTarget", found._hear)
        return found

    def _hear(self, event: Mapping[str, Any]) -> None:
        message = json.loads(event["message"])
        if event["sessionId"] == self.session and "id" in message:
            self.answers[message["id"]] = message

    def send(self, method: str, **values: Any) -> Any:
        number = next(self.numbers)
        message = json.dumps({"id": number, "method": method, "params": values})
        sent = {"sessionId": self.session, "message": message}
        self.browser.send("Target.sendMessageToTarget", sent)

        def heard() -> bool:
            self.pump.wait_for_timeout(5)  # only so is what has arrived handed out
            return number in self.answers

        eventually(heard, 30, 0)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise ScriptError(answer["error"]["message"])
        return answer["result"]

    def run(self, function: str, *arguments: Any) -> Any:
        """Calls a function, which may be async, with values of JSON. Returns what it returns."""
        given = ", ".join(json.dumps(one) for one in arguments)
        result = self.send(
            "Runtime.evaluate",
            expression=f"(async () => (await ({function})({given})))()",
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if trouble := result.get("exceptionDetails"):
            raise ScriptError(trouble.get("exception", {}).get("description", trouble["text"]))
        return result["result"].get("value")

    def close(self) -> None:
        with suppress(Error):
            self.browser.send("Target.detachFromTarget", {"sessionId": self.session})


@dataclass
class Chromium:
    """A running Chromium with the extension."""

    context: BrowserContext
    browser: CDPSession
    pump: Page
    """An empty tab that stays open."""
    folder: Path
    """Of the extension."""
    channel: Channel | None = None
    target: str | None = None

    def until(self, look: Callable[[], T | None], within_s: float = 20) -> T:
        """Returns what `look` gives as soon as that is truthy. Lets the browser speak meanwhile."""

        def once() -> T | None:
            self.pump.wait_for_timeout(10)
            return look()

        return eventually(once, within_s)

    # --- The worker -------------------------------------------------------------------------

    def targets(self, kind: str) -> list[dict[str, Any]]:
        found = self.browser.send("Target.getTargets", {"filter": [{}]})["targetInfos"]
        return [one for one in found if one["type"] == kind]

    def worker_target(self) -> str | None:
        """Returns the id of the worker if it runs."""
        alive = self.targets("service_worker")
        return next((one["targetId"] for one in alive if one["url"].startswith(ORIGIN)), None)

    def worker(self, function: str, *arguments: Any) -> Any:
        """Calls a function in the worker. Wakes it first if it sleeps."""
        target = self.worker_target()
        if target is None:
            self.wake()
            target = self.until(self.worker_target)
        if self.channel is None or self.target != target:
            channel = Channel.to(self.browser, self.pump, target)
            self.channel, self.target = channel, target
            # A worker that has just started has no API yet.
            self.until(lambda: channel.run("() => typeof chrome") == "object")
        return self.channel.run(function, *arguments)

    def wake(self) -> None:
        """Starts the worker by a message that it does not know."""
        with self.page(POPUP) as page:
            page.evaluate("() => chrome.runtime.sendMessage({type: 'wake'}).catch(() => null)")

    def kill_worker(self) -> None:
        """Ends the worker, as the browser does with one that is idle or takes too long."""
        target = self.worker_target()
        if target is None:
            return
        self.browser.send("Target.closeTarget", {"targetId": target})
        self.until(lambda: self.worker_target() != target)

    # --- The extension's own pages ----------------------------------------------------------

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(f"{ORIGIN}/{path}")
        return page

    @contextmanager
    def _other_page(self, address: str) -> Iterator[Page]:
        page = self.context.new_page()
        page.goto(address)
        try:
            yield page
        finally:
            page.close()

    @contextmanager
    def page(self, path: str) -> Iterator[Page]:
        """Opens a page of the extension in a tab, for a while."""
        with self._other_page(f"{ORIGIN}/{path}") as page:
            yield page

    def stored(self, area: str = "local") -> dict[str, Any]:
        """Returns what the extension keeps."""
        kept: dict[str, Any] = self.worker(f"() => chrome.storage.{area}.get()")
        return kept

    def store(self, values: Mapping[str, Any], area: str = "local") -> None:
        self.worker(f"(values) => chrome.storage.{area}.set(values)", values)

    def clear(self) -> None:
        """Forgets what is stored: the connection, settings, sites and results."""
        self.worker(
            "() => Promise.all([chrome.storage.local.clear(), chrome.storage.session.clear()])"
        )

    def connect(self, daemon: Asked, *scopes: str) -> int:
        """Pairs in a moment: puts a token where pairing would put it. Returns the token's id."""
        wanted = list(scopes or SCOPES)
        token, secret = daemon.access.issue("Chromium", wanted, ORIGIN)
        connection = {
            "port": daemon.port,
            "token": secret,
            "tokenId": token.id,
            "scopes": wanted,
            "name": "Chromium",
        }
        self.store({"connection": connection})
        return token.id

    # --- Permissions ------------------------------------------------------------------------

    def allow_all_sites(self) -> None:
        """Grants the wide host permission, as the person does in the browser's question."""
        if not self.may_load_all():
            self._grant(ALL_SITES, MANIFEST["optional_permissions"])

    def may_load_all(self) -> bool:
        ask = "(origins) => chrome.permissions.contains({origins})"
        return bool(self.worker(ask, list(ALL_SITES)))

    def deny_all_sites(self) -> None:
        """Takes the wide host permission back."""
        self.worker("(origins) => chrome.permissions.remove({origins})", list(ALL_SITES))
        # Chromium then also takes the daemon's own host, which the wide permission contains.
        self._grant(MANIFEST["host_permissions"])

    def _grant(self, origins: Collection[str], permissions: Collection[str] = ()) -> None:
        with self._other_page("chrome://extensions") as page:
            for host in origins:
                # Marks it as granted before, so that the request below needs no answer.
                ask = "([id, host]) => chrome.developerPrivate.addHostPermission(id, host)"
                page.evaluate(ask, [ID, host])
        with self.page(POPUP) as own:
            wish = {"origins": list(origins), "permissions": list(permissions)}
            is_granted = own.evaluate("(wish) => chrome.permissions.request(wish)", wish)
            assert is_granted, "the permission was not granted"

    def set_host_access(self, kind: str) -> None:
        """Sets what the browser's own page of extensions calls site access, such as ON_CLICK."""
        with self._other_page("chrome://extensions") as page:
            page.evaluate(
                "([id, kind]) => chrome.developerPrivate.updateExtensionConfiguration("
                "{extensionId: id, hostAccess: kind})",
                [ID, kind],
            )

    def allow_in_private_windows(self) -> None:
        """Starts the extension again, as the browser does for that."""
        state = "(id) => chrome.developerPrivate.getExtensionInfo(id)"
        with self._other_page("chrome://extensions") as page:

            def is_allowed() -> bool:
                found = page.evaluate(state, ID)
                is_on: bool = found["state"] == "ENABLED" and found["incognitoAccess"]["isActive"]
                return is_on

            # Without it, an extension from a folder is not started again.
            developer = "() => chrome.developerPrivate.updateProfileConfiguration(%s)"
            page.evaluate(developer % "{inDeveloperMode: true}")
            page.evaluate(
                "(id) => chrome.developerPrivate.updateExtensionConfiguration("
                "{extensionId: id, incognitoAccess: true})",
                ID,
            )
            self.until(is_allowed)

    # --- The person -------------------------------------------------------------------------

    def click_action(self, page: Page) -> str:
        """Clicks the button in the toolbar. Returns the id of the popup's target.

        The click lets the extension into this tab, as the menu does too.
        """
        page.bring_to_front()
        here = page.url
        tabs = [one for one in self.targets("tab") if one["embedderData"]["tabActive"]]
        tab = next(one for one in tabs if one["url"] == here)
        before = {one["targetId"] for one in self.targets("page")}
        self.browser.send("Extensions.triggerAction", {"id": ID, "targetId": tab["targetId"]})

        def popup() -> str | None:
            new = [one for one in self.targets("page") if one["targetId"] not in before]
            return next((one["targetId"] for one in new if one["url"].endswith(POPUP)), None)

        return self.until(popup)

    def let_into(self, page: Page) -> None:
        """Gives the extension the right to this tab alone, as a click on its menu item does."""
        popup = self.click_action(page)
        self.browser.send("Target.closeTarget", {"targetId": popup})
        page.bring_to_front()

    def tab_of(self, page: Page) -> dict[str, Any]:
        """Returns the tab, as the browser describes it to the extension."""
        page.bring_to_front()
        tabs = self.worker("() => chrome.tabs.query({active: true})")
        if len(tabs) > 1:  # of several windows
            tabs = [one for one in tabs if one.get("url") == page.url]
        found: dict[str, Any] = tabs[0]
        return found

    def right_click(self, where: Page, target: Locator | str, *, item: str = MENU_ITEM) -> None:
        """Clicks with the right button, and then the item of the extension in the menu.

        The menu itself cannot be clicked here, so the worker is told of it as the browser does.
        Tests with the real menu are in tests/extension/test_real_display.py.
        """
        element = where.locator(target) if isinstance(target, str) else target
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        assert box is not None, "it is not shown"
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        frame = element.element_handle().owner_frame() or where.main_frame
        info = frame.evaluate(_UNDER, _inside(frame, x, y))
        where.mouse.click(x, y, button="right")
        tab = self.tab_of(where)
        self.click_menu(
            tab,
            menuItemId=item,
            pageUrl=where.url,
            frameId=self.frame_id(where, frame, tab["id"]),
            **({"frameUrl": frame.url} if frame.parent_frame else {}),
            **{name: value for name, value in info.items() if value},
        )

    def choose_sites(self, sites: Mapping[str, str]) -> None:
        """Says what to do on its own on which sites, and waits until the extension is ready."""
        self.store({"sites": sites})
        self.until(lambda: bool(self.worker(_REGISTERED)) is bool(sites))

    def badge(self, page: Page) -> str:
        """Returns what stands on the toolbar button over this page."""
        ask = "(tabId) => chrome.action.getBadgeText({tabId})"
        return str(self.worker(ask, self.tab_of(page)["id"]))

    def click_menu(self, tab: Mapping[str, Any], **info: Any) -> None:
        """Tells the worker of a click on its menu item, as the browser does."""
        usual = {"menuItemId": MENU_ITEM, "editable": False, "frameId": 0}
        self.worker(_CLICKED, usual | info, tab)

    def frame_id(self, page: Page, frame: Frame, tab_id: int) -> int:
        """Returns the number by which the extension knows a frame."""
        if frame.parent_frame is None:
            return 0
        mark = f"frame {next(_MARKS)}"
        frame.evaluate("(mark) => { document.documentElement.dataset.frame = mark; }", mark)
        had = self.may_load_all()
        if not had:
            self.allow_all_sites()
        try:
            return int(self.worker(_FRAME, tab_id, mark))
        finally:
            frame.evaluate("() => { delete document.documentElement.dataset.frame; }")
            if not had:
                self.deny_all_sites()
            page.bring_to_front()

    def press_pick(self, page: Page) -> None:
        """Presses the keys that start pick mode. The browser's keys cannot be pressed here."""
        tab = self.tab_of(page)
        self.worker("(tab) => { chrome.commands.onCommand.dispatch('pick', tab); }", tab)


_MARKS = count(1)
_REGISTERED = "async () => (await chrome.scripting.getRegisteredContentScripts()).length"
_CLICKED = "(info, tab) => { chrome.contextMenus.onClicked.dispatch(info, tab); }"
_FRAME = """async (tabId, mark) => {
  const func = () => document.documentElement.dataset.frame;
  const found = await chrome.scripting.executeScript({target: {tabId, allFrames: true}, func});
  return found.find((one) => one.result === mark).frameId;
}"""
_UNDER = """([x, y]) => {
  let found = document.elementFromPoint(x, y);
  while (found && found.shadowRoot) {
    const inner = found.shadowRoot.elementFromPoint(x, y);
    if (!inner || inner === found) break;
    found = inner;
  }
  const link = found ? found.closest("a[href]") : null;
  const linkUrl = link ? link.href : null;
  if (found instanceof HTMLImageElement) {
    return {mediaType: "image", srcUrl: found.currentSrc, linkUrl};
  }
  if (found instanceof HTMLVideoElement) {
    return {mediaType: "video", srcUrl: found.currentSrc, linkUrl};
  }
  return {linkUrl};
}"""
"""What the browser tells of the place under the mouse."""


def _inside(frame: Frame, x: float, y: float) -> list[float]:
    """Returns a place of the window in the coordinates of a frame."""
    while frame.parent_frame is not None:
        box = frame.frame_element().bounding_box()
        assert box is not None
        return [x - box["x"], y - box["y"]]  # of the window too, however deep the frame is
    return [x, y]


@contextmanager
def chromium(
    folder: Path = FOLDER,
    *,
    also: Collection[Path] = (),
    arguments: Collection[str] = (),
    profile: Path | None = None,
    **about: Any,
) -> Iterator[Chromium]:
    """Starts Chromium, without a `profile` with a new one. `also` are other extensions."""
    expect.set_options(timeout=within(WAIT_MS))
    with ExitStack() as parts:
        playwright = parts.enter_context(sync_playwright())
        context = playwright.chromium.launch_persistent_context(
            profile or parts.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)),
            executable_path=CHROMIUM,
            args=[*flags(folder, *also), *arguments],
            **{"viewport": {"width": 1000, "height": 700}} | about,
        )
        parts.callback(context.close)
        context.set_default_timeout(within(30_000))
        assert context.browser is not None
        browser = context.browser.new_browser_cdp_session()
        found = Chromium(context, browser, context.pages[0], folder)
        found.until(found.worker_target)
        yield found


def flags(*folders: Path) -> list[str]:
    """Returns the switches for a Chromium with these extensions."""
    paths = ",".join(map(str, folders))
    loaded = [f"--disable-extensions-except={paths}", f"--load-extension={paths}"]
    return [*ARGUMENTS, "--no-default-browser-check", MAPPING, *loaded]
