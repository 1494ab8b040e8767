"""Who may see the pages: whoever came through a one-time link has a cookie for some hours.

Browsers send cookies to every port of 127.0.0.1, and other programs of this computer listen
there. So the cookie alone changes nothing: that also takes a header which no form can send, a
body of a type that no form can have, and no other page as the sender.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, Response, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from antifake.core import AntifakeError

from .context import House

COOKIE = "antifake_session"
HEADER, OURS = "X-Requested-By", "antifake"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
OPEN = {"pages.static", "pages.enter"}
"""What needs no session."""
_LONGEST_CODE = 200
_PAGE = re.compile(r"/(?:review|folders|browsers|settings|privacy|picture/[0-9a-z]{13})?")
"""What a link may lead to: nothing outside, and nothing that does something."""

JSON = "application/json"

T = TypeVar("T")
View = TypeVar("View", bound=Callable[..., Any])


class RefusedError(AntifakeError):
    """Not for whoever asks, or not in this way."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class NobodyError(RefusedError):
    """There is no session, or none any more."""

    def __init__(self) -> None:
        super().__init__("This page is shown only to you: open it from antifake itself.", 401)


def guard(pages: Blueprint, house: House) -> None:
    @pages.before_request
    def check() -> None:
        # The number first: what happens while the page is made is then told again, not lost.
        g.last_event = house.service.events.last
        if request.endpoint not in OPEN:
            _check_session(house)
            if request.method not in ("GET", "HEAD", "OPTIONS"):
                _check_sender()

    @pages.after_request
    def seal(response: Response) -> Response:
        headers = response.headers
        headers["Content-Security-Policy"] = POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        is_asset = request.endpoint == "pages.static"
        headers["Cache-Control"] = "no-cache" if is_asset else "no-store"
        return response

    @pages.get("/open")
    def enter() -> AnyResponse:
        """The one-time link of tray and command line."""
        if request.method == "HEAD":
            raise RefusedError("The link is for a browser.", 405)
        secret = house.access.login(request.args.get("code", "")[:_LONGEST_CODE])
        if secret is None:
            return house.piece("away.html", 403, was_link=True)
        wanted = request.args.get("next", "")
        target = wanted if _PAGE.fullmatch(wanted) else url_for("pages.history")
        response = redirect(target, 303)
        response.set_cookie(COOKIE, secret, httponly=True, samesite="Strict", path="/")
        return response

    @pages.post("/changes/leave")
    def leave() -> AnyResponse:
        house.access.logout(request.cookies[COOKIE])
        response = Response(status=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict", path="/")
        return response


def _check_session(house: House) -> None:
    if not house.access.is_session(request.cookies.get(COOKIE, "")):
        raise NobodyError


def _check_sender() -> None:
    origin = request.headers.get("Origin")
    if origin is not None and origin != request.host_url.rstrip("/"):
        raise RefusedError("Another page cannot change anything here.", 403)
    if request.headers.get(HEADER) != OURS:
        raise RefusedError(f"A change needs the header {HEADER}: {OURS}.", 403)
    wanted = getattr(current_app.view_functions.get(request.endpoint or ""), "takes", JSON)
    if request.mimetype != wanted:
        raise RefusedError(f"A change of this kind is sent as {wanted}.", 415)


def takes(mimetype: str) -> Callable[[View], View]:
    """Mark a view whose body is something else than JSON; never what a form can send."""

    def mark(view: View) -> View:
        view.__dict__["takes"] = mimetype
        return view

    return mark


def said(name: str, kind: type[T]) -> T:
    """A value of the body. Raises RefusedError."""
    body: Any = request.get_json(silent=True)
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RefusedError(f"{name} is missing, or it is not what it should be.", 400)
    return value


def said_list(name: str, at_most: int = 500) -> list[str]:
    """Some texts, at least one. Raises RefusedError."""
    values = said(name, list)
    if not 0 < len(values) <= at_most or not all(isinstance(one, str) for one in values):
        raise RefusedError(f"{name} must be 1 to {at_most} texts.", 400)
    return values
