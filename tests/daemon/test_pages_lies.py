"""A page whose answers lie: no script of theirs runs, and it hears the truth again afterwards."""

import json
import re

import pytest
from kit.page_desk import desk_at, later
from playwright.sync_api import Route

pytestmark = pytest.mark.attack

EVIL = """<p>evil</p><script>window.owned = 1</script><img src=x onerror="window.owned = 2">
<iframe srcdoc="<script>parent.owned = 3</script>"></iframe><svg onload="window.owned = 4"></svg>
<img src="http://192.0.2.1/leak"><form action="http://192.0.2.1/"><button>Go</button></form>
<style>body {background: url(http://192.0.2.1/css)}</style>"""
NEWS = [
    "",
    "null",
    "[]",
    "7",
    "{}",
    "<html>",
    "[" * 50_000,
    '{"last": null, "events": []}',
    '{"last": 1e400, "events": []}',
    '{"last": 1, "events": {}}',
    json.dumps({"last": -1, "events": [{"kind": "<b>", "data": None}], "reset": "no"}),
    json.dumps({"last": 5, "events": [{"kind": "state", "data": EVIL}] * 500, "reset": True}),
    '{"last": "x", "events": []}',
]
LOOK = """document.dispatchEvent(new Event("antifake:unanswered"))"""


LOADED = """performance.getEntriesByType("resource").filter((one) => one.transferSize)
  .map((one) => one.name)"""


@pytest.fixture
def desk(here, served, chromium):
    with desk_at(here, served, chromium) as made:
        yield made


def fulfilling(body, status=200, kind="application/json"):
    def answer(route: Route) -> None:
        route.fulfill(status=status, body=body, content_type=kind)

    return answer


def test_news_that_lie_do_no_harm_and_the_truth_is_heard_afterwards(here, desk):
    here.add("cat.jpg")
    desk.page.route("**/live?*", lambda route: route.abort())
    page = desk.open()
    for lie in NEWS:
        page.route("**/news?*", fulfilling(lie))
        with page.expect_response("**/news?*"):
            page.evaluate(LOOK)
        page.unroute("**/news?*")
    later(page)
    with page.expect_response("**/news?*") as heard:
        page.evaluate(LOOK)
    assert re.search(r"after=-?\d+$", heard.value.url)
    assert heard.value.ok
    assert page.evaluate("window.owned") is None
    assert page.locator(".row").count() == 1


def test_parts_that_lie_run_nothing_and_load_nothing(here, desk):
    here.add("cat.jpg")
    page = desk.open()
    pieces = page.eval_on_selector_all("[data-piece]", "all => all.map((one) => one.dataset.piece)")
    assert pieces
    for address in pieces:
        page.route(f"**{address}", fulfilling(EVIL, kind="text/html"))
    page.evaluate("""document.dispatchEvent(new CustomEvent("antifake:reset", {detail: {}}))""")
    page.get_by_text("evil").first.wait_for(state="attached")
    later(page)
    assert page.evaluate("window.owned") is None
    blocked = [one for one in desk.trouble if "Content Security Policy" in one]
    assert blocked
    assert not any("192.0.2.1" in url for url in page.evaluate(LOADED))
    desk.trouble[:] = [one for one in desk.trouble if one not in blocked and "192.0.2" not in one]


@pytest.mark.parametrize("body", ["", "null", "[]", "7", '{"error": {"a": 1}}', "<b>x</b>"])
def test_a_refusal_of_any_form_is_a_sentence(desk, body):
    page = desk.open()
    page.route("**/nothing", fulfilling(body, 500))
    told = page.evaluate(
        """async () => {
          const { change } = await import("/assets/asking.js");
          return change("/nothing", {}).catch((error) => error.message);
        }"""
    )
    assert "undefined" not in told
    assert "null" not in told
    assert told
