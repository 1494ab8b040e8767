"""Begins a session of the page with a one-time link, and ends it."""

import re

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from antifake.daemon.web.context import access
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import COOKIE, requires

from .render import piece, routes

_LONGEST_CODE = 200
_PAGE = re.compile(r"/(?:review|folders|browsers|settings|privacy|picture/[0-9a-z]{13})?")
"""Where a link may lead: only to our own pages, and to none that changes something."""


@routes.get("/open")
@requires()
def enter() -> AnyResponse:
    """Begins a session, with the link that tray and command line open."""
    if request.method == "HEAD":
        raise Problem(405, "method_not_allowed", "The link is for a browser.")
    secret = access().login(request.args.get("code", "")[:_LONGEST_CODE])
    if secret is None:
        return piece("away.html", 403, was_link=True)
    wanted = request.args.get("next", "")
    target = wanted if _PAGE.fullmatch(wanted) else url_for("pages.history")
    response = redirect(target, 303)
    response.set_cookie(COOKIE, secret, httponly=True, samesite="Strict", path="/")
    return response


@routes.post("/changes/leave")
def leave() -> AnyResponse:
    access().logout(request.cookies[COOKIE])
    response = Response(status=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="Strict", path="/")
    return response
