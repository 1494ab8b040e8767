"""The page of browsers and programs that may use antifake: accept, reject and revoke them."""

from typing import Any

from flask import Response, jsonify

from antifake.core.i18n import _
from antifake.daemon.service.access import THIS_COMPUTER, Pairing
from antifake.daemon.web.context import access, service
from antifake.daemon.web.guards import session_secret

from . import body, wording
from .confirming import Question, require_yes
from .render import piece, routes, show


@routes.get("/browsers")
def browsers() -> Response:
    return show("browsers.html", **clients())


@routes.get("/pieces/pairings")
def pairings_piece() -> Response:
    return piece("_pairings.html", pending=access().pending())


@routes.get("/pieces/clients")
def clients_piece() -> Response:
    return piece("_clients.html", **clients())


@routes.post("/changes/pairing")
def pairing() -> Response:
    name, is_accepted = body.value("id", str), body.value("accept", bool)
    if not is_accepted:
        access().reject(name)
        return jsonify(said=_("It was not let in."))
    asked = access().waiting(name)
    require_yes(_let_in(asked), asked.id)
    access().accept(name)
    return jsonify(said=_("It may connect now."))


@routes.post("/changes/revoke-all")
def revoke_all() -> Response:
    require_yes(_shut_out(_("Shut all of them out?")))
    access().revoke_all()
    return jsonify(said=_("None of them can connect any more."))


@routes.post("/changes/revoke")
def revoke() -> Response:
    token = access().token(body.value("id", int))
    name = wording.short(wording.inert(token.name))
    require_yes(_shut_out(_("Shut {name} out?", name=name)), str(token.id))
    access().revoke(token.id)
    return jsonify(said=_("It cannot connect any more."))


def _let_in(asked: Pairing) -> Question:
    name = wording.short(wording.inert(asked.name))
    may = [_("It may {what}.", what=one) for one in wording.scopes(asked.scopes)]
    return Question(
        _("Let “{name}” in?", name=name),
        (
            _("It is {what}.", what=wording.inert(asked.origin) or _("a program on this computer")),
            *may,
            _(
                "Its code is {code}. If it shows a different one, do not let it in.",
                code=asked.code,
            ),
        ),
        _("Let it in"),
        _("Cancel"),
        is_danger=False,
    )


def _shut_out(title: str) -> Question:
    sentence = _(
        "antifake will no longer answer. To be let in again, a browser or program has to connect "
        "anew."
    )
    return Question(title, (sentence,), _("Shut out"), _("Keep"))


def clients() -> dict[str, Any]:
    tokens, now = access().tokens(), service().clock()
    let_in = [token for token in tokens if token.revoked is None and not token.is_expired(now)]
    return {
        "clients": let_in,
        "gone": [token for token in tokens if token not in let_in],
        "this_browser": access().browser_of(session_secret()),
        "now": now,
        "this_computer": THIS_COMPUTER,
    }
