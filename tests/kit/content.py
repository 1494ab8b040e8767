"""The content scripts in a real browser, with a worker that answers as a test says.

The tests with the real worker and daemon are in test_checks.py and its neighbours. Here every state
of the card is shown, also those that a daemon is in for a moment only.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from kit.pages import ARGUMENTS, CHROMIUM
from kit.wheels import ROOT
from playwright.sync_api import BrowserContext, Page, Worker, sync_playwright

EXTENSION = ROOT / "extension"
MAPPING = "--host-resolver-rules=MAP *.test 127.0.0.1"

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
    text = (EXTENSION / "background" / "injection.js").read_text("utf-8")
    found = re.search(r"CONTENT_FILES = \[(.*?)\]", text, re.DOTALL)
    assert found
    return re.findall(r'"(content/[a-z_]+\.js)"', found[1])


def scripted_copy(folder: Path) -> Path:
    """Writes the extension with the scripted worker, and access to all pages."""
    for part in ("content", "_locales", "icons"):
        shutil.copytree(EXTENSION / part, folder / part)
    manifest = json.loads((EXTENSION / "manifest.json").read_text("utf-8"))
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
    address: str

    def open(self, path: str, *, inject: bool = True) -> Page:
        page = self.context.new_page()
        page.goto(path if "://" in path else f"{self.address}/{path}")
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
        self.worker.evaluate("self.asked = []; self.answers = {}; self.delay = 0; self.shot = null")
        for page in self.context.pages[1:]:
            page.close()

    def right_click(self, page: Page, x: float, y: float, src_url: str | None = None) -> None:
        """A real right click at a place, and what the menu would then send."""
        page.mouse.click(x, y, button="right")
        self.send(type="card.open", srcUrl=src_url, mediaType=None, targetElementId=None)


class _Handler(SimpleHTTPRequestHandler):
    """Pages may say their headers in a first line: <!-- headers {...} -->."""

    def end_headers(self) -> None:
        file = Path(self.translate_path(self.path))
        if file.suffix == ".html" and file.is_file():
            first = file.read_text("utf-8").splitlines()[0]
            if match := re.match(r"<!-- headers (.*) -->", first):
                for name, value in json.loads(match[1]).items():
                    self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def content_browser(folder: Path, **options: Any) -> Iterator[Content]:
    """A browser, and a server for the pages in a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        extension = scripted_copy(Path(work) / "extension")
        context = playwright.chromium.launch_persistent_context(
            f"{work}/profile",
            executable_path=CHROMIUM,
            headless=True,
            args=[
                *ARGUMENTS,
                MAPPING,
                f"--disable-extensions-except={extension}",
                f"--load-extension={extension}",
            ],
            **options,
        )
        try:
            workers = context.service_workers
            worker = workers[0] if workers else context.wait_for_event("serviceworker")
            yield Content(context, worker, f"http://site.test:{server.server_port}")
        finally:
            context.close()
            server.shutdown()
            server.server_close()
