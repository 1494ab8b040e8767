"""Lets a browser be remembered, and lets it in again without a link: see service/remembered."""

from flask import Response, jsonify, request

from antifake.core.i18n import _, ngettext
from antifake.daemon.store.tokens import REMEMBERED_FOR
from antifake.daemon.web.context import access, own_address
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import browser_secret, has_session, requires_browser, session_secret

from . import body, this_browser
from .confirming import Question, require_yes
from .render import routes

_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
"""By what a browser says of itself in each request, the special before the general."""
_SYSTEMS = {"Windows": "Windows", "Mac OS X": "macOS", "Android": "Android", "Linux": "Linux"}
_NO_NAME = _(
    "This browser does not reach antifake under the name antifake.localhost, and only there can it "
    "be remembered safely."
)

_QUESTION = Question(
    _("Remember this browser?"),
    (
        ngettext(
            "It then opens these pages without a link, until it has not been used for {n} day.",
            "It then opens these pages without a link, until it has not been used for {n} days.",
            REMEMBERED_FOR.days,
        ),
        _("Do this only where nobody else uses your browser."),
    ),
    _("Remember it"),
    _("Cancel"),
    is_danger=False,
)


@routes.post("/changes/remember")
def remember() -> Response:
    """Remembers this browser. The answer has its key, which is told only once."""
    if not this_browser.can_be_remembered():
        raise Problem(409, "no_name", _NO_NAME)
    require_yes(_QUESTION)
    former = this_browser.token()
    made = access().browsers.remember(_name(request.user_agent.string), own_address())
    access().tie(session_secret(), made.token.id)
    if former is not None:
        access().revoke(former.id)
    said = _("This browser is remembered. You can bookmark this page now.")
    response = jsonify(id=made.token.id, key=made.key, said=said)
    this_browser.set_remembered(response, made.secret)
    return response


@routes.post("/back/challenge")
@requires_browser
def challenge() -> Response:
    """Answers what a remembered browser has to sign with its key."""
    return jsonify(challenge=access().browsers.challenge(browser_secret(), own_address()))


@routes.post("/back")
@requires_browser
def back() -> Response:
    """Begins a session of a remembered browser. A session that it has already becomes one."""
    said, secret = (body.value("challenge", str), body.value("answer", str)), browser_secret()
    token = access().browsers.answered(secret, own_address(), *said)
    if token is None:
        raise Problem(401, "not_remembered", _("This browser does not have the right key."))
    has_one = has_session()
    session = session_secret() if has_one else access().begin_session(token.id)
    response = jsonify(page_key=access().page_key(session))
    this_browser.set_remembered(response, secret)
    if has_one:
        access().tie(session, token.id)
    else:
        this_browser.set_session(response, session)
    return response


def _name(agent: str) -> str:
    browser = next((name for sign, name in _BROWSERS.items() if sign in agent), _("A browser"))
    system = next((name for sign, name in _SYSTEMS.items() if sign in agent), "")
    return _("{browser} on {system}", browser=browser, system=system) if system else browser
