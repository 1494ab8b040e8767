"""Firefox with the extension in it, as a person has it, and what a test needs to use it.

Without a window, but with the true menu: it is opened by the mouse and its entry is activated in
the browser's own window, so the extension gets the right to the tab that a person's click gives.
The card is in a closed shadow root, which only a script of the browser's own can read. What is
clicked in it is clicked by the mouse.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from kit.axe import FAULTS
from kit.extension import MENU_ITEM
from kit.extension_zips import manifest, unpack, write_zip
from kit.firefox import firefox, text_of, until
from kit.waiting import eventually

T = TypeVar("T")
GECKO_ID = str(manifest()["browser_specific_settings"]["gecko"]["id"])
PREFERENCES: Mapping[str, Any] = {
    "intl.locale.requested": "en-US",
    "network.dns.localDomains": "site.test,cdn.test,other.test",
    # The browser's question for a permission is outside of every page. It is answered with yes.
    "extensions.webextOptionalPermissionPrompts": False,
}


@dataclass
class Firefox:
    """A running Firefox with the extension."""

    driver: Any
    """A Marionette. It is in the tab that is shown."""
    address: str
    """Where the extension's pages are, with a slash at the end."""
    seen: list[str] = field(default_factory=list)
    """Texts of what was last looked at, for the message of a failure."""

    def until(self, look: Callable[[], T | None], within_s: float = 20) -> T:
        """Returns what `look` gives as soon as that is truthy. It only reads.

        A page that is just being replaced, which cannot be read, counts as not yet.
        """
        return until(look, within_s)

    # --- Tabs -------------------------------------------------------------------------------

    @property
    def origin(self) -> str:
        return self.address.rstrip("/")

    def show(self, address: str) -> None:
        """Shows a page in this tab. A path without a host is one of the extension."""
        self.driver.navigate(address if "://" in address else self.address + address)

    def open(self, address: str) -> str:
        """Shows a page in a new tab. Returns the tab's handle."""
        handle = str(self.driver.open(type="tab", focus=True)["handle"])
        self.go_to(handle)
        self.show(address)
        return handle

    def go_to(self, handle: str) -> None:
        self.driver.switch_to_window(handle)

    @property
    def tab(self) -> str:
        return str(self.driver.current_window_handle)

    def close(self, back_to: str) -> None:
        """Closes this tab and goes to another."""
        self.driver.close()
        self.go_to(back_to)

    def new_tab_at(self, path: str, known: list[str]) -> str:
        """Waits for a tab that the extension opens with a page of its own, and goes to it."""

        def look() -> str | None:
            for handle in self.driver.window_handles:
                if handle not in known:
                    self.go_to(handle)
                    if str(self.driver.get_url()).startswith(self.address + path):
                        return str(handle)
            return None

        return self.until(look)

    # --- Pages that scripts may read --------------------------------------------------------

    def text(self, selector: str) -> str:
        return text_of(self.driver, selector)

    def says(self, selector: str, part: str, within_s: float = 20) -> None:
        """Waits until an element of the page says this."""

        def look() -> bool:
            said = self.text(selector)
            assert part in said, f"{selector} says {said!r}"
            return True

        self.until(look, within_s)

    def click(self, selector: str, name: str = "") -> None:
        """Clicks the first element that is shown, whose name begins so."""
        errors = import_module("marionette_driver.errors")
        not_yet = (errors.StaleElementException, errors.ElementNotInteractableException)

        def look() -> bool:
            try:
                for one in self.driver.find_elements("css selector", selector):
                    if one.is_displayed() and str(one.text).startswith(name):
                        one.click()
                        return True
            except not_yet:
                pass  # the page has just drawn it anew; nothing was clicked
            except errors.NoSuchWindowException:
                return True  # the click has closed the tab
            return False

        eventually(look)

    # --- The menu ---------------------------------------------------------------------------

    def choose(self, selector: str = "#it") -> None:
        """Clicks with the right button, and then the entry of the extension in the menu."""
        element = self.driver.find_element("css selector", selector)
        self._mouse().click(element=element, button=2).perform()
        with self.driver.using_context("chrome"):
            entry = [f"{GECKO_ID.replace('@', '_')}-menuitem-_{MENU_ITEM}"]
            eventually(lambda: self.driver.execute_script(_ACTIVATE, script_args=entry))

    # --- The card ---------------------------------------------------------------------------

    def card(self, says: str = "", *, without: str = "\0") -> str:
        """Waits until a card says this. Returns its text."""

        def look() -> str | None:
            self.seen = self._cards(_TEXT)
            fits = (one for one in self.seen if says in one and without not in one)
            return next(fits, None)

        try:
            return self.until(look)
        except AssertionError as error:
            raise AssertionError(f"no card says {says!r}; shown: {self.seen}") from error

    def press(self, name: str) -> None:
        """Clicks the card's button whose name begins so."""

        def look() -> list[float] | None:
            places = self._cards(_PLACE, name)
            return next((one for one in places if one), None)

        x, y = self.until(look)
        self._mouse().pointer_move(int(x), int(y)).pointer_down().pointer_up().perform()

    def _mouse(self) -> Any:
        actions = import_module("marionette_driver.marionette").ActionSequence
        return actions(self.driver, "pointer", "mouse", {"pointerType": "mouse"})

    def _cards(self, function: str, *more: Any) -> list[Any]:
        script = f"const each = {function}; {_CARDS}"
        found = self.driver.execute_script(script, script_args=list(more), sandbox="system")
        return list(found)

    # --- The extension in the browser -------------------------------------------------------

    def in_browser(self, script: str, *arguments: Any) -> Any:
        """Runs a script in the browser's own window. `extension` is ours."""
        whole = f"const {{extension}} = WebExtensionPolicy.getByID('{GECKO_ID}'); {script}"
        with self.driver.using_context("chrome"):
            return self.driver.execute_script(whole, script_args=list(arguments))

    @property
    def background(self) -> str:
        """Returns the state of the background page, such as "running" or "stopped"."""
        return str(self.in_browser("return extension.backgroundState"))

    def end_background(self) -> None:
        """Ends the background page, as the browser does with one that is idle, but at any time."""
        assert self.in_browser(_END), "it has not ended"

    def remembered(self) -> str:
        """Returns what the extension keeps until the browser ends, as JSON."""
        return str(self.in_browser(_SESSION))

    def may_load_from(self, pattern: str) -> bool:
        """Returns whether the extension has the permission for these hosts."""
        script = "return extension.allowedOrigins.subsumes(new MatchPattern(arguments[0]))"
        return bool(self.in_browser(script, pattern))

    def axe_faults(self) -> list[str]:
        """Returns what axe finds wrong in the page that is shown, which is one of the extension."""
        return list(self.driver.execute_script(f"return ({FAULTS})()"))

    def forget_errors(self) -> None:
        """Call this from a page of the extension: its process keeps what the pages print."""
        self.in_browser("Services.console.reset()")
        self.driver.execute_script(f"{_PRINTED}.clearEvents()", sandbox="system")

    def errors(self) -> list[str]:
        """Returns what the extension's pages and scripts have thrown or printed as errors.

        Call this from one of its pages too.
        """
        thrown = self.in_browser(_THROWN, self.address)
        printed = f"return {_PRINTED}.getEvents(){_AS_ERRORS}"
        told = self.driver.execute_script(printed, script_args=[self.address], sandbox="system")
        return [*thrown, *told]


@contextmanager
def firefox_with_extension(folder: Path) -> Iterator[Firefox]:
    """Starts Firefox with a new profile and, from an unpacked zip, the extension until its end."""
    with firefox(PREFERENCES) as driver:
        addons = import_module("marionette_driver.addons").Addons(driver)
        assert addons.install(str(folder), temp=True) == GECKO_ID
        found = Firefox(driver, "")
        found.address = str(found.in_browser("return extension.getURL('')"))
        yield found


def unpacked(folder: Path) -> Path:
    """Returns a folder with the extension as the store of Firefox gets it."""
    return unpack(write_zip("firefox", folder), folder / "firefox")


_ACTIVATE = """
const menu = document.getElementById("contentAreaContextMenu");
const entry = document.getElementById(arguments[0]);
if (menu.state !== "open" || !entry || entry.hidden) return false;
menu.activateItem(entry);
return true;
"""
_CARDS = """
const found = [];
for (const host of document.documentElement.children) {
  const card = host.openOrClosedShadowRoot?.querySelector("[role=dialog]");
  if (card) found.push(each(card, ...arguments));
}
return found;
"""
_TEXT = "(card) => card.innerText.replace(/\\s+/g, ' ')"
_PLACE = """(card, name) => {
  const isIt = (one) => (one.getAttribute("aria-label") ?? one.innerText).trim().startsWith(name);
  const button = [...card.querySelectorAll("button")].find(
    (one) => isIt(one) && one.getAttribute("aria-disabled") !== "true");
  if (!button) return null;
  const box = button.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}"""
_END = """
const before = [...extension.views].find((view) => view.viewType === "background");
return extension
  .terminateBackground({ignoreDevToolsAttached: true, disableResetIdleForTest: true})
  .then(() => before !== undefined && !extension.views.has(before));
"""
_SESSION = """
const path = "resource://gre/modules/ExtensionStorage.sys.mjs";
const {extensionStorageSession} = ChromeUtils.importESModule(path);
const kept = extensionStorageSession.get(extension, null);
// Without the second argument, reading a value would take it away from the extension.
return JSON.stringify(Object.entries(kept).map(
  ([name, one]) => [name, one?.deserialize?.(globalThis, true) ?? one]));
"""
_PRINTED = 'Cc["@mozilla.org/consoleAPI-storage;1"].getService(Ci.nsIConsoleAPIStorage)'
_AS_ERRORS = """
  .filter((one) => ["error", "assert"].includes(one.level))
  .filter((one) => one.filename?.startsWith(arguments[0]))
  .map((one) => `${one.arguments.join(" ")} (${one.filename}:${one.lineNumber})`)"""
_THROWN = """
const errors = [];
for (const one of Services.console.getMessageArray()) {
  try {
    one.QueryInterface(Ci.nsIScriptError);
  } catch {
    continue;  // a plain text
  }
  const isError = !(one.flags & (one.warningFlag | one.infoFlag));
  if (isError && `${one.sourceName} ${one.errorMessage}`.includes(arguments[0])) {
    errors.push(`${one.errorMessage} (${one.sourceName}:${one.lineNumber})`);
  }
}
return errors;
"""
