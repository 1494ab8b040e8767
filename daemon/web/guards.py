"""Who gets through to a view: every request is asked the same, in this order.

Host: is it meant for us, or for a name that somebody has pointed here (DNS rebinding)?
Origin, Sec-Fetch-Site: does a page of the web send it, behind the person's back?
Method, type, length: could a form have sent it, or is it more than is taken here?
Token: who is it, and may they do this?

No answer to a page of the web has a CORS header, so what it sent, it cannot read.
"""

import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from antifake.core.images import MAX_BYTES
from antifake.daemon.service.access import THIS_COMPUTER
from antifake.daemon.store.tokens import Token

from .context import behind
from .errors import Problem

API = "/api/"
JSON = "application/json"
MULTIPART = "multipart/form-data"
EXTENSION = re.compile(r"(?:chrome|moz)-extension://[a-z0-9-]{1,64}")
"""The person is shown it when it asks to be let in, so it is to be what a browser writes."""
MAX_JSON_BYTES = 2**20
MAX_FILE_BYTES = min(MAX_BYTES, 50_000_000)
LARGEST_INT = 2**63 - 1
MOST_MISSES = 20
"""Wrong tokens in a minute, whoever they are from: after that they are not looked up."""

ALLOWED_HEADERS = "Authorization, Content-Type, Prefer, X-Pairing-Secret"
EXPOSED_HEADERS = "Location, Retry-After"
SEALED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""On every answer, errors too; a page may have its own Content-Security-Policy."""

IN_PROCESS = "antifake.in_process"
"""Key in the WSGI environment of a request that the person's own program makes in its own process,
without a server. No header can set it: names of headers begin with HTTP_ there."""
OWNER = Token(
    id=0,
    name=THIS_COMPUTER,
    scopes=frozenset({"admin"}),
    created=datetime.fromtimestamp(0, UTC),
    last_used=None,
    revoked=None,
)
"""Makes such a request: it may do everything, as it could read and write the files itself."""

View = TypeVar("View", bound=Callable[..., Any])
_HAS_BODY = {"POST", "PUT", "PATCH"}
_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\]):([0-9]{1,5})")


@dataclass(frozen=True)
class Door:
    """What a view asks of whoever comes."""

    scopes: frozenset[str] = frozenset({"admin"})
    """One of them is needed; none: nobody is asked who they are."""
    types: tuple[str, ...] = (JSON,)
    """Of the body."""
    max_bytes: int = MAX_JSON_BYTES
    is_for_strangers: bool = False
    """Extensions may come that are not paired yet."""


CLOSED = Door()


def door(
    *scopes: str,
    types: tuple[str, ...] = (JSON,),
    max_bytes: int = MAX_JSON_BYTES,
    is_for_strangers: bool = False,
) -> Callable[[View], View]:
    """Mark a view; one without a mark is for admin alone."""

    def mark(view: View) -> View:
        view.__dict__["door"] = Door(frozenset(scopes), types, max_bytes, is_for_strangers)
        return view

    return mark


class Misses:
    """Wrong tokens of the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: deque[float] = deque(maxlen=MOST_MISSES)
        self._lock = threading.Lock()

    def one_more(self) -> bool:
        """Note one; gives whether there were too many before it."""
        with self._lock:
            now = self._clock()
            is_full = len(self._at) == MOST_MISSES and now - self._at[0] < 60
            if not is_full:
                self._at.append(now)
            return is_full


def caller() -> Token:
    """Who asks, in a view with scopes."""
    return cast(Token, g.caller)


def may(scope: str) -> bool:
    return bool({scope, "admin"} & caller().scopes)


def guard(app: Flask) -> None:
    misses = Misses()

    @app.before_request
    def check() -> Response | None:
        if request.environ.get(IN_PROCESS) is True:
            admit_owner()
            return None
        check_host()
        is_api = request.path.startswith(API)
        check_origin(is_api=is_api)
        if is_api and request.method == "OPTIONS":
            return preflight()
        if request.routing_exception is not None:
            raise request.routing_exception
        place = door_of(request.endpoint)
        if is_api:
            check_kind(place)
        check_length(place)
        if is_api:
            check_token(place, misses)
        check_json()
        return None

    @app.after_request
    def seal(response: Response) -> Response:
        for name, value in SEALED.items():
            response.headers.setdefault(name, value)
        if request.path.startswith(API):
            _answer_origin(response)
        return response


def admit_owner() -> None:
    """No browser and no network is between us, and only memory limits the length."""
    if request.routing_exception is not None:
        raise request.routing_exception
    request.max_content_length = sys.maxsize
    g.caller = OWNER
    check_json()


# --- Host ---------------------------------------------------------------------------------


def check_host() -> None:
    """The name that the sender knows us by; several of them reach us joined, and are refused."""
    host = request.environ.get("HTTP_HOST", "").lower()
    found = _HOST.fullmatch(host)
    if found is None or int(found[2]) != behind().port:
        raise Problem(421, "misdirected", "This is antifake, and nobody of that name.")


# --- Origin -------------------------------------------------------------------------------


def check_origin(*, is_api: bool) -> None:
    origin = request.headers.get("Origin")
    is_known = origin is not None and (_is_welcome(origin) if is_api else _is_ours(origin))
    if origin is not None and not is_known:
        raise Problem(403, "wrong_origin", "Pages of the web may not ask antifake.")
    is_extension = is_known and origin is not None and bool(EXTENSION.fullmatch(origin))
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") and not is_extension:
        raise Problem(403, "wrong_origin", "Pages of the web may not ask antifake.")
    if is_api and origin is not None:
        g.welcome_origin = origin


def _is_ours(origin: str) -> bool:
    return origin.lower() == f"http://{request.environ['HTTP_HOST']}".lower()


def _is_welcome(origin: str) -> bool:
    if EXTENSION.fullmatch(origin) and door_of(_wanted_endpoint()).is_for_strangers:
        return True
    return origin in behind().access.origins()


def _wanted_endpoint() -> str | None:
    """Of a preflight: where the request that it asks for would go."""
    if request.method != "OPTIONS":
        return request.endpoint
    wanted = request.headers.get("Access-Control-Request-Method", "")
    adapter = current_app.create_url_adapter(request)
    try:
        return adapter.match(method=wanted)[0] if adapter else None
    except HTTPException:
        return None


def preflight() -> Response:
    """A browser asks whether an extension may send what a form could not."""
    adapter = current_app.create_url_adapter(request)
    methods = sorted(adapter.allowed_methods()) if adapter else []
    if not methods:
        raise NotFound
    if "welcome_origin" not in g or "Access-Control-Request-Method" not in request.headers:
        raise MethodNotAllowed(methods)
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
    response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
    response.headers["Access-Control-Max-Age"] = "600"
    return response


def _answer_origin(response: Response) -> None:
    response.headers.add("Vary", "Origin")
    if "welcome_origin" in g:
        response.headers["Access-Control-Allow-Origin"] = g.welcome_origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS


# --- Body ---------------------------------------------------------------------------------


def door_of(endpoint: str | None) -> Door:
    view = current_app.view_functions.get(endpoint or "")
    return cast(Door, getattr(view, "door", CLOSED))


def check_length(place: Door) -> None:
    length = request.content_length
    if length is None and request.method in _HAS_BODY:
        raise Problem(411, "length_required", "Say how long the body is.")
    if (length or 0) > place.max_bytes:
        raise Problem(413, "too_large", f"At most {place.max_bytes:,} bytes are taken here.")


def check_kind(place: Door) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "media_type", "Bodies are taken as they are, not compressed.")
    if not request.content_length and not request.content_type:
        return
    if request.mimetype not in place.types and request.method not in ("GET", "HEAD"):
        raise Problem(415, "media_type", f"The body must be {' or '.join(place.types)}.")
    if request.mimetype == MULTIPART and "Authorization" not in request.headers:
        # A form of any page could send the rest.
        raise Problem(415, "media_type", "A form is taken only with the header Authorization.")


def check_json() -> None:
    """Sound JSON, strictly; how it is put together, the forms say."""
    if request.mimetype != JSON or not request.content_length:
        return
    try:
        json.loads(request.get_data().decode(), parse_constant=_no_number, parse_int=_small_int)
    except (ValueError, RecursionError):
        raise Problem(400, "bad_json", "The body is not JSON that can be read.") from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _small_int(digits: str) -> int:
    number = int(digits)
    if abs(number) > LARGEST_INT:
        raise ValueError("too large for a number")
    return number


# --- Token --------------------------------------------------------------------------------


def check_token(place: Door, misses: Misses) -> None:
    """Only the header counts: addresses and cookies get around."""
    if not place.scopes:
        return
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret:
        raise _unauthorized("This takes a token.", 'Bearer realm="antifake"')
    token = behind().access.who(secret)
    if token is None:
        if misses.one_more():
            raise Problem(429, "too_many", "Too many wrong tokens.", {"Retry-After": "60"})
        raise _unauthorized(
            "This token is not valid (any more).", 'Bearer realm="antifake", error="invalid_token"'
        )
    origin = request.headers.get("Origin")
    if origin is not None and token.origin is not None and origin != token.origin:
        raise Problem(403, "wrong_origin", "This token is another browser's.")
    if not (place.scopes | {"admin"}) & token.scopes:
        needed = " or ".join(sorted(place.scopes))
        raise Problem(403, "scope", f"This token is not for that: it takes {needed}.")
    g.caller = token


def _unauthorized(sentence: str, challenge: str) -> Problem:
    return Problem(401, "unauthorized", sentence, {"WWW-Authenticate": challenge})
