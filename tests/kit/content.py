"""The content scripts in a real browser, with a worker that answers as a test says.

The tests with the real worker and daemon are in test_checking.py and its neighbours. Here every
state of the card is shown, also those that a daemon is in for a moment only.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kit.axe import FAULTS
from kit.extension import FOLDER, flags
from kit.pages import CHROMIUM
from kit.sites import Sites
from playwright.sync_api import BrowserContext, Page, Worker, sync_playwright

_WORKER = """
self.asked = [];
self.answers = {};
self.delay = 0;
chrome.runtime.onMessage.addListener((message, sender, answer) => {
  const { bytes, ...rest } = message;
  const given = bytes && { way: bytes.way, length: bytes.base64?.length ?? null };
  self.asked.push({ ...rest, ...(bytes === undefined ? {} : { bytes: given }) });
  self.lastBytes = bytes?.base64 ?? self.lastBytes;
  const planned = self.answers[message.type] ?? [];
  const next = planned.length > 1 ? planned.shift() : planned[0];
  const reply = async () => {
    if (message.bytes?.way === "screen") {
      self.shot = await chrome.tabs.captureVisibleTab(sender.tab.windowId, { format: "png" });
    }
    if (self.delay) await new Promise((resolve) => setTimeout(resolve, self.delay));
    answer(next);
  };
  if (next === "silent") return false;
  reply();
  return true;
});
"""

DONE = {
    "state": "done",
    "id": "c1",
    "tone": "made",
    "word": "AI-made",
    "sure": "Sure to 97 %",
    "lines": [{"text": "The model finds traces of a generator all over it.", "lang": "en"}],
    "seen": "Original file, 1600 x 1200",
    "said": None,
    "canCorrect": True,
    "canUndo": False,
    "isPrivate": False,
}


def content_files() -> list[str]:
    """Returns the content scripts in their order."""
    text = (FOLDER / "background" / "injection.js").read_text("utf-8")
    found = re.search(r"CONTENT_FILES = \[(.*?)\]", text, re.DOTALL)
    assert found
    return re.findall(r'"(content/[a-z_]+\.js)"', found[1])


def scripted_copy(folder: Path) -> Path:
    """Writes the extension with the scripted worker, and access to all pages."""
    for part in ("content", "_locales", "icons"):
        shutil.copytree(FOLDER / part, folder / part)
    manifest = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    for name in ("action", "options_ui", "key", "optional_host_permissions"):
        manifest.pop(name)
    manifest["host_permissions"] = ["<all_urls>"]
    manifest["background"] = {"service_worker": "worker.js", "scripts": ["worker.js"]}
    (folder / "worker.js").write_text(_WORKER, "utf-8")
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


@dataclass
class Content:
    """A browser with the scripted extension."""

    context: BrowserContext
    worker: Worker
    sites: Sites

    def open(self, html: str, *, inject: bool = True, **headers: str) -> Page:
        """Opens a page in a new tab. Names of headers are written with _ instead of -."""
        page = self.context.new_page()
        page.goto(self.sites.page("/", html, **headers))
        page.bring_to_front()
        if inject:
            self.inject()
        return page

    def inject(self, *, all_frames: bool = False) -> None:
        self.worker.evaluate(
            "async ([files, allFrames]) => { const [tab] = await chrome.tabs.query("
            "{active: true, lastFocusedWindow: true}); self.tab = tab.id;"
            " await chrome.scripting.executeScript({target: {tabId: tab.id, allFrames}, files}); }",
            [content_files(), all_frames],
        )

    def send(self, **message: Any) -> None:
        self.worker.evaluate("(m) => chrome.tabs.sendMessage(self.tab, m)", message)

    def answer(self, **answers: Any) -> None:
        """Says what the worker answers, by the last word of a message's type."""
        for name, value in answers.items():
            kind = "marks.ask" if name == "marks" else f"picture.{name}"
            kind = "problem.act" if name == "act" else kind
            listed = value if isinstance(value, list) else [value]
            self.worker.evaluate("([k, v]) => { self.answers[k] = v; }", [kind, listed])

    def asked(self, kind: str = "") -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = self.worker.evaluate("self.asked")
        return [one for one in asked if one["type"].startswith(kind)]

    def reset(self) -> None:
        for page in self.context.pages[1:]:
            page.close()  # first: what they still ask belongs to the test that is over
        self.worker.evaluate("self.asked = []; self.answers = {}; self.delay = 0; self.shot = null")

    def right_click(self, page: Page, x: float, y: float, src_url: str | None = None) -> None:
        """A real right click at a place, and what the menu would then send."""
        page.mouse.click(x, y, button="right")
        self.send(type="card.open", srcUrl=src_url, mediaType=None, targetElementId=None)


@contextmanager
def content_browser() -> Iterator[Content]:
    """A browser with the scripted worker, and sites."""
    with ExitStack() as parts:
        work = Path(parts.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        playwright = parts.enter_context(sync_playwright())
        context = playwright.chromium.launch_persistent_context(
            work / "profile",
            executable_path=CHROMIUM,
            args=flags(scripted_copy(work / "extension")),
            viewport={"width": 1000, "height": 700},
        )
        parts.callback(context.close)
        workers = context.service_workers
        worker = workers[0] if workers else context.wait_for_event("serviceworker")
        yield Content(context, worker, parts.enter_context(Sites()))


def open_shadows(content: Content) -> None:
    """Lets axe look into what is drawn from now on."""
    content.worker.evaluate("""async () => {
      const [tab] = await chrome.tabs.query({active: true, lastFocusedWindow: true});
      await chrome.scripting.executeScript({
        target: {tabId: tab.id},
        func: () => {
          const attach = Element.prototype.attachShadow;
          Element.prototype.attachShadow = function (options) {
            return attach.call(this, {...options, mode: "open"});
          };
        },
      });
    }""")


def axe_faults(page: Page) -> list[str]:
    """What axe finds wrong in all that the extension has drawn."""
    look = f"""() => {{
      const hosts = [...document.documentElement.children].filter((one) => one.shadowRoot);
      return hosts.length ? ({FAULTS})({{include: hosts}}) : ["nothing is drawn"];
    }}"""
    return list(page.evaluate(look))
