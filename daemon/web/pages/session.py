"""Begins a session of the page with a one-time link, and ends it.

Browsers send cookies to every program on 127.0.0.1, whatever its port. So the link, which has to
work in every browser, leads to a page that finds out whether this browser reaches antifake under
the pages' own name. It goes on there, or else here. Only then is the code of the link used.
"""

import re

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from antifake.core.i18n import _
from antifake.daemon.web.context import access, context, own_address
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import is_under_own_name, requires

from . import this_browser
from .render import piece, routes
from .welcome import is_first_visit

_LONGEST_CODE = 200
_PAGE = re.compile(r"/(?:review|welcome|folders|browsers|settings|privacy|picture/[0-9a-z]{13})?")
"""Where a link may lead: only to our own pages, and to none that changes something."""


@routes.get("/open")
@requires()
def arrive() -> AnyResponse:
    """The link that tray and command line open. It does not use the code."""
    _refuse_head()
    if is_under_own_name() or not own_address():
        return enter()
    link = url_for("pages.enter", code=_code(), next=_target())
    return piece("open.html", link=link, own=own_address(), identity=context().identity)


@routes.get("/here")
@requires(other_name="script")
def here() -> AnyResponse:
    """Tells our page that this name leads to the same daemon."""
    origin = request.headers.get("Origin")
    if origin is None:
        raise Problem(404, "not_found", _("There is nothing at this address."))
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return Response(context().identity, headers=headers, content_type="text/plain")


@routes.get("/enter")
@requires(other_name="navigation")
def enter() -> AnyResponse:
    """Uses the code, and begins a session under this name."""
    _refuse_head()
    secret = access().login(_code())
    if secret is None:
        return piece("away.html", 403, was_link=True, is_known=False)
    # The page's script takes the key from there. What is behind # is sent to no server.
    link = f"{_target()}#key={access().page_key(secret)}"
    # A browser that comes from another name would not send the new cookie where a redirect leads.
    is_far = is_under_own_name()
    response = piece("enter.html", link=link) if is_far else redirect(link, 303)
    this_browser.set_session(response, secret)
    return response


@routes.post("/changes/leave")
def leave() -> AnyResponse:
    response = Response(status=204)
    this_browser.end_session(response)
    return response


def _refuse_head() -> None:
    """A program that only looks at a link must not use its code."""
    if request.method == "HEAD":
        raise Problem(405, "method_not_allowed", _("The link is for a browser."))


def _code() -> str:
    return request.args.get("code", "")[:_LONGEST_CODE]


def _target() -> str:
    wanted = request.args.get("next", "")
    if not wanted and is_first_visit():
        return url_for("pages.welcome")
    return wanted if _PAGE.fullmatch(wanted) else url_for("pages.history")
