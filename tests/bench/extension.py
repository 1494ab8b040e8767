"""Measures the extension in Chromium: `make bench`, or python -m tests.bench.extension."""

import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for kit, as pytest does

from kit.daemon import mini_daemon
from kit.desk import Desk, has_verdict, image
from kit.extension import MANIFEST, Channel, Chromium, chromium
from kit.overlays import cards, overlays
from kit.processes import of_extensions
from kit.sites import SITE, Sites
from playwright.sync_api import CDPSession

from antifake.core.catalog import Home

from .measure import row, seconds

MB = 1_000_000
RUNS = 15
PICTURES = 500
BARE = {
    "manifest_version": 3,
    "name": "Bare",
    "version": "1",
    "key": MANIFEST["key"],
    "background": {"service_worker": "worker.js"},
}


def measure(home: Home) -> None:
    """Measures clicks, memory and the work on a page with many pictures, with `mini`."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        root = Path(name)
        bare = memory_of_a_bare_worker(root / "bare")
        daemon = parts.enter_context(mini_daemon(root / "daemon", home))
        daemon.wait_for_model()
        browser = parts.enter_context(chromium())
        page = browser.context.new_page()
        desk = Desk(browser, daemon, parts.enter_context(Sites()), page)
        browser.clear()
        browser.connect(daemon)
        clicks(desk)
        memory(browser, bare)
        many_pictures(desk)


def clicks(desk: Desk) -> None:
    """Measures from the click to the verdict on the card, beside the API alone."""
    card, api = [], []
    for _ in range(RUNS):
        desk.show(image(desk.picture(640)))
        desk.browser.let_into(desk.page)
        desk.browser.right_click(desk.page, "#it")
        card.append(seconds(partial(verdict, desk)))
        api.append(seconds(partial(desk.daemon.check, desk.picture(640).data)))
    row(
        "click to the verdict on the card",
        statistics.median(card),
        "a picture through the API",
        statistics.median(api),
    )


def verdict(desk: Desk) -> None:
    while not any(has_verdict(one.text) for one in cards(desk.page)):
        desk.page.wait_for_timeout(60)  # looking costs what the model needs


def memory(browser: Chromium, bare: tuple[float, float]) -> None:
    """Measures the worker after these checks. Its process has no page open."""
    browser.context.pages[-1].bring_to_front()
    heap, process = memory_of_a_worker(browser)
    for what, mine, its in (("heap", heap, bare[0]), ("process", process, bare[1])):
        about = f"memory of the worker, {what}"
        print(f"{about:<44}{mine / MB:>9.1f} MB   {mine / its:>5.2f} x a worker without code")


def memory_of_a_bare_worker(folder: Path) -> tuple[float, float]:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(BARE))
    (folder / "worker.js").write_text("")
    with chromium(folder) as browser:
        return memory_of_a_worker(browser)


def memory_of_a_worker(browser: Chromium) -> tuple[float, float]:
    """Returns bytes: what its scripts hold, and what its process has for itself."""
    [target] = browser.targets("service_worker")
    channel = Channel.to(browser.browser, browser.pump, target["targetId"])
    channel.send("HeapProfiler.collectGarbage")
    heap = channel.send("Runtime.getHeapUsage")["usedSize"]
    channel.close()
    return heap, sum(each.memory_full_info().uss for each in of_extensions(os.getpid()))


def many_pictures(desk: Desk) -> None:
    """Measures the main thread of a page while it is read from top to end."""
    desk.browser.allow_all_sites()
    pictures = [desk.picture(200).path for _ in range(40)]
    html = "".join(
        f'<img src="{pictures[number % 40]}?{number}" width=200 height=200>'
        for number in range(PICTURES)
    )
    off, on = [], []
    for _ in range(5):
        desk.browser.choose_sites({})
        off.append(reading(desk, html))
        desk.browser.choose_sites({SITE: "auto"})
        on.append(reading(desk, html))
        assert overlays(desk.page), "nothing was marked"
    row(
        f"{PICTURES} pictures read, main thread, marks on",
        statistics.median(on),
        "marks off",
        statistics.median(off),
    )


def reading(desk: Desk, html: str) -> float:
    """Returns the seconds of work of the page's main thread."""
    session = desk.browser.context.new_cdp_session(desk.page)
    session.send("Performance.enable")
    before = work_of(session)
    desk.show(html)
    for _ in range(40):
        desk.page.mouse.wheel(0, 400)
        desk.page.wait_for_timeout(100)
    spent = work_of(session) - before
    session.detach()
    return spent


def work_of(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


if __name__ == "__main__":
    measure(Home(Path(os.environ["ANTIFAKE_HOME"])))
