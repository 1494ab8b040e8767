"""Pairing of an extension: it asks, the user confirms a code, and it gets its own token."""

import hashlib
import hmac

import pytest
from kit.daemon import running_daemon
from kit.pictures import png
from kit.waiting import eventually

ORIGIN = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
OTHER = "moz-extension://6a1c9f3e-0000-4000-8000-1234567890ab"
WISH = {"name": "antifake in Chromium", "scopes": ["check", "read", "correct"]}


@pytest.fixture
def daemon(tiny_source, tmp_path):
    with running_daemon(tmp_path, tiny_source) as daemon:
        yield daemon


def ask(daemon, wish=WISH, origin: str | None = ORIGIN):
    about = {"Origin": origin, "Sec_Fetch_Site": "none"} if origin else {}
    return daemon.post("/pairings", wish, token=None, **about)


def poll(daemon, asked, origin: str | None = ORIGIN):
    about = {"Origin": origin} if origin else {}
    return daemon.get(
        f"/pairings/{asked['id']}", token=None, X_Pairing_Secret=asked["secret"], **about
    )


def test_an_extension_pairs_checks_a_picture_and_is_revoked(daemon):
    reply = ask(daemon)
    asked = reply.json
    assert reply.status == 201
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert poll(daemon, asked).json == {"state": "waiting"}
    # Chromium sends no Origin with a GET of an extension.
    assert poll(daemon, asked, origin=None).json == {"state": "waiting"}

    (shown,) = daemon.get("/pairings").json["pairings"]
    assert (shown["code"], shown["origin"]) == (asked["code"], ORIGIN)
    assert shown["scopes"] == sorted(WISH["scopes"])
    assert "secret" not in shown
    assert daemon.post(f"/pairings/{asked['id']}/accept").status == 204

    given = poll(daemon, asked).json
    secret = given["token"]
    assert given["state"] == "accepted"
    assert poll(daemon, asked).json == {"state": "accepted"}

    nonce = "0123456789abcdef"
    proof = daemon.post(
        "/hello", {"token_id": given["token_id"], "nonce": nonce}, token=None, Origin=ORIGIN
    )
    key = hashlib.sha256(secret.encode()).hexdigest().encode()
    assert (
        proof.json["proof"]
        == hmac.new(key, f"{nonce}:{daemon.port}".encode(), "sha256").hexdigest()
    )

    assert daemon.check(png(1), token=secret).status == 201
    assert daemon.get("/checks", token=secret, Origin=ORIGIN).status == 200
    assert daemon.get("/settings", token=secret, Origin=ORIGIN).status == 200
    assert daemon.get("/tokens", token=secret, Origin=ORIGIN).status == 403

    (token,) = [one for one in daemon.get("/tokens").json["tokens"] if one["origin"]]
    assert token["last_used"] is not None
    assert secret not in str(token)
    assert daemon.ask("DELETE", f"/tokens/{token['id']}").status == 204
    assert daemon.get("/checks", token=secret).status == 401
    refused = daemon.get("/checks", token=secret, Origin=ORIGIN)
    assert refused.status == 403
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_program_sees_its_own_token_and_gives_it_back(daemon):
    for scope in ("check", "correct", "read", "open"):
        secret = daemon.token(scope, origin=ORIGIN)
        mine = daemon.get("/tokens/self", token=secret, Origin=ORIGIN).json
        assert (mine["name"], mine["scopes"], mine["origin"]) == ("test", [scope], ORIGIN)
        assert mine["last_used"] is not None
        assert mine in daemon.get("/tokens").json["tokens"]
        assert daemon.ask("DELETE", "/tokens/self", token=secret, Origin=ORIGIN).status == 204
        assert daemon.get("/tokens/self", token=secret).status == 401
        assert daemon.ask("DELETE", "/tokens/self", token=secret).status == 401
    assert daemon.get("/tokens/self").json["name"] == "this computer"
    assert daemon.get("/tokens/self", token=None).status == 401


def test_a_program_that_may_check_sees_the_state_without_the_notices(daemon):
    daemon.wait_for_model()  # its phase must not change between the two requests
    daemon.service.notice("The disk was full on Monday.")
    told = {
        scope: daemon.get("/state", token=daemon.token(scope)).json for scope in ("check", "read")
    }
    assert told["check"]["notices"] == []
    assert told["read"]["notices"] == ["The disk was full on Monday."]
    assert told["check"] | {"notices": [], "last_event": 0} == told["read"] | {
        "notices": [],
        "last_event": 0,
    }
    assert daemon.get("/state", token=daemon.token("correct")).status == 403


def test_a_browser_may_be_allowed_to_open_the_history_and_nothing_more(daemon):
    asked = ask(daemon, {"name": "antifake in Chromium", "scopes": ["check", "open"]}).json
    daemon.post(f"/pairings/{asked['id']}/accept")
    secret = poll(daemon, asked).json["token"]
    login = daemon.post("/logins", {"next": "/review"}, token=secret, Origin=ORIGIN)
    assert login.status == 200
    assert login.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert login.json["url"].startswith(f"http://127.0.0.1:{daemon.port}/open?code=")
    entered = daemon.get(f"//enter?{login.json['url'].partition('?')[2]}", token=None)
    assert entered.status == 303
    assert entered.headers["Location"].startswith("/review#key=")
    for path in ("/checks", "/pairings", "/tokens", "/settings"):
        assert daemon.get(path, token=secret).status == 403
    for scope in ("check", "read", "correct"):
        assert daemon.post("/logins", {}, token=daemon.token(scope)).status == 403


def test_a_rejected_program_gets_no_token(daemon):
    asked = ask(daemon).json
    assert daemon.post(f"/pairings/{asked['id']}/reject").status == 204
    assert poll(daemon, asked).json == {"state": "rejected"}
    assert daemon.post(f"/pairings/{asked['id']}/accept").status == 404


def test_the_program_that_asked_can_withdraw(daemon):
    asked = ask(daemon).json
    wrong = daemon.ask("DELETE", f"/pairings/{asked['id']}", token=None, X_Pairing_Secret="x")  # noqa: S106
    assert wrong.status == 404
    secret = asked["secret"]
    given_up = daemon.ask("DELETE", f"/pairings/{asked['id']}", token=None, X_Pairing_Secret=secret)
    assert given_up.status == 204
    assert daemon.get("/pairings").json == {"pairings": []}
    assert poll(daemon, asked).status == 404


def test_pairings_are_limited_to_one_at_a_time_and_five_a_minute(daemon):
    first = ask(daemon).json
    second = ask(daemon, origin=OTHER)
    assert (second.status, second.code) == (429, "too_many")
    assert int(second.headers["Retry-After"]) > 0
    daemon.post(f"/pairings/{first['id']}/reject")
    for _ in range(4):
        daemon.post(f"/pairings/{ask(daemon).json['id']}/reject")
    assert ask(daemon).status == 429


@pytest.mark.attack
@pytest.mark.parametrize(
    "origin", ["https://example.org", "null", "http://127.0.0.1:3000", "file://", "ftp://x"]
)
def test_a_page_of_the_web_cannot_ask_to_pair(daemon, origin):
    reply = ask(daemon, origin=origin)
    assert (reply.status, reply.code) == (403, "wrong_origin")
    assert daemon.get("/pairings").json == {"pairings": []}


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"name": "x"},
        {"name": "", "scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "x" * 81, "scopes": ["read"]},
        {"name": "a\nb", "scopes": ["read"]},
        {"name": "x", "scopes": ["admin"]},
        {"name": "x", "scopes": ["read"], "origin": "https://example.org"},
        {"name": "\u202efdp", "scopes": ["read"]},
        {"name": " ", "scopes": ["read"]},
    ],
)
def test_an_invalid_pairing_request_is_refused(daemon, wish):
    assert ask(daemon, wish).status in (400, 422)
    assert daemon.get("/pairings").json == {"pairings": []}


@pytest.mark.attack
def test_no_other_program_can_fetch_the_token(daemon):
    asked = ask(daemon).json
    daemon.post(f"/pairings/{asked['id']}/accept")
    assert poll(daemon, asked | {"secret": "guessed"}).status == 404
    assert daemon.get(f"/pairings/{asked['id']}", token=None).status == 422
    assert daemon.get(f"/pairings/{asked['id']}?secret={asked['secret']}", token=None).status == 422
    assert "token" in poll(daemon, asked).json


def test_a_token_of_another_browser_gives_no_access_to_a_pairing(daemon):
    asked = ask(daemon).json
    secret = daemon.token("check", "read", "correct", origin=OTHER)
    assert daemon.post(f"/pairings/{asked['id']}/accept", token=secret).status == 403
    assert daemon.get("/pairings", token=secret).status == 403


def test_a_stranger_cannot_tell_whether_a_token_exists(daemon):
    found = [
        daemon.post("/hello", {"token_id": number, "nonce": "abcdefgh"}, token=None)
        for number in (1, 2, 10**18)
    ]
    assert {reply.status for reply in found} == {200}
    assert {len(reply.json["proof"]) for reply in found} == {64}
    for body in ({"token_id": -1}, {"token_id": "1"}, {"nonce": "short", "token_id": 1}, {}):
        assert daemon.post("/hello", {"nonce": "abcdefgh"} | body, token=None).status == 422


def test_the_link_to_the_page_works_once(daemon):
    url = daemon.post("/logins").json["url"]
    first = "/" + url.removeprefix(f"http://127.0.0.1:{daemon.port}")
    for _ in range(2):
        found = daemon.get(first, token=None)
        assert found.status == 200
        assert "Set-Cookie" not in found.headers
    place = first.replace("/open?", "/enter?")
    opened = daemon.get(place, token=None)
    assert opened.status == 303
    assert "HttpOnly" in opened.headers["Set-Cookie"]
    assert daemon.get(place, token=None).status == 403
    assert daemon.get(first, token=None, Sec_Fetch_Site="cross-site").status == 403


def test_the_link_may_lead_to_one_of_our_pages_only(daemon):
    assert daemon.post("/logins", {"next": "/review"}).json["url"].endswith("&next=%2Freview")
    for page in ("//evil.example", "https://evil.example", "/x?y", "/\\evil", "evil", 1, "/a\nb"):
        assert daemon.post("/logins", {"next": page}).status == 422


def test_the_tray_hears_of_a_pairing_request(daemon):
    last = daemon.get("/state").json["last_event"]
    ask(daemon)

    def heard():
        found = daemon.get(f"/events?after={last}&wait=5", Accept="application/json").json
        return "pairing" in [event["kind"] for event in found["events"]]

    eventually(heard)
