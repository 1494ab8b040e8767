"""Renders pages: their blueprint, the frame around them, and error pages."""

import mimetypes
from importlib.metadata import version
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, render_template, request

from antifake.core import AntifakeError
from antifake.core.i18n import _
from antifake.daemon.service import State
from antifake.daemon.web.context import access, own_address, service
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import PAGES, has_session

from . import this_browser, wording

STATIC = f"{PAGES}static"
OPEN = f"{PAGES}arrive"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_TITLES = {
    400: _("That could not be understood"),
    403: _("That is not allowed"),
    404: _("Not found"),
    405: _("That is not possible"),
    503: _("Not right now"),
    507: _("The disk is full"),
}
_WITHOUT_FRAME = {403, 500}
"""Statuses of requests refused before the session is known, or whose frame might fail too."""

# Python reads these from the registry on Windows, where other programs change them. With a wrong
# type and "nosniff" a browser would run no script.
for _suffix, _kind in ((".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")):
    mimetypes.add_type(_kind, _suffix)

routes = APIBlueprint(
    PAGES.rstrip("."),
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/assets",
    enable_openapi=False,
)


@routes.before_request
def note_last_event() -> None:
    """Note the event number before the page is made, so that no later event is lost."""
    g.last_event = service().events.last


@routes.after_request
def allow_own_scripts(response: Response) -> Response:
    # Only the page that a link opens asks another address, to find out whether it is us, too.
    connect = own_address() or "'none'" if request.endpoint == OPEN else "'self'"
    response.headers.setdefault("Content-Security-Policy", f"{_CSP}; connect-src {connect}")
    if request.endpoint == STATIC:
        response.headers["Cache-Control"] = "no-cache"
    return response


def show(template: str, status: int = 200, **values: Any) -> Response:
    """Returns a whole page, with header, navigation and footer."""
    frame = {
        "state": state(),
        "pending": access().pending(),
        "here": request.endpoint,
        "is_remembered": this_browser.is_remembered(),
    }
    return piece(template, status, **frame | values)


def piece(template: str, status: int = 200, **values: Any) -> Response:
    """Returns a part of a page, or a page without the navigation."""
    common = {
        "words": wording,
        "version": version("antifake"),
        "last_event": g.get("last_event", 0),
        "can_be_remembered": this_browser.can_be_remembered(),
        "is_local": service().store.database.is_sqlite,
    }
    # Encoded here, so that a lone surrogate in a file name is not an error 500.
    page = render_template(template, **common | values).encode("utf-8", "replace")
    return Response(page, status, content_type="text/html; charset=utf-8")


def state() -> State | None:
    """Returns the state, None if it cannot be read. The page then says why."""
    try:
        return service().state()
    except AntifakeError:
        return None


def explain(problem: Problem) -> Response:
    """Returns the page for an error. Only a session sees the state of the daemon."""
    if problem.status == 401:
        response = piece("away.html", 401, was_link=False, is_known=this_browser.is_known())
    else:
        title = _TITLES.get(problem.status, _("That did not work"))
        is_bare = problem.status in _WITHOUT_FRAME or not has_session()
        render = piece if is_bare else show
        response = render("error.html", problem.status, title=title, sentence=problem.detail)
    # The blueprint does not see answers for addresses that belong to no page.
    return allow_own_scripts(response)
