"""Private windows leave nothing behind; other extensions are not answered."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.daemon import contents
from kit.desk import Desk
from kit.extension import ID, Chromium, chromium
from kit.overlays import card
from kit.sites import Answer
from playwright.sync_api import Page

pytestmark = pytest.mark.attack

FOREIGN = {
    "manifest_version": 3,
    "name": "another extension",
    "version": "1",
    "background": {"service_worker": "worker.js"},
    "permissions": ["storage"],
}
ASK = """async (id) => {
  const picture = {kind: "image", url: "data:image/png;base64,iVBORw0KGgo=", larger: null,
    linked: null, shown: {width: 1, height: 1}, natural: null, rect: null, ratio: 1};
  const messages = [
    {type: "picture.check", picture, bytes: null, isAutomatic: false, answers: {linked: null}},
    {type: "pages.changed"}, {type: "marks.ask"}, {type: "problem.act", action: "connect"},
  ];
  const told = [];
  for (const one of messages) {
    told.push(await chrome.runtime.sendMessage(id, one).then((answer) => answer ?? null,
      () => "refused"));
  }
  const port = chrome.runtime.connect(id);
  told.push(await new Promise((done) => port.onDisconnect.addListener(() => {
    done(chrome.runtime.lastError ? "refused" : "closed");
  })));
  return told;
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """With another extension beside ours."""
    folder: Path = tmp_path_factory.mktemp("foreign")
    (folder / "manifest.json").write_text(json.dumps(FOREIGN))
    (folder / "worker.js").write_text("chrome.runtime.onInstalled.addListener(() => {});")
    (folder / "page.html").write_text("<!doctype html><title>another</title>")
    with chromium(also=[folder]) as started:
        yield started


def foreign_page(browser: Chromium, page: Page) -> Page:
    """Opens a page of the other extension, which may do what its worker may."""

    def id_of_it() -> str | None:
        found = [one["url"] for one in browser.targets("service_worker")]
        other = [url.split("/")[2] for url in found if ID not in url]
        return next(iter(other), None)

    page.goto(f"chrome-extension://{browser.until(id_of_it)}/page.html")
    return page


def test_the_message_of_another_extension_is_refused(connected: Desk) -> None:
    page = foreign_page(connected.browser, connected.page)
    before = len(connected.history()), connected.browser.stored()
    tabs = len(connected.browser.context.pages)
    assert set(page.evaluate(ASK, ID)) == {"refused"}
    assert (len(connected.history()), connected.browser.stored()) == before
    assert len(connected.browser.context.pages) == tabs


def test_a_private_window_leaves_nothing_here_or_there(connected: Desk) -> None:
    browser = connected.browser
    browser.allow_in_private_windows()
    browser.allow_all_sites()
    mine, theirs = connected.picture(), connected.picture()
    # The private window is another browser to the site: it does not have the cookie of this one.
    connected.sites.put(
        "/who", Answer(b"<!doctype html>", headers={"Set-Cookie": "who=me; Path=/"})
    )
    connected.page.goto(connected.sites.url("/who"))
    address = connected.sites.page(
        "/private", f'<img id=it src="{mine.path}?secret" width=200 height=200>'
    )
    rows, local = len(connected.history()), browser.stored()
    with browser.context.expect_page() as opened:
        browser.worker("(url) => { chrome.windows.create({incognito: true, url}); }", address)
    private = opened.value
    private.wait_for_function("() => window.it?.complete && it.naturalWidth")
    tabs = browser.worker("() => chrome.tabs.query({active: true})")
    tab = next(one for one in tabs if one["incognito"])
    info = {"menuItemId": "check-picture", "mediaType": "image", "editable": False}
    about = info | {
        "srcUrl": f"{connected.sites.url(mine.path)}?secret",
        "pageUrl": address,
        "frameId": 0,
    }
    click = "(info, tab) => { chrome.contextMenus.onClicked.dispatch(info, tab); }"
    browser.worker(click, about, tab)
    found = card(private, "Private window: nothing is stored.")
    assert "Details" not in found.buttons
    assert "%" in found.text or "Cannot tell" in found.text
    asked = connected.sites.asked(mine.path)
    assert len(asked) >= 2
    assert all(one.headers["Cookie"] is None for one in asked)
    assert len(connected.history()) == rows
    assert mine.sha256 not in connected.judged()
    database = b"".join(found for _, found in contents(connected.daemon.places.data))
    assert mine.sha256.encode() not in database
    assert mine.path.strip("/").encode() not in database
    assert browser.stored() == local
    kept = json.dumps(browser.stored("session"))
    assert mine.sha256 not in kept
    assert f"result:{tab['id']}" not in kept
    assert theirs.sha256 not in connected.judged()
    private.close()
