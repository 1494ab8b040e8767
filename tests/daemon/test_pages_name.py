"""The pages' own host name: the session's cookie stays away from other programs on 127.0.0.1."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kit.daemon import Asked, free_port, running_daemon
from kit.firefox import firefox, text_of, until
from kit.pace import within
from kit.page_desk import WAIT_MS
from kit.pages import ARGUMENTS, CHROMIUM
from kit.stranger import Stranger
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from antifake.daemon.web.guards import COOKIE

NAME = "antifake.localhost"
NOWHERE = {
    "network.proxy.type": 2,
    "network.proxy.allow_hijacking_localhost": True,
    "network.proxy.autoconfig_url": "data:text/javascript,function FindProxyForURL(url, host) {"
    f' return host === "{NAME}" ? "PROXY 127.0.0.1:1" : "DIRECT"; }}',
}
"""Preferences of a Firefox that does not reach the name."""
LEAKY = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
"""The driver of Firefox leaves the sockets open by which it looks whether Firefox is up."""
LINK_USED = "This link has been used, or it is too old"


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory) -> Iterator[Asked]:
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        yield daemon


@pytest.fixture
def link(daemon) -> str:
    return str(daemon.post("/logins", {"next": "/review"}).json["url"])


def under(daemon: Asked, host: str, path: str, **headers: str):
    """Asks under a host name. PORT in it becomes the port."""
    host = host.replace("PORT", str(daemon.port))
    return daemon.ask("GET", f"/{path}", token=None, Host=host, **headers)


def query(link: str) -> str:
    return link.partition("?")[2]


# --- Requests -----------------------------------------------------------------------------


def test_the_link_asks_for_the_other_name_and_leaves_the_code_unused(daemon, link):
    place = f"/open?{query(link)}"
    for _ in range(3):
        found = under(daemon, "127.0.0.1:PORT", place)
        assert found.status == 200
        assert "Set-Cookie" not in found.headers
        policy = found.headers["Content-Security-Policy"]
        assert f"connect-src http://{NAME}:{daemon.port}" in policy
        assert 'href="/enter?code=' in found.body.decode()
    entered = under(daemon, f"{NAME}:PORT", f"/enter?{query(link)}")
    assert entered.status == 200
    assert 'http-equiv="refresh" content="0; url=/review#key=' in entered.body.decode()
    cookie = entered.headers["Set-Cookie"]
    assert "Domain" not in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    for host in (f"{NAME}:PORT", "127.0.0.1:PORT"):
        assert under(daemon, host, f"/enter?{query(link)}").status == 403


@pytest.mark.parametrize(
    "host",
    [
        "x.antifake.localhost:PORT",
        "antifake.localhost.:PORT",
        "antifake.localhost.evil:PORT",
        "antifakexlocalhost:PORT",
        "evil.localhost:PORT",
        "antifake.localhost",
        "antifake.localhost:1",
        "antifake.localhost:PORT, evil",
    ],
)
@pytest.mark.parametrize("path", ["/", "/enter?code=x", "/here", "/open?code=x", "/assets/page.js"])
def test_any_other_name_is_still_misdirected(daemon, host, path):
    assert under(daemon, host, path).status == 421


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/checks", "/api/docs", "/api/nothing"])
def test_programs_do_not_use_the_pages_name(daemon, path):
    assert under(daemon, f"{NAME}:PORT", path).status == 421
    assert under(daemon, "127.0.0.1:PORT", path).status != 421


def test_only_our_page_is_told_whether_it_is_the_same_daemon(daemon):
    told = set()
    for ours in ("127.0.0.1", "localhost", "[::1]"):
        origin = f"http://{ours}:{daemon.port}"
        reply = under(daemon, f"{NAME}:PORT", "/here", Origin=origin, Sec_Fetch_Site="cross-site")
        assert reply.status == 200
        assert reply.headers["Access-Control-Allow-Origin"] == origin
        told.add(reply.body)
    assert len(told) == 1
    shown = under(daemon, "127.0.0.1:PORT", "/open?code=x").body
    assert told.pop() in shown
    for origin in (
        "http://127.0.0.1:1",
        f"https://127.0.0.1:{daemon.port}",
        f"127.0.0.1:{daemon.port}",
        "http://evil.example",
        f"http://evil.localhost:{daemon.port}",
        "null",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    ):
        reply = under(daemon, f"{NAME}:PORT", "/here", Origin=origin, Sec_Fetch_Site="cross-site")
        assert (reply.status, reply.code) == (403, "wrong_origin"), origin
        assert "Access-Control-Allow-Origin" not in reply.headers
    assert under(daemon, f"{NAME}:PORT", "/here").status == 404


@pytest.mark.parametrize(
    ("path", "mode", "dest", "status"),
    [
        ("/enter?code=x", "navigate", "document", 403),
        ("/enter?code=x", "navigate", "iframe", 403),
        ("/enter?code=x", "no-cors", "image", 403),
        ("/", "navigate", "document", 403),
        ("/open?code=x", "navigate", "document", 403),
    ],
)
def test_from_another_site_a_browser_can_only_bring_a_code(daemon, path, mode, dest, status):
    about = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    reply = under(daemon, f"{NAME}:PORT", path, **about)
    assert reply.status == status
    is_asked_for_its_code = LINK_USED.encode() in reply.body
    assert is_asked_for_its_code == (path.startswith("/enter") and dest == "document")


def test_a_change_under_the_pages_name_comes_from_there(daemon, link):
    entered = under(daemon, f"{NAME}:PORT", f"/enter?{query(link)}")
    session = entered.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    here = daemon.page(session, Host=f"{NAME}:{daemon.port}")
    own = f"http://{NAME}:{daemon.port}"
    read = {"read": ["The disk was full."]}
    for origin, status in (
        (own, 200),
        (f"http://127.0.0.1:{daemon.port}", 403),
        ("http://evil.example", 403),
        (f"http://{NAME}:1", 403),
    ):
        sent = daemon.post("//changes/notices", read, **here | {"Origin": origin})
        assert sent.status == status, origin


# --- Another program on the IPv6 loopback ---------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program has on ::1, but not on 127.0.0.1."""
    port = free_port()
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", port))
        other.listen()
        yield port


def test_the_name_is_not_used_if_another_program_could_be_reached_by_it(
    taken, tiny_source, tmp_path, monkeypatch
):
    monkeypatch.setattr("kit.daemon.free_port", lambda: taken)
    with running_daemon(tmp_path, tiny_source) as daemon:
        assert daemon.port == taken
        link = daemon.post("/logins", {"next": "/review"}).json["url"]
        opened = daemon.get(f"//open?{query(link)}", token=None)
        assert opened.status == 303
        assert opened.headers["Location"].startswith("/review#key=")
        assert COOKIE in opened.headers["Set-Cookie"]
        for path in ("/", "/here", "/enter?code=x"):
            assert under(daemon, f"{NAME}:PORT", path).status == 421


def test_nobody_else_can_listen_on_the_ipv6_loopback(daemon):
    with socket.socket(socket.AF_INET6) as other, pytest.raises(OSError, match="in use"):
        other.bind(("::1", daemon.port))


# --- In Chromium ----------------------------------------------------------------------------


@pytest.fixture
def other() -> Iterator[Stranger]:
    """Another program of this computer."""
    with Stranger(body=b"<title>other</title>", kind="text/html") as stranger:
        yield stranger


@contextmanager
def chromium(*arguments: str, **about: bool) -> Iterator[BrowserContext]:
    expect.set_options(timeout=within(WAIT_MS))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments]
        )
        with browser.new_context(**about) as context:
            context.set_default_timeout(within(WAIT_MS))
            yield context
        browser.close()


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    with chromium() as context:
        yield context


def opened(context: BrowserContext, link: str) -> Page:
    page = context.new_page()
    page.goto(link)
    page.wait_for_url(re.compile(r":\d+/review$"))
    return page


def test_the_link_opens_the_history_under_its_own_name(daemon, link, context):
    trouble: list[str] = []
    context.on("console", lambda said: trouble.append(said.text))
    context.on("weberror", lambda error: trouble.append(str(error.error)))
    page = opened(context, link)
    expect(page).to_have_url(f"http://{NAME}:{daemon.port}/review")
    expect(page.locator("h1")).to_have_text("Review")
    assert trouble == []
    page.get_by_role("link", name="History", exact=True).click()
    expect(page).to_have_title("History · antifake")
    page.reload()
    expect(page).to_have_title("History · antifake")
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["domain"]) == (COOKIE, NAME)


def test_the_page_under_its_own_name_can_do_everything(daemon, link, context):
    page = opened(context, link)
    page.goto(f"http://{NAME}:{daemon.port}/settings")
    field = page.get_by_label("Keep checks for", exact=True)
    field.fill("40")
    field.blur()
    expect(page.locator("#toast")).to_contain_text("Keep checks for: 40")
    assert daemon.service.config.history.keep_days == 40
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("h1")).to_have_text("This page is only for you")


def test_no_other_program_on_this_computer_gets_the_cookie(daemon, link, context, other):
    page = opened(context, link)
    for host in ("127.0.0.1", "localhost"):
        page.goto(f"http://{host}:{other.port}/")
        expect(page).to_have_title("other")
    assert other.cookies
    assert set(other.cookies) == {""}
    # The same program would get a cookie of 127.0.0.1, whatever port set it.
    fallback = daemon.post("/logins").json["url"].replace("/open?", "/enter?")
    page.goto(fallback)
    page.goto(f"http://127.0.0.1:{other.port}/")
    assert any(one.startswith(f"{COOKIE}=") for one in other.cookies)


@pytest.mark.attack
def test_a_program_that_is_sent_the_cookie_can_only_look(daemon, context, other):
    """It can send any header. The key of the session stays in the pages of our port."""
    link = daemon.post("/logins", {"next": "/settings"}).json["url"].replace("/open?", "/enter?")
    page = context.new_page()
    page.goto(link)
    expect(page).to_have_url(f"http://127.0.0.1:{daemon.port}/settings")
    page.goto(f"http://127.0.0.1:{other.port}/")
    assert page.evaluate("JSON.stringify(localStorage)") == "{}"
    (cookie,) = {one for one in other.cookies if one}
    asked = [path for path in other.asked if "key" in path]
    assert asked == []
    sent = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{daemon.port}"}
    sent |= {"X_Requested_By": "antifake", "X_Page_Key": "0" * 64}
    assert daemon.get("//settings", token=None, **sent).status == 200
    for what in ("setting", "forget", "leave", "notices", "accept"):
        refused = daemon.post(f"//changes/{what}", {}, token=None, **sent)
        assert refused.status in (403, 404), what
    refused = daemon.post("//changes/notices", {}, token=None, **sent)
    assert (refused.status, refused.json["code"]) == (403, "no_page_key")
    bare = {name: value for name, value in sent.items() if name != "Origin"}
    bare["X_Page_Key"] = daemon.access.page_key(cookie.partition("=")[2])
    refused = daemon.post("//changes/notices", {}, token=None, **bare)
    assert (refused.status, refused.json["code"]) == (403, "wrong_origin")
    page.goto(f"http://127.0.0.1:{daemon.port}/settings")
    field = page.get_by_label("Keep checks for", exact=True)
    field.fill("41")
    field.blur()
    expect(page.locator("#toast")).to_contain_text("Keep checks for: 41")


def test_the_code_cannot_be_used_again(link, context):
    opened(context, link)
    with context.browser.new_context() as stranger:
        page = stranger.new_page()
        page.goto(link)
        expect(page.locator("h1")).to_have_text(LINK_USED)
        assert stranger.cookies() == []


@pytest.mark.parametrize("rule", [f"MAP {NAME} ~NOTFOUND", f"MAP {NAME} 127.0.0.1:OTHER"])
def test_where_the_name_leads_elsewhere_the_page_opens_under_127_0_0_1(daemon, link, other, rule):
    rule = rule.replace("OTHER", str(other.port))
    with chromium(f"--host-resolver-rules={rule}") as context:
        page = opened(context, link)
        expect(page).to_have_url(f"http://127.0.0.1:{daemon.port}/review")
        expect(page.locator("h1")).to_have_text("Review")
        (cookie,) = context.cookies()
        assert cookie["domain"] == "127.0.0.1"
    assert not any(cookie for cookie in other.cookies)


def test_without_javascript_a_link_goes_on(daemon, link):
    with chromium(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(link)
        page.get_by_role("link", name="Go on").click()
        expect(page).to_have_url(re.compile(rf"^http://127.0.0.1:{daemon.port}/review#key="))
        expect(page.locator("h1")).to_have_text("Review")


@LEAKY
def test_firefox_opens_the_history_under_its_own_name_too(daemon, link, other):
    with firefox() as browser:
        browser.navigate(link)
        own = f"http://{NAME}:{daemon.port}"
        until(lambda: browser.get_url() == f"{own}/review")
        until(lambda: text_of(browser, "h1") == "Review")
        browser.navigate(f"{own}/")
        assert browser.title == "History · antifake"
        browser.navigate(f"http://127.0.0.1:{other.port}/")
        assert browser.title == "other"
        browser.navigate(link)
        until(lambda: text_of(browser, "h1") == LINK_USED)
    assert other.cookies
    assert set(other.cookies) == {""}


@LEAKY
def test_where_firefox_does_not_find_the_name_the_page_opens_under_127_0_0_1(daemon, link):
    with firefox(NOWHERE) as browser:
        browser.navigate(link)
        here = f"http://127.0.0.1:{daemon.port}"
        until(lambda: browser.get_url() == f"{here}/review")
        until(lambda: text_of(browser, "h1") == "Review")


def test_a_page_of_the_web_gets_nobody_in_and_uses_no_code(daemon, link, context, other):
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{other.port}/")
    for name in (NAME, "127.0.0.1"):
        with page.expect_popup() as popup:
            page.evaluate(
                "url => { window.open(url); }", f"http://{name}:{daemon.port}/enter?code=guess"
            )
        expect(popup.value.locator("h1")).to_have_text(LINK_USED)
    assert context.cookies() == []
    opened(context, link)
