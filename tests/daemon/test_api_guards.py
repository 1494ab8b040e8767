"""Which requests reach the API: hosts, pages of the web, forms, tokens."""

import logging
from dataclasses import replace

import pytest
from kit.daemon import form, free_port, running_daemon
from kit.pages import ADDRESS, PORT
from kit.pictures import png

from antifake.core import AntifakeError
from antifake.core.errors import ModelError, UnreadableImageError, UsageError
from antifake.daemon.config import ConfigError
from antifake.daemon.service.access import TooManyError
from antifake.daemon.store import NotThereError, StorageFullError, StoreBusyError, StoreError
from antifake.daemon.web import About, Server, create_app
from antifake.daemon.web.context import NAME
from antifake.daemon.web.guards import IN_PROCESS, requires
from antifake.daemon.worker.model_process import ModelDiedError
from antifake.daemon.worker.queue import QueueFullError

pytestmark = pytest.mark.attack

OURS = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
OTHER = "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba"
FIREFOX = "moz-extension://6a1c9f3e-0000-4000-8000-1234567890ab"


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def paired(daemon) -> str:
    """The token of our own extension."""
    return daemon.token("check", "read", "correct", origin=OURS)


def status(daemon, request: str, body: bytes = b"") -> int:
    """Returns the status of a raw request. PORT in it becomes the port."""
    text = request.replace("PORT", str(daemon.port)).replace("\n", "\r\n")
    found = daemon.raw(text.encode("latin-1") + b"\r\nConnection: close\r\n\r\n" + body)
    return int(found.split(b" ", 2)[1])


# --- Host -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil:PORT",
        "127.0.0.1.evil:PORT",
        "localhost.evil:PORT",
        "x@127.0.0.1:PORT",
        "0.0.0.0:PORT",
        "2130706433:PORT",
        "127.1:PORT",
        "0x7f.0.0.1:PORT",
        "127.0.0.1:1",
        "127.0.0.1",
        "localhost",
        ":PORT",
        "[::]:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "",
        "127.0.0.1:PORT/",
        "127.0.0.1:PORT, evil",
        "127.0.0.1:PORT.",
        "rebind.test:PORT",
        "127.0.0.1:\xb2\xb3",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/health", "/", "/nothing"])
def test_a_foreign_host_is_misdirected_whatever_it_asks_for(daemon, host, path):
    assert status(daemon, f"GET {path} HTTP/1.1\nHost: {host}") == 421


def test_a_request_without_a_host_is_misdirected(daemon):
    assert status(daemon, "GET /api/v1/health HTTP/1.1") == 421
    assert status(daemon, "GET /api/v1/health HTTP/1.0") == 421


@pytest.mark.parametrize("hosts", [("evil", "127.0.0.1:PORT"), ("127.0.0.1:PORT", "evil")])
def test_two_hosts_are_misdirected_in_either_order(daemon, hosts):
    first, second = hosts
    assert status(daemon, f"GET /api/v1/health HTTP/1.1\nHost: {first}\nHost: {second}") == 421


@pytest.mark.parametrize(
    "host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "[::1]:PORT"]
)
def test_our_own_hosts_are_accepted(daemon, host):
    assert status(daemon, f"GET /api/v1/health HTTP/1.1\nHost: {host}") == 200


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Host: evil",
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "Forwarded: for=1.2.3.4;host=evil;proto=https",
        "X-Real-IP: 1.2.3.4",
        "X-Original-URL: /x",
    ],
)
def test_headers_that_a_proxy_would_add_are_ignored(daemon, header):
    request = f"GET /api/v1/health HTTP/1.1\nHost: 127.0.0.1:PORT\n{header}"
    assert status(daemon, request) == 200


def test_a_full_address_in_the_request_line_names_the_same_host_as_the_header(daemon):
    line = "GET http://{}/api/v1/health HTTP/1.1\nHost: "
    ours, evil = line.format("127.0.0.1:PORT"), line.format("evil")
    assert status(daemon, f"{ours}127.0.0.1:PORT") == 200
    assert status(daemon, f"{evil}127.0.0.1:PORT") == 400
    assert status(daemon, f"{ours}evil") == 400
    assert status(daemon, f"{evil}evil") == 421


# --- Origin ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org",
        "null",
        OTHER,
        FIREFOX,
        "http://127.0.0.1:3000",
        "http://127.0.0.1:PORT.evil",
        "http://127.0.0.1:PORT",
        "",
        "file://",
        OURS.upper(),
        f"{OURS}/",
        f"{OURS}, {OURS}",
    ],
)
@pytest.mark.parametrize("path", ["/health", "/checks"])
def test_only_a_paired_browser_may_send_an_origin(daemon, paired, origin, path):
    origin = origin.replace("PORT", str(daemon.port))
    reply = daemon.get(path, token=paired, Origin=origin)
    assert (reply.status, reply.code) == (403, "wrong_origin")
    assert "Access-Control-Allow-Origin" not in reply.headers
    assert daemon.get("/checks", token=paired).status == 200


def test_only_the_paired_browser_can_read_the_answer(daemon, paired):
    reply = daemon.get("/checks", token=paired, Origin=OURS, Sec_Fetch_Site="cross-site")
    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Origin"] == OURS
    assert "Origin" in reply.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in reply.headers


def test_the_paired_browser_can_read_errors_too(daemon, paired):
    reply = daemon.get("/checks/nothing", token=paired, Origin=OURS)
    assert reply.status == 404
    assert reply.headers["Access-Control-Allow-Origin"] == OURS


def test_a_stolen_token_is_useless_to_another_paired_browser(daemon, paired):
    daemon.token("check", origin=FIREFOX)
    reply = daemon.get("/checks", token=paired, Origin=FIREFOX)
    assert (reply.status, reply.code) == (403, "wrong_origin")


@pytest.mark.parametrize("origin", ["https://example.org", "null", OURS, "http://localhost:PORT"])
@pytest.mark.usefixtures("paired")
def test_pages_accept_only_their_own_origin(daemon, origin):
    origin = origin.replace("PORT", str(daemon.port))
    assert daemon.get("///", token=None, Origin=origin).status == 403
    own = f"http://127.0.0.1:{daemon.port}"
    assert daemon.get("///", token=None, Origin=own).status == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
@pytest.mark.parametrize("path", ["/health", "/checks", "///", "/nothing"])
def test_requests_caused_by_another_page_are_refused_even_if_they_only_read(daemon, site, path):
    reply = daemon.get(path, Sec_Fetch_Site=site)
    assert reply.status == 403
    assert reply.code == "wrong_origin"
    assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_requests_of_the_user_or_an_extension_are_accepted(daemon, site):
    assert daemon.get("/health", Sec_Fetch_Site=site).status == 200


# --- Preflight ------------------------------------------------------------------------------


def preflight(daemon, path: str, origin: str, method: str = "POST"):
    return daemon.ask(
        "OPTIONS",
        path,
        token=None,
        Origin=origin,
        Sec_Fetch_Site="cross-site",
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers="authorization",
    )


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/checks", "GET, HEAD, POST"), ("/checks/x/label", "DELETE, PUT"), ("/labels:batch", "POST")],
)
@pytest.mark.usefixtures("paired")
def test_a_preflight_tells_the_paired_browser_exactly_what_it_may_send(daemon, path, methods):
    reply = preflight(daemon, path, OURS)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["Access-Control-Allow-Origin"] == OURS
    assert reply.headers["Access-Control-Allow-Methods"] == methods
    assert reply.headers["Access-Control-Allow-Headers"] == (
        "Authorization, Content-Type, Prefer, X-Pairing-Secret"
    )
    assert "Access-Control-Allow-Credentials" not in reply.headers
    assert "Access-Control-Allow-Private-Network" not in reply.headers


@pytest.mark.parametrize("origin", ["https://example.org", "null", OTHER, "http://127.0.0.1:PORT"])
def test_a_preflight_tells_other_origins_nothing(daemon, origin):
    reply = preflight(daemon, "/checks", origin.replace("PORT", str(daemon.port)))
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("Access-Control")]


def test_an_unpaired_extension_may_ask_to_be_paired(daemon):
    for path, method in [("/pairings", "POST"), ("/pairings/x", "GET"), ("/hello", "POST")]:
        reply = preflight(daemon, path, OTHER, method)
        assert reply.status == 204
        assert reply.headers["Access-Control-Allow-Origin"] == OTHER
    assert preflight(daemon, "/pairings", OTHER, "GET").status == 403
    assert preflight(daemon, "/pairings/x/accept", OTHER).status == 403
    assert preflight(daemon, "/pairings", "https://example.org").status == 403


def test_options_without_a_preflight_is_not_allowed(daemon):
    assert daemon.ask("OPTIONS", "/checks").status == 405
    assert daemon.ask("OPTIONS", "/nothing").status == 404


# --- Forms of other pages -------------------------------------------------------------------

FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize(
    "path", ["/checks", "/pairings", "/labels:batch", "/watches:pause", "/daemon:stop", "/hello"]
)
def test_a_body_that_a_form_could_send_is_refused_before_the_token_is_checked(daemon, kind, path):
    reply = daemon.ask("POST", path, b"x=1", token=None, Content_Type=kind)
    assert (reply.status, reply.code) == (415, "media_type")
    assert not daemon.stopped.is_set()


def test_a_form_with_a_picture_needs_a_header_that_forms_cannot_send(daemon):
    body, kind = form({"file": png(1)})
    assert daemon.ask("POST", "/checks", body, token=None, Content_Type=kind).status == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_compressed_body_is_never_unpacked(daemon, encoding):
    reply = daemon.post("/labels:undo", {}, Content_Encoding=encoding)
    assert (reply.status, reply.code) == (415, "media_type")


# --- Tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "SECRET", "Bearer\tSECRET", "Token SECRET", "Bearer  "],
)
def test_a_request_without_a_token_is_unauthorized(daemon, header):
    header = header.replace("SECRET", daemon.secret)
    reply = daemon.get("/checks", token=None, Authorization=header)
    assert (reply.status, reply.code) == (401, "unauthorized")
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="antifake"'


@pytest.mark.parametrize("secret", ["wrong", "\xfc\xdf\xff", "SECRETx", "x SECRET", "SECRET, x"])
def test_any_wrong_token_is_unauthorized(daemon, secret):
    secret = secret.replace("SECRET", daemon.secret)
    reply = daemon.get("/checks", token=secret)
    assert (reply.status, reply.code) == (401, "unauthorized")
    assert "invalid_token" in reply.headers["WWW-Authenticate"]
    assert daemon.secret.encode() not in reply.body


def test_two_tokens_count_as_none(daemon):
    header = f"Authorization: Bearer {daemon.secret}"
    request = f"GET /api/v1/checks HTTP/1.1\nHost: 127.0.0.1:PORT\n{header}"
    assert status(daemon, request) == 200
    assert status(daemon, f"{request}\n{header}") == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_may_be_written_in_any_case(daemon, scheme):
    reply = daemon.get("/checks", token=None, Authorization=f"{scheme} {daemon.secret}")
    assert reply.status == 200


def test_a_token_outside_its_header_is_ignored(daemon):
    secret = daemon.secret
    for name in ("token", "access_token", "authorization"):
        assert daemon.get(f"/checks?{name}={secret}", token=None).status == 401
        assert daemon.get("/checks", token=None, Cookie=f"{name}={secret}").status == 401
    cookie = f"antifake_session={secret}"
    assert daemon.get("/checks", token=None, Cookie=cookie).status == 401
    assert daemon.get("/checks", token=None, X_API_Key=secret).status == 401


def test_a_session_of_the_page_gives_no_access_to_the_api(daemon):
    session = daemon.access.login(daemon.access.mint_login())
    cookie = f"antifake_session={session}"
    assert daemon.get("/checks", token=None, Cookie=cookie).status == 401
    assert daemon.get("/checks", token=session).status == 401


def test_a_revoked_token_is_invalid_at_once(daemon):
    token, secret = daemon.access.issue("for a moment", ["read"])
    assert daemon.get("/checks", token=secret).status == 200
    assert daemon.ask("DELETE", f"/tokens/{token.id}").status == 204
    assert daemon.get("/checks", token=secret).status == 401


NEEDS = [
    ("POST", "/checks", {"check"}),
    ("GET", "/checks", {"read"}),
    ("GET", "/checks/x", {"check", "read"}),
    ("GET", "/checks/x/thumbnail", {"read"}),
    ("GET", "/checks/x/report", set()),
    ("PUT", "/checks/x/label", {"correct"}),
    ("DELETE", "/checks/x/label", {"correct"}),
    ("POST", "/labels:batch", {"correct"}),
    ("POST", "/labels:undo", {"correct"}),
    ("DELETE", "/checks/x", set()),
    ("POST", "/checks:forget", set()),
    ("GET", "/watches", {"read"}),
    ("POST", "/watches", set()),
    ("DELETE", "/watches", set()),
    ("POST", "/watches:existing", set()),
    ("POST", "/watches:pause", set()),
    ("POST", "/watches:rescan", set()),
    ("GET", "/settings", {"read"}),
    ("PATCH", "/settings", set()),
    ("POST", "/settings:reload", set()),
    ("GET", "/state", {"check", "read"}),
    ("POST", "/notices:dismiss", set()),
    ("GET", "/stats", {"read"}),
    ("GET", "/events", {"read"}),
    ("GET", "/tokens", set()),
    ("DELETE", "/tokens", set()),
    ("DELETE", "/tokens/1", set()),
    ("GET", "/tokens/self", {"check", "read", "correct", "open"}),
    ("DELETE", "/tokens/self", {"check", "read", "correct", "open"}),
    ("POST", "/logins", {"open"}),
    ("GET", "/pairings", set()),
    ("POST", "/pairings/x/accept", set()),
    ("POST", "/pairings/x/reject", set()),
    ("GET", "/history/export", set()),
    ("POST", "/history/import", set()),
    ("GET", "/history/evidence", set()),
    ("POST", "/history/evidence", set()),
    ("POST", "/daemon:stop", set()),
    ("GET", "/learning", {"read"}),
    ("GET", "/learning/trainings", {"read"}),
    ("POST", "/learning/trainings", set()),
    ("GET", "/learning/trainings/1", {"read"}),
    ("GET", "/learning/trainings/1/flips", {"read"}),
    ("GET", "/learning/trainings/1/contradictions", {"read"}),
    ("POST", "/learning/trainings/1/cancel", set()),
    ("POST", "/learning/trainings/1/promote", set()),
    ("GET", "/learning/versions", {"read"}),
    ("POST", "/learning/versions:use", set()),
    ("POST", "/learning/versions:rollback", set()),
    ("POST", "/learning/versions:pin", set()),
    ("GET", "/learning/versions:compare", {"read"}),
    ("GET", "/learning/review", {"read"}),
    ("POST", "/learning/review:skip", {"correct"}),
    ("GET", "/learning/crops", {"read"}),
    ("POST", "/learning/crops:delete", set()),
    ("GET", "/learning/pack", set()),
    ("POST", "/learning/pack:preview", set()),
    ("POST", "/learning/pack:import", set()),
]
"""The scopes besides admin that allow each operation."""


@pytest.fixture(scope="module")
def tokens(daemon) -> dict[str, str]:
    return {scope: daemon.token(scope) for scope in ("check", "read", "correct", "open")}


@pytest.mark.parametrize(("method", "path", "scopes"), NEEDS)
def test_a_token_allows_its_scopes_and_nothing_else(daemon, tokens, method, path, scopes):
    kinds = {"/checks": form({"file": b"x"})[1], "/history/import": "text/csv"}
    kinds |= dict.fromkeys(("/learning/pack:preview", "/learning/pack:import"), "application/zip")
    for scope, secret in tokens.items():
        if scope in scopes:
            continue
        kind = kinds.get(path, "application/json") if method == "POST" else "application/json"
        reply = daemon.ask(method, path, b"{}", token=secret, Content_Type=kind)
        assert (reply.status, reply.code) == (403, "scope")
    assert not daemon.stopped.is_set()


def test_every_operation_is_in_the_table(daemon):
    found = daemon.get("/openapi.json").json["paths"]
    open_to_all = {
        ("GET", "/health"),
        ("POST", "/hello"),
        ("POST", "/pairings"),
        ("GET", "/pairings/{name}"),
        ("DELETE", "/pairings/{name}"),
    }
    said = {
        (method, path.replace("/x", "/{name}").replace("/1", "/{name}"))
        for method, path, _ in NEEDS
    }
    there = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in found.items()
        for method in methods
    }
    assert there == said | open_to_all


def test_wrong_tokens_are_blocked_after_twenty_and_the_right_one_never(tiny_source, tmp_path):
    with running_daemon(tmp_path, tiny_source) as daemon:
        found = [daemon.get("/checks", token=f"guess {n}").status for n in range(25)]
        assert found == [401] * 20 + [429] * 5
        reply = daemon.get("/checks", token=f"guess {26}")
        assert reply.code == "too_many"
        assert int(reply.headers["Retry-After"]) > 0
        assert daemon.get("/checks").status == 200
        assert daemon.get("/checks", token=None).status == 401


def test_no_secret_is_ever_logged_or_repeated(tiny_source, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with running_daemon(tmp_path, tiny_source) as daemon:
        stolen = "thisIsASecretThatSomebodyGuessed"
        bodies = [
            daemon.get("/checks", token=stolen).body,
            daemon.get(f"/checks?token={stolen}").body,
            daemon.post("/hello", {"token_id": 1, "nonce": stolen, "x": stolen}).body,
            daemon.get(f"/pairings/{stolen}", X_Pairing_Secret=stolen).body,
            daemon.check(png(5), page=f"https://example.org/{stolen}").body,
            daemon.raw(f"GET /{stolen}\x01 HTTP/9.9\r\n{stolen}\r\n\r\n".encode()),
        ]
        asked = daemon.post("/pairings", {"name": "x", "scopes": ["read"]}, token=None).json
        daemon.post(f"/pairings/{asked['id']}/accept")
        given = daemon.get(f"/pairings/{asked['id']}", X_Pairing_Secret=asked["secret"]).json
        url = daemon.post("/logins").json["url"]
        for page in ("open", "enter"):
            daemon.get(f"//{page}?{url.partition('?')[2]}", token=None)
        secrets = [
            daemon.secret,
            stolen,
            asked["secret"],
            given["token"],
            url.partition("code=")[2],
        ]
        log = caplog.text + "".join(path.read_text() for path in daemon.places.logs.iterdir())
    assert not [body for body in bodies if stolen.encode() in body]
    assert not [secret for secret in secrets if secret in log]


# --- Answers --------------------------------------------------------------------------------

SEAL = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/health", 200),
        ("GET", "/checks", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/health", 405),
        ("TRACE", "/checks", 405),
        ("POST", "/checks", 415),
        ("GET", "/checks?limit=x", 422),
        ("GET", "///", 401),
        ("GET", "///nothing", 404),
        ("GET", "/history/export", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "///api/docs", 200),
        ("HEAD", "/checks", 200),
    ],
)
def test_every_answer_has_the_security_headers(daemon, method, path, expected):
    reply = daemon.ask(method, path, b"x" if method == "POST" else None)
    assert reply.status == expected
    assert {name: reply.headers[name] for name in SEAL} == SEAL
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "Server" not in reply.headers
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_the_documentation_loads_nothing_from_anywhere(daemon):
    reply = daemon.get("///api/docs", token=None)
    assert reply.status == 200
    assert b"http" not in reply.body
    assert b"<script" not in reply.body
    assert daemon.get("/openapi.json", token=None).json["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/checks/..%2f..%2fetc%2fpasswd",
        "/checks/%00",
        "/checks/x%0d%0aSet-Cookie:a=b",
        "/checks/..%5c..%5cwin.ini",
        "/checks//etc/passwd",
        "/checks/file:%2f%2f%2fetc%2fpasswd",
        "/checks/C:%5cx",
        "/checks/",
        "/CHECKS",
        "/checks/%ff%fe",
        "/checks/%f0%9f%98%80",
        "/tokens/-1",
        "/tokens/99999999999999999999999",
        "/tokens/1e3",
        "/tokens/%d9%a3",
        "/checks/0000000000000000000000000000000",
        "/checks/zzzzzzzzzzzzz",
        "/checks/..",
    ],
)
def test_an_unknown_address_is_not_found(daemon, path):
    reply = daemon.ask("DELETE" if path.startswith("/tokens") else "GET", path)
    assert (reply.status, reply.code) == (404, "not_found")
    assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize(
    "path", ["///app.py", "///checks", "///web/app.py", "///static/app.py", "///..%2fapp.py"]
)
def test_no_file_of_the_program_is_served(daemon, path):
    assert daemon.get(path).status == 404


@pytest.mark.parametrize("method", ["TRACE", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND"])
def test_unknown_methods_are_refused(daemon, method):
    reply = daemon.ask(method, "/checks", token=None)
    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert "POST" in reply.headers["Allow"]


def test_an_internal_error_does_not_reveal_its_place(daemon, caplog):
    def broken() -> str:
        raise ZeroDivisionError("a secret of the program")

    app = create_app(daemon.service, daemon.access, About("0", lambda: None))
    app.add_url_rule("/api/v1/broken", view_func=requires()(broken))
    with Server(app, free_port()) as server:
        reply = replace(daemon, port=server.port).get("/broken", token=None)
    assert (reply.status, reply.code) == (500, "internal_error")
    assert b"secret" not in reply.body
    assert b"Traceback" not in reply.body
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "ZeroDivisionError" in caplog.text


def test_a_view_without_a_requirement_is_for_admin_only(daemon):
    app = create_app(daemon.service, daemon.access, About("0", lambda: None))
    app.add_url_rule("/api/v1/new", view_func=lambda: "seen")
    with Server(app, free_port()) as server:
        there = replace(daemon, port=server.port)
        assert there.get("/new", token=None).status == 401
        assert there.get("/new", token=daemon.token("check", "read", "correct")).status == 403
        assert there.get("/new").status == 200


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (StorageFullError("The disk is full."), 507, "storage_full", None),
        (StoreBusyError("The log is held."), 503, "store", "10"),
        (StoreError("The log cannot be used."), 503, "store", "10"),
        (QueueFullError(64), 503, "queue_full", "2"),
        (ModelError("There is no model."), 503, "no_model", "10"),
        (ModelDiedError("It has ended."), 503, "model_died", "10"),
        (NotThereError("There is none."), 404, "not_found", None),
        (ConfigError("That cannot be."), 422, "bad_setting", None),
        (UsageError("Not like that."), 400, "bad_request", None),
        (UnreadableImageError("It is blank.", "blank"), 422, "blank", None),
        (TooManyError("Too often.", 30), 429, "too_many", "30"),
        (AntifakeError("No."), 409, "refused", None),
    ],
)
def test_every_error_is_the_same_for_a_program_a_script_and_a_person(
    daemon, error, status, code, retry
):
    def fail() -> str:
        raise error

    app = create_app(daemon.service, daemon.access, About("0", lambda: None))
    for path in ("/api/v1/fail", "/fail"):
        app.add_url_rule(path, path, requires()(fail))
    browser = app.test_client()
    app.extensions[NAME].port = PORT
    program = browser.get("/api/v1/fail", base_url=ADDRESS)
    script = browser.get("/fail", base_url=ADDRESS, headers={"X-Requested-By": "antifake"})
    person = browser.get("/fail", base_url=ADDRESS)
    assert [one.status_code for one in (program, script, person)] == [status] * 3
    assert [one.headers.get("Retry-After") for one in (program, script, person)] == [retry] * 3
    assert [one.mimetype for one in (program, script, person)] == [
        "application/problem+json",
        "application/json",
        "text/html",
    ]
    assert (program.json["detail"], program.json["code"]) == (str(error), code)
    assert (script.json["error"], script.json["code"]) == (str(error), code)
    assert str(error) in person.text


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/broken", 500)])
def test_an_http_error_is_a_page_for_a_person(daemon, path, status):
    def broken() -> str:
        raise ZeroDivisionError

    app = create_app(daemon.service, daemon.access, About("0", lambda: None))
    app.add_url_rule("/broken", view_func=requires()(broken))
    app.extensions[NAME].port = PORT
    browser = app.test_client()
    bare = browser.get(path, base_url=ADDRESS)
    assert (bare.status_code, bare.mimetype) == (status, "text/html")
    assert "nav" not in bare.text
    assert bare.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src")
    script = browser.get(path, base_url=ADDRESS, headers={"X-Requested-By": "antifake"})
    assert (script.status_code, script.json["error"][-1]) == (status, ".")
    browser.get(f"/enter?code={daemon.access.mint_login()}", base_url=ADDRESS)
    known = browser.get(path, base_url=ADDRESS)
    assert known.status_code == status
    assert ("<nav" in known.text) == (status == 404)


# --- Calls from this process ------------------------------------------------------------------


def test_a_call_from_this_process_needs_no_token_host_or_port(daemon):
    app = create_app(daemon.service, daemon.access, About("0", lambda: None))
    ourselves = {"environ_overrides": {IN_PROCESS: True}, "base_url": "http://nowhere"}
    program = app.test_client()
    assert program.get("/api/v1/tokens").status_code == 421
    assert program.get("/api/v1/tokens", **ourselves).status_code == 200
    body, kind = form({"file": png(1), "path": "/home/x/a.png"})
    sent = {"data": body, "content_type": kind, "headers": {"Prefer": "wait=20"}} | ourselves
    assert program.post("/api/v1/checks", **sent).json["path"] == "/home/x/a.png"
    assert program.get("/api/v1/nothing", **ourselves).status_code == 404
    assert program.post("/api/v1/labels:undo", data=b"{", **ourselves).status_code == 422


@pytest.mark.parametrize(
    "header",
    [
        f"{IN_PROCESS}: True",
        "antifake-in-process: True",
        "Antifake_In_Process: True",
        f"X: 1\nHTTP_{IN_PROCESS}: 1",
        "wsgi.antifake.in_process: 1",
    ],
)
def test_no_request_can_pass_for_a_call_from_this_process(daemon, header):
    request = f"GET /api/v1/tokens HTTP/1.1\nHost: 127.0.0.1:PORT\n{header}"
    assert status(daemon, request) == 401
    request = f"GET /api/v1/tokens?{IN_PROCESS}=True HTTP/1.1\nHost: evil\n{header}"
    assert status(daemon, request) == 421


@pytest.mark.parametrize("value", ["True", "1", 1, b"True"])
def test_only_the_value_true_marks_a_call_from_this_process(daemon, value):
    app = create_app(daemon.service, daemon.access, About("0", lambda: None))
    reply = app.test_client().get("/api/v1/tokens", environ_overrides={IN_PROCESS: value})
    assert reply.status_code == 421


def test_a_page_accepts_no_more_than_its_scripts_send(daemon):
    own = daemon.page("guess", Content_Type="application/json")
    place = "///changes/notices"
    deep = b"[" * 200_000
    assert daemon.ask("POST", place, deep, **own).status == 401
    session = daemon.access.login(daemon.access.mint_login())
    inside = daemon.page(session, Content_Type="application/json")
    assert daemon.ask("POST", place, deep, **inside).status == 400
    large = bytes(2_000_000)
    assert daemon.ask("POST", place, large, **own).status == 413
    assert daemon.ask("POST", place, b"{}", **own).status == 401
