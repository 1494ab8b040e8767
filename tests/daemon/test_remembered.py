"""Browsers that are remembered: what a cookie is worth with its key, without it, and elsewhere."""

import hmac
import http.client
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from kit.clock import Clock
from kit.daemon import Asked, running_daemon
from kit.pace import within
from kit.waiting import eventually

from antifake.core.errors import UsageError
from antifake.daemon.service import Events
from antifake.daemon.service.access import THIS_COMPUTER, Access
from antifake.daemon.store import open_store
from antifake.daemon.store.tokens import PAGES
from antifake.daemon.web.guards import BROWSER_COOKIE, COOKIE

pytestmark = pytest.mark.attack

ADDRESS = "http://antifake.localhost:8765"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/156 Safari/537 Edg/156"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with open_store(tmp_path / "history.db", clock()) as store:
        yield store


@pytest.fixture
def access(store, clock):
    return Access(store, Events(), clock, clock.elapsed)


def signed(key: str, challenge: str, address: str = ADDRESS) -> str:
    return hmac.digest(bytes.fromhex(key), f"{challenge}:{address}".encode(), "sha256").hex()


def comes_back(access: Access, made, address: str = ADDRESS) -> bool:
    challenge = access.browsers.challenge(made.secret, address)
    if challenge is None:
        return False
    answer = signed(made.key, challenge, address)
    return access.browsers.answered(made.secret, address, challenge, answer) is not None


# --- The cookie and the key -----------------------------------------------------------------


def test_a_browser_comes_back_with_cookie_and_key(access):
    made = access.browsers.remember("Firefox on Linux", ADDRESS)
    assert comes_back(access, made)
    (token,) = access.tokens()
    assert (token.name, token.scopes, token.origin) == ("Firefox on Linux", {PAGES}, ADDRESS)
    assert token.last_used is not None


def test_a_stolen_cookie_opens_nothing_without_the_key(access):
    made, other = (access.browsers.remember(name, ADDRESS) for name in ("mine", "a thief's"))
    for key in (other.key, "00" * 32, made.secret.encode().hex()):
        challenge = access.browsers.challenge(made.secret, ADDRESS)
        answer = signed(key, challenge)
        assert access.browsers.answered(made.secret, ADDRESS, challenge, answer) is None
    challenge = access.browsers.challenge(made.secret, ADDRESS)
    for answer in ("", "\udce9", challenge):
        assert access.browsers.answered(made.secret, ADDRESS, challenge, answer) is None


def test_an_answer_counts_once_for_a_minute_and_for_its_browser_only(access, clock):
    made, other = (access.browsers.remember(name, ADDRESS) for name in ("one", "two"))
    challenge = access.browsers.challenge(made.secret, ADDRESS)
    answer = signed(made.key, challenge)
    assert access.browsers.answered(made.secret, ADDRESS, challenge, answer)
    assert access.browsers.answered(made.secret, ADDRESS, challenge, answer) is None
    theirs = access.browsers.challenge(other.secret, ADDRESS)
    answer = signed(made.key, theirs)
    assert access.browsers.answered(made.secret, ADDRESS, theirs, answer) is None
    late = access.browsers.challenge(made.secret, ADDRESS)
    clock.set(timedelta(days=-1))
    clock.go(seconds=60)
    assert access.browsers.answered(made.secret, ADDRESS, late, signed(made.key, late)) is None


@pytest.mark.parametrize("address", ["http://antifake.localhost:8766", "http://127.0.0.1:8765", ""])
def test_a_browser_is_known_only_where_it_was_remembered(access, address):
    """Another program may have our port, and pass on what a browser sends it."""
    made = access.browsers.remember("mine", ADDRESS)
    assert not comes_back(access, made, address)
    challenge = access.browsers.challenge(made.secret, ADDRESS)
    answer = signed(made.key, challenge, address)
    assert access.browsers.answered(made.secret, ADDRESS, challenge, answer) is None


def test_it_is_forgotten_90_days_after_its_last_use(access, clock):
    made = access.browsers.remember("mine", ADDRESS)
    clock.now += timedelta(days=89)
    assert comes_back(access, made)
    clock.now += timedelta(days=89)
    assert comes_back(access, made)
    clock.now += timedelta(days=90)
    assert not comes_back(access, made)
    assert access.tokens()[0].expires == clock.now


@pytest.mark.attack
def test_keys_last_from_run_to_run_as_long_as_their_secret(store, clock, tmp_path):
    def started(name: str = "browsers.key") -> Access:
        access = Access(store, Events(), clock)
        access.local_secret(tmp_path / "local.token")
        access.browsers.load_key(tmp_path / name)
        return access

    made = started().browsers.remember("mine", ADDRESS)
    assert comes_back(started(), made)
    assert not comes_back(started("another.key"), made)
    path = tmp_path / "browsers.key"
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600
    if os.name != "nt":
        path.chmod(0o644)  # others could have read it
        assert not comes_back(started(), made)
        assert path.stat().st_mode & 0o777 == 0o600
    for content in (b"", b"\xff\xfe"):
        path.write_bytes(content)
        assert not comes_back(started(), made)


def test_the_database_does_not_hold_what_a_browser_has(access, tmp_path):
    made = access.browsers.remember("mine", ADDRESS)
    kept = b"".join(one.read_bytes() for one in tmp_path.glob("history.db*"))
    assert b"mine" in kept
    assert made.secret.encode() not in kept
    assert made.key.encode() not in kept
    assert bytes.fromhex(made.key) not in kept


def test_its_cookie_is_no_token_and_its_address_no_origin_of_the_api(access):
    made = access.browsers.remember("mine", ADDRESS)
    assert access.authenticate(made.secret) is None
    assert access.origins() == frozenset()
    for wanted in ([PAGES], ["check", PAGES]):
        with pytest.raises(UsageError):
            access.ask("a program", None, wanted)


def test_a_session_of_a_browser_ends_when_that_is_revoked(access):
    made = access.browsers.remember("mine", ADDRESS)
    own, tied = access.begin_session(made.token.id), access.login(access.mint_login())
    access.tie(tied, made.token.id)
    other = access.login(access.mint_login())
    assert [access.is_session(one) for one in (own, tied, other)] == [True] * 3
    access.revoke(made.token.id)
    assert [access.is_session(one) for one in (own, tied, other)] == [False, False, True]
    assert not comes_back(access, made)


def test_revoking_all_leaves_only_the_programs_of_this_computer(access, tmp_path):
    secret = access.local_secret(tmp_path / "local.token")
    made = access.browsers.remember("mine", ADDRESS)
    token = access.issue("extension", ["check"])[1]
    code, session = access.mint_login(), access.login(access.mint_login())
    access.revoke_all()
    assert not comes_back(access, made)
    assert access.authenticate(token) is None
    assert access.login(code) is None
    assert not access.is_session(session)
    assert access.authenticate(secret).name == THIS_COMPUTER


# --- Over HTTP ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        yield daemon


class Visitor:
    """A browser under the pages' own name, as far as its headers tell."""

    def __init__(self, daemon: Asked, agent: str = FIREFOX) -> None:
        self.daemon, self.agent = daemon, agent
        self.own = f"antifake.localhost:{daemon.port}"
        self.cookies: dict[str, str] = {}
        self.key = ""

    def headers(self, **more: str) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {"Host": self.own, "Cookie": cookies, "User_Agent": self.agent}
        return given | more

    def get(self, path: str, **more: str):
        return self.daemon.get(f"/{path}", token=None, **self.headers(**more))

    def post(self, path: str, body=None, **more: str):
        sent = {
            "Origin": f"http://{self.own}",
            "X_Requested_By": "antifake",
            "X_Page_Key": self.daemon.access.page_key(self.cookies.get(COOKIE, "")),
        } | more
        reply = self.daemon.post(f"/{path}", body or {}, token=None, **self.headers(**sent))
        for line in reply.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def say_yes(self, path: str, body=None):
        """Posts a change before which antifake asks again, and says yes."""
        asked = self.post(path, body)
        assert (asked.status, asked.json["code"]) == (409, "confirm"), asked.body
        return self.post(path, body, X_Confirmation=asked.json["confirmation"])

    def enter(self) -> None:
        access = self.daemon.access
        self.cookies[COOKIE] = access.login(access.mint_login())

    def remembered(self) -> "Visitor":
        self.enter()
        self.key = self.say_yes("/changes/remember").json["key"]
        return self

    def come_back(self, **more: str):
        """Without a session. Returns the last answer."""
        self.cookies.pop(COOKIE, None)
        asked = self.post("/back/challenge", **more)
        if asked.status != 200:
            return asked
        challenge = asked.json["challenge"]
        answer = signed(self.key, challenge, f"http://{self.own}")
        return self.post("/back", {"challenge": challenge, "answer": answer}, **more)


def test_a_browser_is_remembered_listed_and_let_in_again(daemon):
    visitor = Visitor(daemon, EDGE)
    visitor.enter()
    reply = visitor.say_yes("/changes/remember")
    about = set(reply.headers["Set-Cookie"].split("; ")[1:])
    assert {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={90 * 86400}"} <= about
    assert not any(one.startswith("Domain") for one in about)
    visitor.key = reply.json["key"]
    told = next(x for x in daemon.get("/tokens").json["tokens"] if x["id"] == reply.json["id"])
    assert (told["name"], told["scopes"]) == ("Edge on Windows", ["pages"])
    assert told["expires"]
    assert "a browser that is remembered: <b>this one</b>" in visitor.get("/browsers").body.decode()
    visitor.cookies.pop(COOKIE)
    away = visitor.get("/review")
    assert away.status == 401
    assert b"back.js" in away.body
    again = visitor.come_back()
    assert again.status == 200
    assert any(BROWSER_COOKIE in line for line in again.headers.get_all("Set-Cookie"))
    assert visitor.get("/review").status == 200


def test_only_who_has_a_session_can_be_remembered(daemon):
    stranger = Visitor(daemon)
    assert stranger.post("/changes/remember").status == 401
    refused = stranger.come_back()
    assert (refused.status, refused.json["code"]) == (401, "not_remembered")
    away = stranger.get("/review")
    assert away.status == 401
    assert b"back.js" not in away.body


def test_a_stolen_cookie_alone_opens_no_page_and_no_api(daemon):
    owner, thief = Visitor(daemon).remembered(), Visitor(daemon)
    stolen = owner.cookies[BROWSER_COOKIE]
    thief.cookies = {BROWSER_COOKIE: stolen}
    for path in ("/", "/review", "/live", "/news", "/picture/0000000000000"):
        assert thief.get(path).status == 401
    assert thief.post("/changes/notices").status == 401
    thief.key = "00" * 32
    assert thief.come_back().status == 401
    thief.cookies = {COOKIE: stolen}
    assert thief.get("/").status == 401
    assert daemon.get("/tokens", token=stolen).status == 401
    assert daemon.get("/tokens/self", token=stolen).status == 401
    assert owner.come_back().status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:PORT", "Origin": "http://127.0.0.1:PORT"}, 401),
        ({"Host": "localhost:PORT", "Origin": "http://localhost:PORT"}, 401),
        ({"Host": "evil.localhost:PORT"}, 421),
        ({"Host": "rebind.example:PORT", "Origin": "http://rebind.example:PORT"}, 421),
        ({"Origin": "http://antifake.localhost:1"}, 403),
        ({"Origin": "http://127.0.0.1:PORT"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"X_Requested_By": ""}, 403),
    ],
)
def test_cookie_and_key_count_under_our_name_and_from_our_page_only(daemon, headers, status):
    visitor = Visitor(daemon).remembered()
    sent = {name: value.replace("PORT", str(daemon.port)) for name, value in headers.items()}
    assert visitor.come_back(**sent).status == status
    assert visitor.come_back().status == 200


def test_under_127_0_0_1_nobody_is_remembered(daemon):
    """Cookies ignore ports: there, one would be sent to every program of this computer."""
    visitor = Visitor(daemon)
    visitor.own = f"127.0.0.1:{daemon.port}"
    visitor.enter()
    refused = visitor.post("/changes/remember")
    assert (refused.status, refused.json["code"]) == (409, "no_name")
    assert BROWSER_COOKIE not in visitor.cookies
    page = visitor.get("/browsers").body.decode()
    assert "data-remember" not in page
    assert "only there can it be remembered safely" in page


def test_remembering_again_replaces_the_former(daemon):
    visitor = Visitor(daemon).remembered()
    former = visitor.cookies[BROWSER_COOKIE]
    key = visitor.key
    visitor.key = visitor.say_yes("/changes/remember").json["key"]
    assert visitor.get("/").status == 200
    assert visitor.come_back().status == 200
    visitor.cookies[BROWSER_COOKIE], visitor.key = former, key
    assert visitor.come_back().status == 401


@pytest.mark.parametrize("way", ["page", "api", "all", "leave"])
def test_a_revoked_browser_is_out_at_once_with_its_open_stream(daemon, way):
    visitor, other = Visitor(daemon).remembered(), Visitor(daemon).remembered()
    (mine, _) = sorted(
        one["id"] for one in daemon.get("/tokens").json["tokens"] if one["revoked"] is None
    )[-2:]
    with visitor_stream(visitor) as stream:
        assert b"antifake" in stream.readline()
        if way == "page":
            assert other.say_yes("/changes/revoke", {"id": mine}).status == 200
        elif way == "api":
            assert daemon.ask("DELETE", f"/tokens/{mine}").status == 204
        elif way == "all":
            assert daemon.ask("DELETE", "/tokens").status == 204
        else:
            assert visitor.post("/changes/leave").status == 204
        eventually(lambda: stream.read(1 << 16) == b"")
    assert visitor.get("/").status == 401
    assert visitor.come_back().status == 401
    assert (other.come_back().status == 200) == (way != "all")
    assert daemon.get("/state").status == 200


@contextmanager
def visitor_stream(visitor: Visitor) -> Iterator[http.client.HTTPResponse]:
    here = "127.0.0.1", visitor.daemon.port
    sent = {name.replace("_", "-"): value for name, value in visitor.headers().items()}
    with closing(http.client.HTTPConnection(*here, timeout=within(20))) as connection:
        connection.request("GET", "/live", headers=sent)
        yield connection.getresponse()
