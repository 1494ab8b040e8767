"""Attacks: pages of the web in a real browser in which the user is logged in, malformed requests,
tokens without the right scope."""

import gc
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest
from kit.daemon import contents, read_all, running_daemon
from kit.pace import within
from kit.pages import ARGUMENTS, CHROMIUM
from kit.pictures import png
from kit.waiting import eventually
from playwright.sync_api import expect, sync_playwright

from antifake.daemon.web import About, create_app
from antifake.daemon.web.guards import requirement_of

pytestmark = pytest.mark.attack

COOKIE = "antifake_session"


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        yield daemon


# --- Pages of the web -----------------------------------------------------------------------


@contextmanager
def foreign_server() -> Iterator[int]:
    """Runs another program's web server on this computer. Yields its port."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def foreign() -> Iterator[int]:
    with foreign_server() as port:
        yield port


@pytest.fixture(scope="module")
def chromium():
    mapped = "--host-resolver-rules=MAP rebind.test 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, mapped])
        yield browser
        browser.close()


@pytest.fixture
def browser(daemon, chromium):
    """A browser in which the user has just opened the history."""
    with chromium.new_context() as context:
        context.set_default_timeout(within(20_000))
        page = context.new_page()
        code = daemon.access.mint_login()
        shown = page.goto(f"http://127.0.0.1:{daemon.port}/enter?code={code}")
        assert shown is not None
        assert shown.status == 200
        page.close()
        yield context


TRIES = """async (home) => {
  const seen = [];
  const read = async (name, answer) => {
    try {
      const text = await Promise.race([answer(), new Promise((_, no) => setTimeout(no, 3000))]);
      if (text) seen.push(`${name}: ${text}`);
    } catch (error) { /* nothing was read */ }
  };
  const asked = (path, about) => async () => (await fetch(home + path, about)).text();
  const paths = ["/", "/api/v1/health", "/api/v1/checks", "/api/v1/events", "/live", "/news",
    "/verdicts", "/assets/page.js", "/open?code=x", "/enter?code=x", "/here",
    "/api/v1/openapi.json", "/nothing"];
  for (const path of paths) {
    for (const mode of ["cors", "no-cors"])
      await read(`fetch ${mode} ${path}`, asked(path, {mode, credentials: "include"}));
  }
  const types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
    "application/json", ""];
  const changes = ["/changes/forget", "/changes/label", "/changes/pause", "/changes/leave",
    "/changes/check", "/api/v1/daemon:stop", "/api/v1/checks", "/api/v1/pairings",
    "/api/v1/hello", "/api/v1/watches:pause", "/api/v1/logins"];
  const bodies = ['{"ids": ["x"], "minutes": 5, "label": "real", "note": ""}',
    '{"name": "x", "scopes": ["check"]}', ""];
  for (const [n, path] of changes.entries()) for (const type of types) {
    const blob = new Blob([bodies[n % 3]], {type});
    for (const mode of ["cors", "no-cors"])
      await read(`post ${path}`, asked(path, {method: "POST", mode, body: blob,
        credentials: "include", headers: {}}));
  }
  for (const path of changes)
    await read(`beacon ${path}`, async () => { navigator.sendBeacon(home + path, "{}"); });
  const loaded = (element) => new Promise((yes, no) => {
    element.onload = () => yes("loaded"); element.onerror = no;
    document.body.append(element);
  });
  const made = (name, about) => Object.assign(document.createElement(name), about);
  for (const path of paths) {
    await read(`img ${path}`, () => loaded(made("img", {src: home + path})));
    await read(`script ${path}`, () => loaded(made("script", {src: home + path})));
    await read(`style ${path}`,
      () => loaded(made("link", {rel: "stylesheet", href: home + path})));
  }
  for (const path of ["/live", "/api/v1/events"]) {
    await read(`events ${path}`, () => new Promise((yes, no) => {
      const stream = new EventSource(home + path, {withCredentials: true});
      stream.onopen = () => yes("open"); stream.onerror = () => { stream.close(); no(); };
    }));
    await read(`socket ${path}`, () => new Promise((yes, no) => {
      const socket = new WebSocket(home.replace("http", "ws") + path);
      socket.onopen = () => yes("open"); socket.onerror = no;
    }));
  }
  for (const path of ["/", "/privacy", "/open?code=x&next=//evil", "/enter?code=x"]) {
    const frame = made("iframe", {src: home + path});
    await loaded(frame).catch(() => {});
    await read(`frame ${path}`, async () => frame.contentDocument?.body.innerText);
  }
  for (const enctype of types.slice(0, 3)) for (const action of changes) {
    const frame = made("iframe", {name: `f${Math.random()}`});
    const form = made("form", {action: home + action, method: "post", enctype,
      target: frame.name});
    form.append(made("input", {name: '{"ids": ["x"], "a": "', value: '"}'}));
    document.body.append(frame, form);
    form.submit();
  }
  await new Promise((yes) => setTimeout(yes, 500));
  return seen;
}"""
"""Sends everything that a page can send. Returns what the page could read."""


def standing(daemon) -> dict:
    """Returns everything that an attack could change."""
    found = {
        path: daemon.get(path).json for path in ("/checks", "/settings", "/tokens", "/pairings")
    }
    for token in found["/tokens"]["tokens"]:
        token.pop("last_used")  # that of the one we ask with moves
    return found


@pytest.mark.parametrize("name", ["127.0.0.1", "rebind.test"])
def test_a_foreign_page_can_neither_change_nor_read_anything_of_a_logged_in_user(
    daemon, browser, foreign, name
):
    daemon.check(png(1))
    before = standing(daemon)
    home, answers = f"http://127.0.0.1:{daemon.port}", []
    browser.on("response", lambda one: answers.append(one) if one.url.startswith(home) else None)
    page = browser.new_page()
    page.goto(f"http://{name}:{foreign}/")
    assert page.evaluate(TRIES, home) == []
    assert {one.status for one in answers} == {403}
    assert standing(daemon) == before
    assert not daemon.stopped.is_set()
    assert browser.new_page().goto(home).status == 200  # the session is as it was


@pytest.mark.parametrize(
    "path", ["/", "/privacy", "/here", "/open?code=CODE", "/open?code=CODE&next=//evil"]
)
def test_a_window_that_a_foreign_page_opens_shows_nothing_and_uses_no_link(
    daemon, browser, foreign, path
):
    code = daemon.access.mint_login()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{foreign}/")
    url = f"http://127.0.0.1:{daemon.port}{path.replace('CODE', code)}"
    with page.expect_popup() as opened:
        page.evaluate("url => { window.open(url); }", url)
    refused = opened.value.locator("body")
    expect(refused).to_contain_text("wrong_origin", timeout=within(20_000))
    assert daemon.access.login(code) is not None


def test_a_foreign_name_that_resolves_to_this_computer_is_refused(daemon, browser):
    shown = browser.new_page().goto(f"http://rebind.test:{daemon.port}/")
    assert shown.status == 421


# --- One-time links -------------------------------------------------------------------------


def opened(daemon, code: str, wanted: str = ""):
    return daemon.get(f"//enter?code={code}&next={wanted}", token=None)


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil",
        "/%5Cevil",
        "%5C%5Cevil",
        "https://evil",
        "/%09/evil",
        "/%0d%0aX:y",
        "javascript:x",
        "/review/..//evil",
        "/review%00",
        "/review%0a",
        "/open",
        "/api/v1/checks",
        "%2F%2Fevil",
        "/review?x=//evil",
        "/picture/../evil12345678",
        "/changes/forget",
        "///evil",
        "@evil",
    ],
)
def test_a_link_leads_only_to_pages_of_ours(daemon, wanted):
    reply = opened(daemon, daemon.access.mint_login(), wanted)
    assert reply.status == 303
    assert re.fullmatch(r"/#key=[0-9a-f]{64}", reply.headers["Location"])


def test_when_many_use_one_link_at_once_only_one_gets_in(daemon):
    code, start = daemon.access.mint_login(), threading.Barrier(8)
    found: list[int] = []

    def use() -> None:
        start.wait()
        found.append(opened(daemon, code).status)

    users = [threading.Thread(target=use) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert sorted(found) == [303] + [403] * 7


def test_a_session_has_an_id_of_our_choice_and_ends_when_the_user_logs_out(daemon):
    planted = "A" * 43
    reply = daemon.get(
        f"//enter?code={daemon.access.mint_login()}", token=None, Cookie=f"{COOKIE}={planted}"
    )
    name, _, rest = reply.headers["Set-Cookie"].partition("=")
    secret, *about = rest.split("; ")
    assert (name, sorted(about)) == (COOKIE, ["HttpOnly", "Path=/", "SameSite=Strict"])
    assert secret != planted
    assert daemon.get("///", token=None, Cookie=f"{COOKIE}={planted}").status == 401
    ours = {"token": None, "Cookie": f"{COOKIE}={secret}"}
    assert daemon.get("///", **ours).status == 200
    assert daemon.post("//changes/leave", {}, **daemon.page(secret)).status == 204
    assert daemon.get("///", **ours).status == 401


# --- Every address --------------------------------------------------------------------------

ANYBODY = frozenset()
ADMIN = frozenset({"admin"})
ANY = frozenset({"check", "read", "correct", "open", "admin"})
SCOPES = {
    "GET /api/v1/health": ANYBODY,
    "GET /api/v1/openapi.json": ANYBODY,
    "GET /api/docs": ANYBODY,
    "POST /api/v1/hello": ANYBODY,
    "POST /api/v1/pairings": ANYBODY,
    "GET /api/v1/pairings/<name>": ANYBODY,
    "DELETE /api/v1/pairings/<name>": ANYBODY,
    "POST /api/v1/checks": {"check"},
    "GET /api/v1/checks/<name>": {"check", "read"},
    "GET /api/v1/checks": {"read"},
    "GET /api/v1/checks/<name>/thumbnail": {"read"},
    "GET /api/v1/state": {"check", "read"},
    "GET /api/v1/stats": {"read"},
    "GET /api/v1/events": {"read"},
    "GET /api/v1/watches": {"read"},
    "GET /api/v1/settings": {"read"},
    "PUT /api/v1/checks/<name>/label": {"correct"},
    "POST /api/v1/labels:batch": {"correct"},
    "DELETE /api/v1/checks/<name>/label": {"correct"},
    "POST /api/v1/labels:undo": {"correct"},
    "GET /api/v1/tokens/self": ANY,
    "DELETE /api/v1/tokens/self": ANY,
    "POST /api/v1/logins": {"open"},
    "GET /api/v1/learning": {"read"},
    "GET /api/v1/learning/trainings": {"read"},
    "GET /api/v1/learning/trainings/<int:name>": {"read"},
    "GET /api/v1/learning/trainings/<int:name>/flips": {"read"},
    "GET /api/v1/learning/trainings/<int:name>/contradictions": {"read"},
    "GET /api/v1/learning/review": {"read"},
    "GET /api/v1/learning/crops": {"read"},
    "GET /api/v1/learning/versions": {"read"},
    "GET /api/v1/learning/versions:compare": {"read"},
    "POST /api/v1/learning/review:skip": {"correct"},
}
"""Operations that are missing here are for admin only."""
FOR_EXTENSIONS = {"/api/v1/hello", "/api/v1/pairings", "/api/v1/pairings/<name>"}


@pytest.fixture(scope="module")
def app(daemon):
    return create_app(daemon.service, daemon.access, About("0", lambda: None))


def routes(app) -> Iterator[tuple[str, str, str]]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule.rule, rule.endpoint


def test_every_operation_of_the_api_requires_the_right_scope(app):
    with app.app_context():
        found = {
            f"{method} {path}": requirement_of(endpoint)
            for method, path, endpoint in routes(app)
            if path.startswith("/api/")
        }
    assert SCOPES.keys() <= found.keys()
    assert {name: one.scopes for name, one in found.items()} == {
        name: SCOPES.get(name, ADMIN) for name in found
    }
    open_to_all = {name for name, one in found.items() if one.allows_unpaired}
    assert open_to_all == {
        name for name in found if SCOPES.get(name) == ANYBODY and name.split()[1] in FOR_EXTENSIONS
    }


def identity_at(app, endpoint: str) -> str:
    with app.app_context():
        return requirement_of(endpoint).identity


OPEN_PAGES = {f"pages.{name}" for name in ("static", "messages", "arrive", "enter", "here")}


def test_every_page_requires_a_session_and_every_change_our_header(daemon, app):
    secret = daemon.access.login(daemon.access.mint_login())
    cookie = f"{COOKIE}={secret}"
    pages = [one for one in routes(app) if not one[1].startswith("/api/")]
    assert len(pages) > 20
    for method, rule, endpoint in pages:
        if endpoint in OPEN_PAGES:
            continue
        if endpoint in ("pages.back", "pages.challenge"):  # see test_remembered
            assert identity_at(app, endpoint) == "browser"
            continue
        path = "/" + rule.replace("<name>", "x").replace("<int:number>", "1")
        for stolen in (None, daemon.secret, daemon.token("admin")):
            about = {"Cookie": f"{COOKIE}={stolen}"} if stolen else {}
            assert daemon.send(method, path, {}, token=stolen, **about).status == 401, path
        if method != "GET":
            assert daemon.send(method, path, {}, token=None, Cookie=cookie).status == 403, path
            for kind in ("text/plain", "multipart/form-data; boundary=x", ""):
                reply = daemon.send(method, path, {}, **daemon.page(secret, Content_Type=kind))
                assert reply.status == 415, path
    assert daemon.access.is_session(secret)


# --- Tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_stream_ends_once_its_token_is_revoked(daemon, accept):
    token, secret = daemon.access.issue("for a while", ["read"])
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=within(20)) as connection:
        after = daemon.service.events.last
        lines = [
            f"GET /api/v1/events?wait=20&after={after} HTTP/1.1",
            f"Host: 127.0.0.1:{daemon.port}",
            f"Authorization: Bearer {secret}",
            f"Accept: {accept}",
            "Connection: close",
            "\r\n",
        ]
        connection.sendall("\r\n".join(lines).encode())
        eventually(lambda: is_used(daemon, token.id))
        daemon.access.revoke(token.id)
        daemon.service.events.tell("settings")
        heard = read_all(connection, b"")
    assert heard
    assert b"settings" not in heard


def is_used(daemon, token_id: int) -> bool:
    return any(one.id == token_id and one.last_used for one in daemon.access.tokens())


def test_a_program_that_may_only_check_does_not_see_the_users_notes(daemon):
    picture = png(3)
    name = daemon.check(picture, page="https://example.org/x", path="/home/me/x.png").json["id"]
    said = {"label": "real", "note": "from my sister"}
    assert daemon.send("PUT", f"/checks/{name}/label", said).json["said"]["note"] == said["note"]
    theirs = daemon.token("check")
    for reply in (daemon.get(f"/checks/{name}", token=theirs), daemon.check(picture, token=theirs)):
        assert reply.json["said"]["label"] == "real"
        assert not {"from my sister", "example.org", "/home/me"} & set(
            reply.body.decode().split('"')
        )
        assert (reply.json["path"], reply.json["page"]) == (None, None)
        assert "from my sister" not in reply.body.decode()


def test_a_private_picture_leaves_no_trace(daemon):
    root, picture = daemon.places.home.root.parent, png(77)
    digest = sha256(picture).hexdigest()
    reply = daemon.check(picture, private="true", page="https://secret.example/x", path="/s3cret/a")
    assert (reply.status, reply.json["is_stored"]) == (201, False)
    events = daemon.get(
        f"/events?after={daemon.service.events.last - 20}", Accept="application/json"
    )
    told = events.body + daemon.get("/checks").body + daemon.get("/stats").body
    for trace in (digest, "secret.example", "s3cret"):
        assert trace.encode() not in told
        for path, found in contents(root):
            assert trace.encode() not in found, path
            assert bytes.fromhex(digest) not in found, path
            assert picture not in found, path


# --- Pairing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "this computer",
        " This Computer ",
        "a\nb",
        "a\u202eb",
        "x" * 81,
        "",
        " ",
        "\x1b[31mred",
        "a\u2028b",
        "a\u200bb",
        "\ufeffx",
        "\x9b31m",
        "\x7f",
    ],
)
def test_a_program_cannot_choose_a_misleading_name(daemon, name):
    reply = daemon.post("/pairings", {"name": name, "scopes": ["check"]}, token=None)
    assert reply.status in (400, 422)
    assert daemon.access.pending() == []


@pytest.mark.parametrize(
    "origin",
    [
        "chrome-extension://" + "a" * 300,
        "chrome-extension://a\x9b31mb",
        "moz-extension://",
        "chrome-extension://abc/../x",
        "chrome-extension://abc def",
        "chrome-extension://a@evil",
        "chrome-extension://<b>x</b>",
    ],
)
def test_an_origin_that_no_browser_sends_is_not_shown_to_the_user(daemon, origin):
    wish = {"name": "antifake", "scopes": ["check"]}
    reply = daemon.post("/pairings", wish, token=None, Origin=origin)
    assert (reply.status, reply.code) == (403, "wrong_origin")
    assert daemon.access.pending() == []


# --- Malformed requests ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        "GET http://[/api HTTP/1.1\r\n",
        "GET http://[x]y/ HTTP/1.1\r\n",
        "POST /api/v1/hello HTTP/1.1\r\nContent-Length: " + "9" * 5000 + "\r\n",
    ],
)
def test_input_that_python_cannot_parse_is_refused_with_a_message(daemon, caplog, request_):
    answer = daemon.raw(f"{request_}Host: 127.0.0.1:{daemon.port}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert not caplog.records


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is open")
def test_an_interrupted_body_is_removed_from_disk_at_once(daemon):
    def on_disk() -> list[str]:
        here = str(daemon.places.state)
        names = []
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # other threads close their files in the meantime
                names.append(str(link.readlink()))
        return [name for name in names if name.startswith(here) and "deleted" in name]

    gc.disable()  # garbage collection would close it too, but later
    try:
        with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
            head = (
                f"POST /api/v1/checks HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n"
                f"Authorization: Bearer {daemon.secret}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 40000000\r\n\r\n"
            )
            connection.sendall(head.encode() + bytes(2_000_000))
            eventually(on_disk)
        eventually(lambda: not on_disk())
    finally:
        gc.enable()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such mask")
def test_our_folders_are_private_whatever_the_umask_is(tmp_path):
    home = tmp_path / "above" / "home"
    command = [sys.executable, "-m", "antifake.daemon", "daemon", "run"]
    environment = os.environ | {"ANTIFAKE_HOME": str(home)}
    with Popen(command, env=environment, umask=0, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            eventually((home / "run" / "running.json").exists, 30)
            made = [tmp_path / "above", *(tmp_path / "above").rglob("*")]
            open_to_others = []
            for path in made:
                with suppress(FileNotFoundError):  # it is still starting, and replaces files
                    open_to_others += [path] if path.stat().st_mode & 0o077 else []
            assert open_to_others == []
        finally:
            process.terminate()


def test_parsing_the_name_of_a_page_takes_no_time(daemon):
    start = time.process_time()  # the daemon is in this process
    assert daemon.post("/logins", {"next": "/" + "a" * 100_000 + "!"}).status == 422
    assert time.process_time() - start < within(2)
    assert daemon.post("/logins", {"next": "/picture/0123456789abc"}).status == 200
    assert daemon.post("/logins", {"next": "/"}).status == 200
