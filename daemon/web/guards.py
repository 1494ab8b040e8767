"""Decides who may call a view. Every request passes these checks, in this order, before its view.

Host: is the request meant for us, or for a name that points here by DNS rebinding?
Origin, Sec-Fetch-Site: does a page of the web send it without the user's knowledge?
Type, length: could a form have sent it, or is it larger than what is accepted?
Identity: the API takes a token in a header; the page takes the cookie of a session, or to begin
one that of a remembered browser. For changes it also takes a header that no form can send, and the
key of the session.
JSON: is the body well-formed?

Answers to pages of the web have no CORS headers, so these pages cannot read them.

Code of this process may call the app as WSGI, without a socket: see IN_PROCESS.
"""

import hmac
import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeVar, cast

from flask import Flask, Request, Response, current_app, g, request
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound

from antifake.core.i18n import _, ngettext
from antifake.core.images import MAX_BYTES
from antifake.daemon.store.tokens import Token

from .context import OWN_NAME, access, context, own_address
from .errors import API, PAGE_KEY_HEADER, SCRIPT_HEADER, Problem

JSON = "application/json"
MULTIPART = "multipart/form-data"
EXTENSION = re.compile(r"(?:chrome|moz)-extension://[a-z0-9-]{1,64}")
"""What a browser sends as the origin of an extension. It is shown to the user when pairing."""
MAX_JSON_BYTES = 2**20
LARGE_BYTES = 65_536
"""For a larger body its headers must say who sends it, before it is received."""
MAX_FILE_BYTES = min(MAX_BYTES, 50_000_000)
MAX_BODY_BYTES = MAX_FILE_BYTES + 4096
"""A form with a file has more in it than the file."""
LARGEST_INT = 2**63 - 1
MAX_WRONG_TOKENS = 20
"""Limit per minute for all callers together. Beyond it no token is looked up for a while."""

COOKIE = "antifake_session"
BROWSER_COOKIE = "antifake_browser"
"""Of a remembered browser. It is no session: see service/remembered."""
SCRIPT = "antifake"
"""The value of SCRIPT_HEADER."""
PAGES = "pages."
"""The prefix of the page's endpoints."""

IN_PROCESS = "antifake.in_process"
"""The key of the WSGI environment that is True where this process itself calls the app.

Such a caller has already opened the history and the settings, so it needs no token, and there is
no host or origin. No request over a socket can set the key: the server prefixes the keys of headers
with HTTP_, and their values are texts, never True.
"""

ALLOWED_HEADERS = "Authorization, Content-Type, Prefer, X-Pairing-Secret"
EXPOSED_HEADERS = "Location, Retry-After"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Set on every answer, errors too. A view may set its own value, as pages do for their CSP."""

WRONG_TOKENS = "antifake.wrong_tokens"
"""The key of the app's extensions that is its WrongTokens."""

FindToken = Callable[[str], Token | None]
View = TypeVar("View", bound=Callable[..., Any])
_HAS_BODY = {"POST", "PUT", "PATCH"}
_READS = {"GET", "HEAD", "OPTIONS"}
_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\]|antifake\.localhost):([0-9]{1,5})")


OtherName = Literal["script", "navigation"] | None


@dataclass(frozen=True)
class Requirement:
    """What a view requires of a request."""

    identity: Literal["token", "session", "browser", "none"] = "token"
    """"browser" is the cookie of one that is remembered."""
    scopes: frozenset[str] = frozenset({"admin"})
    """The token needs one of them. The scope admin always suffices."""
    types: tuple[str, ...] = (JSON,)
    """Allowed types of the body."""
    max_bytes: int = MAX_JSON_BYTES
    allows_unpaired: bool = False
    """Whether extensions that are not paired yet may call it."""
    other_name: OtherName = None
    """How our page may call it that was opened under another name of this computer."""

    @property
    def is_cookie(self) -> bool:
        """Whether it identifies the caller by a cookie, which browsers send by themselves."""
        return self.identity in ("session", "browser")


ADMIN = Requirement()
SESSION = Requirement(identity="session", scopes=frozenset())


def requires(
    *scopes: str,
    types: tuple[str, ...] = (JSON,),
    max_bytes: int = MAX_JSON_BYTES,
    allows_unpaired: bool = False,
    other_name: OtherName = None,
) -> Callable[[View], View]:
    """Declare what a view of the API requires; without scopes no token is needed.

    A view without this mark requires admin, or a session if it belongs to the page.
    """
    identity: Literal["token", "none"] = "token" if scopes else "none"
    who = identity, frozenset(scopes)
    most = max_bytes if scopes else min(max_bytes, LARGE_BYTES)
    return _mark(Requirement(*who, types, most, allows_unpaired, other_name))


def requires_session(*, types: tuple[str, ...], max_bytes: int) -> Callable[[View], View]:
    """Declare that a view of the page takes a body other than small JSON.

    No type that a form can send may be among `types`.
    """
    return _mark(Requirement("session", frozenset(), types, max_bytes))


def requires_browser(view: View) -> View:
    """Declare that a view of the page takes the cookie of a remembered browser, not a session."""
    return _mark(Requirement("browser", frozenset()))(view)


def _mark(requirement: Requirement) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.__dict__["requirement"] = requirement
        return view

    return mark


def requirement_of(endpoint: str | None) -> Requirement:
    view = current_app.view_functions.get(endpoint or "")
    default = SESSION if (endpoint or "").startswith(PAGES) else ADMIN
    return cast(Requirement, getattr(view, "requirement", default))


@dataclass(frozen=True)
class Caller:
    """The program that sends the request, as its token says."""

    token_id: int | None
    """None for a call from this process."""
    scopes: frozenset[str]
    origin: str | None
    """The origin of a paired browser, if there is one."""


_OURSELVES = Caller(None, frozenset({"admin"}), None)


def caller() -> Caller:
    """Returns the caller of the current view, which must require a token."""
    return cast(Caller, g.caller)


def may(scope: str) -> bool:
    return bool({scope, "admin"} & caller().scopes)


def has_session() -> bool:
    """Whether the request has the cookie of a session of the page."""
    return access().is_session(session_secret())


def session_secret() -> str:
    """Returns the secret of the session, which need not be valid; "" without one."""
    return request.cookies.get(COOKIE, "")


def browser_secret() -> str:
    """Returns the secret of a remembered browser, which need not be valid; "" without one.

    Only under the pages' own name: elsewhere we never set that cookie.
    """
    return request.cookies.get(BROWSER_COOKIE, "") if is_under_own_name() else ""


def is_known_browser() -> bool:
    """Whether the request has the cookie of a remembered browser. Raises StoreError."""
    return access().browsers.find(browser_secret(), own_address()) is not None


def access_ended() -> Callable[[], bool]:
    """Returns a check for long answers: has the token been revoked, or the session ended?"""
    of = access()
    if "caller" not in g:
        secret = session_secret()
        return lambda: not of.is_session(secret)
    token_id = caller().token_id
    return lambda: token_id is not None and of.is_revoked(token_id)


class WrongTokens:
    """Counts the wrong tokens of the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MAX_WRONG_TOKENS)
        self._lock = threading.Lock()

    def add(self) -> bool:
        """Count one more. Returns whether there were too many before it."""
        with self._lock:
            now = self._clock()
            is_full = len(self._times) == MAX_WRONG_TOKENS and now - self._times[0] < 60
            if not is_full:
                self._times.append(now)
            return is_full


def guard(app: Flask) -> None:
    """Check every request before its view, and put the security headers on every answer."""
    app.extensions[WRONG_TOKENS] = WrongTokens()

    @app.before_request
    def check() -> Response | None:
        if request.environ.get(IN_PROCESS) is True:
            admit_ourselves()
            return None
        check_host()
        check_origin()
        if is_api() and request.method == "OPTIONS":
            return preflight()
        check_sender(access().authenticate)
        check_json()
        return None

    @app.after_request
    def secure(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if is_api():
            _answer_origin(response)
        return response


def is_api() -> bool:
    return request.path.startswith(API)


def check_sender(find_token: FindToken) -> None:
    """Check who sends a request, and what its headers say of the body. Raises HTTPException, too.

    `find_token` returns the token of a secret, as Access.authenticate() does.
    """
    if request.routing_exception is not None:
        raise request.routing_exception
    required = requirement_of(request.endpoint)
    check_length(required)
    if required.is_cookie:
        check_cookie(required)
    check_type(required)
    if required.identity == "token":
        check_token(required, find_token)


def check_before_body() -> str:
    """Check a request of which only the headers are there. Returns who sends it.

    Nothing is written to the database, as the thread that calls this one serves all connections.
    Raises Problem, HTTPException, AntifakeError.
    """
    check_host()
    check_origin()
    check_sender(access().known)
    return client_name()


def client_name() -> str:
    """Returns a name for the client of this request, the same for all of its requests."""
    token_id = g.caller.token_id if "caller" in g else None
    return "" if token_id is None else str(token_id)


def admit_ourselves() -> None:
    """Admit a call from this process with a body of any length: only memory limits it."""
    if request.routing_exception is not None:
        raise request.routing_exception
    request.max_content_length = sys.maxsize
    g.caller = _OURSELVES
    check_json()


# --- Host ---------------------------------------------------------------------------------


def check_host() -> None:
    """Refuse a request whose Host is not ours. Several Host headers arrive joined, so fail too.

    The pages' own name is for pages only: programs use 127.0.0.1.
    """
    if not _is_our_host(_host()) or (is_under_own_name() and (is_api() or not own_address())):
        raise Problem(
            421, "misdirected", _("This is antifake, and it does not answer to that name.")
        )


def is_under_own_name() -> bool:
    """Whether the request is for the pages' own name."""
    return _host().startswith(f"{OWN_NAME}:")


def _host() -> str:
    return str(request.environ.get("HTTP_HOST", "")).lower()


def _is_our_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and int(found[2]) == context().port


# --- Origin -------------------------------------------------------------------------------


def check_origin() -> None:
    origin = request.headers.get("Origin")
    is_moving = _is_from_other_name(origin, requirement_of(request.endpoint).other_name)
    is_known = origin is not None and (
        is_moving or (_is_paired(origin) if is_api() else _is_ours(origin))
    )
    if origin is not None and not is_known:
        raise _of_the_web()
    is_extension = is_known and origin is not None and bool(EXTENSION.fullmatch(origin))
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") and not is_extension and not is_moving:
        raise _of_the_web()
    if is_api() and origin is not None:
        g.allowed_origin = origin


def _of_the_web() -> Problem:
    return Problem(403, "wrong_origin", _("Web pages may not use antifake."))


def _is_from_other_name(origin: str | None, allowed: OtherName) -> bool:
    """Whether a script of our page asks, under another name, or a browser goes on from there.

    Where a browser comes from cannot be told, and does not matter: it needs a one-time code.
    """
    if allowed == "script":
        scheme, _sign, host = (origin or "").lower().partition("://")
        return scheme == "http" and _is_our_host(host)
    if allowed is None or origin is not None:
        return False
    fetched = [request.headers.get(f"Sec-Fetch-{what}") for what in ("Mode", "Dest")]
    return request.method == "GET" and fetched == ["navigate", "document"]


def _is_ours(origin: str) -> bool:
    return origin.lower() == f"http://{_host()}"


def _is_paired(origin: str) -> bool:
    if EXTENSION.fullmatch(origin) and requirement_of(_wanted_endpoint()).allows_unpaired:
        return True
    return origin in access().origins()


def _wanted_endpoint() -> str | None:
    """Returns the endpoint of the request; for a preflight, of the request it asks about."""
    if request.method != "OPTIONS":
        return request.endpoint
    wanted = request.headers.get("Access-Control-Request-Method", "")
    adapter = current_app.create_url_adapter(request)
    try:
        return adapter.match(method=wanted)[0] if adapter else None
    except HTTPException:
        return None


def preflight() -> Response:
    """Answer a browser that asks whether an extension may send a request that no form can."""
    adapter = current_app.create_url_adapter(request)
    methods = sorted(adapter.allowed_methods()) if adapter else []
    if not methods:
        raise NotFound
    if "allowed_origin" not in g or "Access-Control-Request-Method" not in request.headers:
        raise MethodNotAllowed(methods)
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
    response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
    response.headers["Access-Control-Max-Age"] = "600"
    return response


def _answer_origin(response: Response) -> None:
    response.headers.add("Vary", "Origin")
    if "allowed_origin" in g:
        response.headers["Access-Control-Allow-Origin"] = g.allowed_origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS


# --- Body ---------------------------------------------------------------------------------


def check_type(required: Requirement) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "media_type", _("The body must not be compressed."))
    if request.method in ("GET", "HEAD"):
        return
    # A change by the page must have a content type that no form of another page can send.
    has_body = bool(request.content_length or request.content_type)
    if (
        has_body or required.identity in ("session", "browser")
    ) and request.mimetype not in required.types:
        raise Problem(415, "media_type", _wrong_type(required.types))
    if request.mimetype == MULTIPART and "Authorization" not in request.headers:
        # A form of any page could send the other types.
        raise Problem(415, "media_type", _("A form needs the header Authorization."))


def check_length(required: Requirement) -> None:
    length = request.content_length
    if length is None and request.method in _HAS_BODY:
        raise Problem(411, "length_required", _("The header Content-Length is missing."))
    if (length or 0) > required.max_bytes:
        raise Problem(413, "too_large", _too_large(required.max_bytes))


def _wrong_type(allowed: tuple[str, ...]) -> str:
    types = ", ".join(allowed)
    return ngettext(
        "The body must be {types}.", "The body must be one of {types}.", len(allowed), types=types
    )


def _too_large(most: int) -> str:
    return ngettext(
        "At most {n:,} byte is accepted here.", "At most {n:,} bytes are accepted here.", most
    )


class StrictJson:
    """Parses request bodies: standard JSON only, with numbers that the database can hold."""

    @staticmethod
    def loads(body: bytes, **_: Any) -> Any:
        return json.loads(body.decode(), parse_constant=_no_number, parse_int=_small_int)

    dumps = staticmethod(json.dumps)


def check_json() -> None:
    """Parse the body. The view gets the same object, and its schema checks the content."""
    if request.mimetype != JSON or not request.content_length:
        return
    try:
        request.get_json()
    except (BadRequest, RecursionError):
        raise Problem(400, "bad_json", _("The body is not valid JSON.")) from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _small_int(digits: str) -> int:
    number = int(digits)
    if abs(number) > LARGEST_INT:
        raise ValueError("too large for a number")
    return number


# --- Identity -----------------------------------------------------------------------------


def check_token(required: Requirement, find_token: FindToken) -> None:
    """Check the token in the header. Tokens in addresses would end up in logs, and cookies reach
    other ports.
    """
    kind, _space, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret:
        raise _unauthorized(_("This needs a token."), 'Bearer realm="antifake"')
    token = find_token(secret)
    if token is None:
        if current_app.extensions[WRONG_TOKENS].add():
            raise Problem(
                429,
                "too_many",
                _("Too many wrong tokens. Try again in a minute."),
                {"Retry-After": "60"},
            )
        raise _unauthorized(
            _("This token is not valid."), 'Bearer realm="antifake", error="invalid_token"'
        )
    origin = request.headers.get("Origin")
    if origin is not None and token.origin is not None and origin != token.origin:
        raise Problem(403, "wrong_origin", _("This token belongs to another browser."))
    if not (required.scopes | {"admin"}) & token.scopes:
        raise Problem(403, "scope", _lacking(required.scopes))
    g.caller = Caller(token.id, token.scopes, token.origin)


def _lacking(scopes: frozenset[str]) -> str:
    return ngettext(
        "This token does not allow that: it needs the scope {scopes}.",
        "This token does not allow that: it needs one of the scopes {scopes}.",
        len(scopes) or 1,
        scopes=", ".join(sorted(scopes)) or "admin",
    )


def _unauthorized(sentence: str, challenge: str) -> Problem:
    return Problem(401, "unauthorized", sentence, {"WWW-Authenticate": challenge})


def check_cookie(required: Requirement) -> None:
    """Check the session of the page, or the cookie of a remembered browser.

    Whether such a browser has its key, too, is for the view to check. Browsers send cookies to
    every port of a host, where other programs listen. So the cookie alone only lets see: a change
    also needs an origin, a header that no form of another page can send, and the key of the
    session, which only its pages have.
    """
    if required.identity == "session" and not has_session():
        raise Problem(
            401, "no_session", _("This page is shown only to you: open it from antifake itself.")
        )
    if required.identity == "browser" and not is_known_browser():
        raise Problem(401, "not_remembered", _("This browser is not remembered."))
    if request.method not in _READS and request.headers.get(SCRIPT_HEADER) != SCRIPT:
        raise Problem(
            403,
            "no_script",
            _("A change needs the header {name}: {value}.", name=SCRIPT_HEADER, value=SCRIPT),
        )
    if required.identity == "session" and request.method not in _READS:
        check_page_key()


def check_page_key() -> None:
    if request.headers.get("Origin") is None:  # check_origin has compared it
        raise Problem(403, "wrong_origin", _("A change needs the header {name}.", name="Origin"))
    right, sent = access().page_key(session_secret()), request.headers.get(PAGE_KEY_HEADER, "")
    if not hmac.compare_digest(right.encode(), sent.encode("utf-8", "surrogatepass")):
        raise Problem(
            403, "no_page_key", _("This page may only show things. Open it from antifake again.")
        )


class JsonRequest(Request):
    """A request whose body is parsed once, by StrictJson."""

    json_module = StrictJson
