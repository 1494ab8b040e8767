"""Pictures dropped, pasted or chosen on the page. A whole daemon with the tiny model judges."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from urllib.parse import urlencode

import pytest
from kit.axe import axe
from kit.daemon import Asked, running_daemon
from kit.pace import within
from kit.page_desk import SCREENS
from kit.pages import ARGUMENTS, CHROMIUM, world
from kit.pictures import picture, png, saved
from kit.waiting import eventually
from playwright.sync_api import Page, expect, sync_playwright

from antifake.daemon.store.history import Filter
from antifake.daemon.web import pages
from antifake.daemon.web.guards import COOKIE, MAX_FILE_BYTES

BYTES = "application/octet-stream"
WAIT_MS = 20_000


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory) -> Iterator[Asked]:
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as made:
        eventually(lambda: made.check(png(0)).status == 201, 60)  # the model is awake from here on
        yield made


@dataclass(frozen=True)
class Person:
    """A client with a session."""

    daemon: Asked
    session: str

    @property
    def cookie(self) -> str:
        return f"{COOKIE}={self.session}"

    def give(self, data: bytes, kind: str = BYTES, name: str = "", **headers: str):
        sent = self.daemon.page(self.session, Content_Type=kind) | headers
        return self.daemon.ask("POST", f"//changes/check?{urlencode({'name': name})}", data, **sent)

    def judged(self, data: bytes, name: str = "") -> dict:
        """Gives a picture. Returns the answer once it is done: a slow machine first says queued."""
        answer = self.give(data, name=name)
        assert answer.status == 200
        said = answer.json
        while said["state"] != "done":
            said = self.get(f"/given/{said['id']}").json
        return said

    def get(self, path: str):
        return self.daemon.ask("GET", f"/{path}", token=None, Cookie=self.cookie)


@pytest.fixture
def me(daemon) -> Person:
    return Person(daemon, daemon.access.login(daemon.access.mint_login()))


# --- Requests -----------------------------------------------------------------------------


def test_the_bytes_of_a_picture_get_a_verdict(daemon, me):
    said = me.judged(png(1))
    assert (said["state"], said["is_kept"]) == ("done", True)
    check = daemon.service.get(said["id"])
    assert (check.word, check.label) == (said["word"], said["label"])
    assert (check.entry.check.source, check.entry.check.path) == ("page", None)
    shown = me.get("/?source=page").body.decode()
    assert "a picture given to this page" in shown
    assert said["id"] in shown


def test_a_picture_is_found_in_the_history_by_the_name_of_its_file(daemon, me):
    said = me.judged(png(90), name="C:\\fakepath\\\u202eHerbst & <b>.JPG")
    assert daemon.service.get(said["id"]).entry.check.name == "\ufffdHerbst & <b>.JPG"
    shown = me.get("/?q=herbst").body.decode()
    assert "\ufffdHerbst &amp; &lt;b&gt;.JPG" in shown
    assert said["id"] in shown
    assert "\ufffdHerbst" in me.get(f"/picture/{said['id']}").body.decode()
    long = me.judged(png(91), name="n" * 300)
    assert daemon.service.get(long["id"]).entry.check.name == "n" * 255


def test_the_same_picture_again_is_answered_from_the_history(me):
    first, again = me.judged(png(2)), me.judged(png(2), name="again.png")
    assert again == first | {"seen": 2}
    shown = me.get(f"/picture/{first['id']}").body.decode()
    assert "Seen 2 times" in shown
    assert "again.png" in shown
    found = me.get("/?q=again.png").body.decode()
    assert first["id"] in found
    assert 'also as <bdi title="again.png">' in found


def test_many_at_once_are_all_answered_in_the_end(me):
    told, start = {}, Barrier(6)

    def give(seed: int) -> None:
        start.wait(within(20))
        told[seed] = me.judged(png(seed))

    threads = [Thread(target=give, args=(seed,)) for seed in range(100, 106)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(within(60))
    assert len({one["id"] for one in told.values()}) == 6
    assert all(one["word"] for one in told.values())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"not a picture at all", "."),
        (png(3)[:900], "."),
        (saved(picture(4, 32), "PNG"), "."),
        (b"", "."),
    ],
)
def test_a_picture_that_cannot_be_judged_gets_a_message(me, data, sentence):
    answer = me.give(data)
    assert answer.status == 422
    assert answer.json["error"].endswith(sentence)
    assert (answer.json["word"], answer.json["label"]) == ("not checked", None)


def test_without_a_session_nothing_is_judged(daemon, me):
    n = daemon.service.count(Filter())
    answer = me.give(png(5), Cookie="x=y")
    assert answer.status == 401
    assert daemon.service.count(Filter()) == n
    assert Person(daemon, "guess").get("/given/0000000000000").status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Requested_By": "else"},
        {"X_Page_Key": "00" * 32},
        {"X_Page_Key": ""},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_no_other_page_can_have_a_picture_judged(daemon, me, headers):
    n = daemon.service.count(Filter())
    assert me.give(png(6), **headers).status == 403
    assert daemon.service.count(Filter()) == n


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", "image/png"]
)
def test_only_plain_bytes_are_taken(me, kind):
    assert me.give(b"[]", kind).status == 415


def test_no_other_address_of_the_page_accepts_plain_bytes(daemon, me):
    about = daemon.page(me.session, Content_Type=BYTES)
    assert daemon.ask("POST", "//changes/notices", b"x", **about).status == 415
    large = bytes(2_000_000)
    assert daemon.ask("POST", "//changes/notices", large, **about).status == 413


def head(daemon: Asked, me: Person, *lines: str) -> int:
    asked = [
        "POST /changes/check HTTP/1.1",
        f"Host: 127.0.0.1:{daemon.port}",
        f"Cookie: {me.cookie}",
        "X-Requested-By: antifake",
        f"Origin: http://127.0.0.1:{daemon.port}",
        f"X-Page-Key: {daemon.access.page_key(me.session)}",
        f"Content-Type: {BYTES}",
        *lines,
        "Connection: close",
    ]
    return int(daemon.raw("\r\n".join(asked).encode() + b"\r\n\r\n").split(b" ", 2)[1])


def test_a_body_that_is_too_large_or_of_unknown_length_is_refused(daemon, me):
    assert me.give(bytes(MAX_FILE_BYTES + 1)).status == 413
    assert head(daemon, me, f"Content-Length: {MAX_FILE_BYTES + 4097}") == 413
    assert head(daemon, me) == 411


def test_a_file_of_the_largest_size_is_read(me):
    assert me.give(bytes(MAX_FILE_BYTES)).status == 422


def test_a_picture_that_is_too_large_or_of_unknown_size_is_refused(tmp_path, tiny_home):
    with world(tmp_path, tiny_home) as here:
        client = here.app().test_client()
        client.get(f"/enter?code={here.access.mint_login()}")
        sender = {"X-Requested-By": "antifake"}
        length = {"CONTENT_LENGTH": str(MAX_FILE_BYTES + 1)}
        about = {"headers": sender, "content_type": BYTES}
        large = client.post("/changes/check", environ_overrides=length, **about)
        assert large.status_code == 413
        assert large.json["error"] == "At most 50,000,000 bytes are accepted here."
        unknown = client.post(
            "/changes/check", environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked"}, **about
        )
        assert unknown.status_code == 411


def test_an_unknown_id_is_not_found(me):
    answer = me.get("/given/0000000000000")
    assert answer.status == 404


# --- In a browser -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    expect.set_options(timeout=within(WAIT_MS))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def opened(daemon: Asked, context) -> Page:
    context.set_default_timeout(within(WAIT_MS))
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{daemon.port}/enter?code={daemon.access.mint_login()}")
    expect(page.locator("html.js")).to_be_attached()
    return page


@pytest.fixture
def page(daemon, chromium) -> Iterator[Page]:
    trouble = []
    with chromium.new_context(viewport={"width": 1180, "height": 860}) as context:
        context.on("request", lambda asked: trouble.append(asked.url))
        context.on("weberror", lambda error: trouble.append(str(error.error)))
        yield opened(daemon, context)
    ours = (f"http://127.0.0.1:{daemon.port}/", "data:")
    assert [one for one in trouble if not one.startswith(ours)] == []


def transfer(page: Page, files: dict[str, bytes], kind: str = "image/png"):
    """The data of a drag, with files made in the page."""
    made = [[name, b64encode(data).decode()] for name, data in files.items()]
    return page.evaluate_handle(TRANSFER, [made, kind])


def drop(page: Page, files: dict[str, bytes], kind: str = "image/png") -> None:
    carried = transfer(page, files, kind)
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#main", event, {"dataTransfer": carried})


def given(page: Page, name: str):
    return page.locator("#given-rows li", has_text=name)


def test_a_picture_is_dropped_and_its_verdict_shown_at_once(daemon, page):
    n = page.locator(".row").count()
    drop(page, {"holiday.png": png(20)})
    expect(page.locator("#given-status")).to_have_text("Done.")
    newest = daemon.service.page(Filter(source="page"), None, 1)[0][0]
    row = given(page, "holiday.png")
    expect(row.locator(".verdict .shape")).to_be_visible()
    expect(row.locator(".word")).to_have_text(newest.word, ignore_case=True)
    expect(page.locator(".row")).to_have_count(n + 1)
    expect(page.locator(f'.row[data-id="{newest.id}"] .word')).to_be_visible()
    expect(page.locator(f'.row[data-id="{newest.id}"] a.name')).to_have_text("holiday.png")
    expect(page.locator("#new")).to_be_empty()
    row.get_by_role("link", name="Open").click()
    expect(page).to_have_url(f"http://127.0.0.1:{daemon.port}/picture/{newest.id}")


def test_the_place_to_drop_shows_only_while_files_are_dragged(page):
    zone = page.locator("#drop")
    expect(zone).to_be_hidden()
    carried = transfer(page, {"a.png": png(21)})
    page.dispatch_event("#main", "dragenter", {"dataTransfer": carried})
    expect(zone).to_have_text("Drop to check")
    expect(zone).to_be_visible()
    page.dispatch_event("#main", "dragleave", {"dataTransfer": carried})
    expect(zone).to_be_hidden()
    words = page.evaluate_handle(
        "() => { const d = new DataTransfer(); d.setData('text/plain', 'x'); return d; }"
    )
    page.dispatch_event("#main", "dragenter", {"dataTransfer": words})
    page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
    expect(zone).to_be_hidden()


def test_several_files_are_chosen_by_keyboard_and_checked_one_after_the_other(page):
    # Expected well before the key, because otherwise the browser opens its own dialog.
    page.on("filechooser", lambda _: None)
    page.get_by_label("Search by file name").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Check a picture")).to_be_focused()
    page.evaluate(WATCH_STATUS)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    assert chooser.value.is_multiple()
    files = [{"name": f"c{n}.png", "mimeType": "image/png", "buffer": png(30 + n)} for n in (1, 2)]
    broken = {"name": "half.png", "mimeType": "image/png", "buffer": png(33)[:700]}
    page.locator("#files").set_input_files([*files, broken])
    expect(page.locator("#given-status")).to_have_text("All 3 done.")
    assert page.evaluate("said").count("Checking 2 of 3 …") == 1
    expect(given(page, "c1.png").locator(".word")).to_be_visible()
    expect(given(page, "half.png")).to_contain_text("Not checked")
    expect(given(page, "half.png").locator("span").last).not_to_be_empty()
    expect(given(page, "c2.png").get_by_role("link", name="Open c2.png")).to_be_visible()
    page.locator("#given-close").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#given-rows li")).to_have_count(0)
    expect(page.get_by_role("button", name="Check a picture")).to_be_focused()


def test_a_picture_is_pasted_and_text_is_left_alone(daemon, page):
    carried = transfer(page, {"image.png": png(40)})
    page.evaluate(PASTE, carried)
    expect(given(page, "image.png").locator(".word")).to_be_visible()
    # That name says nothing: browsers call every copied picture so.
    assert daemon.service.page(Filter(source="page"), None, 1)[0][0].entry.check.name is None
    words = page.evaluate_handle(
        "() => { const d = new DataTransfer(); d.setData('text/plain', 'x'); return d; }"
    )
    assert page.evaluate(PASTE, words) is True  # not prevented


def test_files_that_are_no_pictures_or_too_large_are_not_even_sent(page):
    sent = []
    page.on("request", lambda asked: sent.append(asked.url))
    drop(page, {"notes.txt": b"hello"}, "text/plain")
    expect(given(page, "notes.txt")).to_contain_text("This is not a picture.")
    page.route(f"{page.url.rstrip('/')}/", lambda route: allow_less(route, 5_000))
    page.reload()
    page.unroute_all(behavior="wait")  # none may still run when the page is closed
    drop(page, {"huge.png": bytes(5_001)})
    expect(given(page, "huge.png")).to_contain_text("too large: at most 0.005 MB are taken.")
    assert [url for url in sent if "/changes/" in url] == []


def allow_less(route, n: int) -> None:
    if not route.request.is_navigation_request():
        route.fallback()  # the page asks for its own list when something happens
        return
    answer = route.fetch()
    text = answer.text().replace(f'data-max="{MAX_FILE_BYTES}"', f'data-max="{n}"')
    route.fulfill(response=answer, body=text)


def test_the_page_asks_again_for_a_picture_that_takes_long(page, me):
    known = me.judged(png(45))
    later = {"id": known["id"], "state": "queued", "word": None, "label": None}
    page.route("**/changes/check?*", lambda route: route.fulfill(json=later))
    drop(page, {"slow.png": png(46)})
    expect(given(page, "slow.png").locator(".word")).to_have_text(known["word"], ignore_case=True)


def test_a_refusal_is_shown_with_its_message(page):
    full = {"error": "100 pictures are waiting already; try again in a moment."}
    page.route("**/changes/check?*", lambda route: route.fulfill(status=503, json=full))
    drop(page, {"one.png": png(47)})
    expect(given(page, "one.png")).to_contain_text("100 pictures are waiting already")
    expect(given(page, "one.png").get_by_role("link")).to_have_count(0)


@pytest.mark.attack
@pytest.mark.parametrize("status", [429, 503])
def test_while_the_queue_is_full_the_page_waits_as_long_as_it_is_told(page, status):
    """It says so, sends one picture at a time, and loses none."""
    full = {"code": "queue_full", "detail": "Many wait."}
    sent: list[str] = []

    def answer(route) -> None:
        sent.append(route.request.url)
        if len(sent) in (1, 2):
            route.fulfill(status=status, json=full, headers={"Retry-After": "2"})
        else:
            route.fallback()

    page.route("**/changes/check?*", answer)
    page.clock.install()
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    drop(page, {f"full{n}.png": png(400 + n) for n in range(3)})
    for n_sent in (1, 2):
        expect(page.locator("#given-status")).to_contain_text("Checking 1 of 3 … Many pictures are")
        page.clock.run_for(1_900)
        assert len(sent) == n_sent
        page.clock.run_for(200)
        eventually(lambda n_sent=n_sent: page.wait_for_timeout(10) or len(sent) > n_sent)
    eventually(
        lambda: page.clock.run_for(1_000) or "All 3 done." in page.text_content("#given-status")
    )
    for n in range(3):
        expect(given(page, f"full{n}.png").locator(".word")).to_be_visible()
    assert len(sent) == 5


@pytest.mark.attack
def test_a_full_share_of_the_queue_holds_the_page_up_and_loses_nothing(
    tiny_source, tmp_path, chromium, monkeypatch
):
    monkeypatch.setattr(pages.checking, "WAIT_S", 0.0)
    settings = "[worker]\nqueue = 4\n"
    with running_daemon(tmp_path, tiny_source, settings) as daemon, chromium.new_context() as one:
        daemon.wait_for_model()
        page = opened(daemon, one)
        page.goto(f"http://127.0.0.1:{daemon.port}/")
        me = Person(daemon, daemon.access.login(daemon.access.mint_login()))
        with daemon.model_paused():
            assert [me.give(png(500 + n)).status for n in range(5)] == [200] * 4 + [429]
            drop(page, {"mine.png": png(520), "second.png": png(521)})
            expect(page.locator("#given-status")).to_contain_text("as soon as there is room")
        expect(page.locator("#given-status")).to_have_text("All 2 done.")
        for name in ("mine.png", "second.png"):
            expect(given(page, name).locator(".word")).to_be_visible()


@pytest.mark.attack
@pytest.mark.parametrize(
    ("status", "code"), [(403, "no_scope"), (413, "too_large"), (422, "unreadable"), (500, None)]
)
def test_any_other_refusal_ends_that_picture_and_the_next_one_is_sent(page, status, code):
    sent: list[str] = []

    def answer(route) -> None:
        sent.append(route.request.url)
        if "bad" not in sent[-1]:
            route.fallback()
            return
        about = {"code": code, "detail": "Not this one."}
        route.fulfill(status=status, json=about, headers={"Retry-After": "1"})

    page.route("**/changes/check?*", answer)
    drop(page, {"bad.png": png(430), "good.png": png(431)})
    expect(page.locator("#given-status")).to_have_text("All 2 done.")
    expect(given(page, "bad.png")).to_contain_text("Not this one.")
    expect(given(page, "good.png").locator(".word")).to_be_visible()
    assert len(sent) == 2


@pytest.mark.attack
@pytest.mark.parametrize("has_key_in_the_end", [True, False])
def test_a_picture_waits_for_the_key_of_the_session_but_not_for_ever(page, has_key_in_the_end):
    sent: list[str] = []

    def answer(route) -> None:
        sent.append(route.request.url)
        if "early" not in sent[-1] or (has_key_in_the_end and len(sent) > 2):
            route.fallback()
        else:
            route.fulfill(status=403, json={"code": "no_page_key", "detail": "Only to show."})

    page.route("**/changes/check?*", answer)
    page.clock.install()
    drop(page, {"early.png": png(432), "good.png": png(433)})
    eventually(
        lambda: page.clock.run_for(1000) or "All 2 done." in page.text_content("#given-status")
    )
    expect(given(page, "good.png").locator(".word")).to_be_visible()
    if has_key_in_the_end:
        expect(given(page, "early.png").locator(".word")).to_be_visible()
        assert len(sent) == 4
    else:
        expect(given(page, "early.png")).to_contain_text("Only to show.")
        assert len(sent) == 11


def test_a_hostile_name_does_nothing(page):
    drop(page, {"<img src=x onerror=alert(1)>\u202egpj.png": png(41)})
    expect(page.locator("#given-status")).to_have_text("Done.")
    text = page.locator("#given-rows").text_content()
    assert "<img src=x" in text
    assert "\u202e" not in text
    assert page.locator("#given-rows img").count() == 0


def test_a_selection_is_kept_when_a_picture_is_checked(page, me):
    ids = [me.judged(png(seed))["id"] for seed in (50, 51)]
    page.reload()
    page.locator(f'.row[data-id="{ids[0]}"] .pick input').check()
    drop(page, {"third.png": png(52)})
    expect(page.locator("#given-status")).to_have_text("Done.")
    expect(page.locator(f'.row[data-id="{ids[0]}"] .pick input')).to_be_checked()
    expect(page.locator("#picked")).to_have_text("1 selected")


def test_a_forgotten_picture_is_gone_from_both_lists(daemon, page):
    drop(page, {"regretted.png": png(55)})
    expect(page.locator("#given-status")).to_have_text("Done.")
    name = given(page, "regretted.png").get_attribute("data-id")
    daemon.service.forget([name])
    expect(page.locator(f'[data-id="{name}"]')).to_have_count(0)


def test_the_first_picture_fills_the_empty_list(tiny_source, tmp_path, chromium):
    with running_daemon(tmp_path, tiny_source) as fresh, chromium.new_context() as context:
        page = opened(fresh, context)
        page.goto(f"http://127.0.0.1:{fresh.port}/")  # and not the welcome
        expect(page.locator(".empty")).to_contain_text("Nothing has been checked yet.")
        expect(page.get_by_label("Select all on this page")).to_be_hidden()
        drop(page, {"first.png": png(60)})
        expect(page.locator(".row")).to_have_count(1)
        expect(page.locator(".empty")).to_have_count(0)
        expect(page.locator("#how-many")).to_have_text("1 picture")
        page.get_by_label("Select all on this page").check()
        expect(page.locator("#picked")).to_have_text("1 selected")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_dragging_and_after(daemon, chromium, scheme):
    with chromium.new_context(bypass_csp=True, color_scheme=scheme) as context:
        page = opened(daemon, context)
        files = {"sunset-over-the-harbour.png": png(70), "b" * 90 + ".png": png(71)}
        drop(page, files | {"half.png": png(72)[:700]})
        expect(page.locator("#given-status")).to_have_text("All 3 done.")
        for width in (1180, 590, 390):
            page.set_viewport_size({"width": width, "height": 860})
            shoot(page, f"drop-done-{scheme}-{width}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert axe(page) == []
        for width in (390, 1180):
            page.set_viewport_size({"width": width, "height": 860})
            page.dispatch_event("#main", "dragenter", {"dataTransfer": transfer(page, files)})
            expect(page.locator("#drop")).to_be_visible()
            shoot(page, f"drop-over-{scheme}-{width}")
        page.evaluate("document.getElementById('main').inert = true")  # as below a dialog
        page.evaluate("document.getElementById('drop').removeAttribute('aria-hidden')")
        assert axe(page, "#drop") == []


def shoot(page: Page, name: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", animations="disabled")


TRANSFER = """([files, type]) => {
  const carried = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    carried.items.add(new File([bytes], name, {type}));
  }
  return carried;
}"""
PASTE = """(clipboardData) => document.body.dispatchEvent(
  new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}))"""
WATCH_STATUS = """() => {
  window.said = [];
  const place = document.getElementById("given-status");
  new MutationObserver(() => said.push(place.textContent)).observe(place, {childList: true});
}"""
