"""The page of browsers and programs that may use antifake: accept, reject and revoke them."""

from typing import Any

from flask import Response, jsonify

from antifake.core.i18n import _
from antifake.daemon.service.access import THIS_COMPUTER
from antifake.daemon.web.context import access, service
from antifake.daemon.web.guards import session_secret

from . import body
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
    (access().accept if is_accepted else access().reject)(name)
    return jsonify(said=_("It may connect now.") if is_accepted else _("It was not let in."))


@routes.post("/changes/revoke-all")
def revoke_all() -> Response:
    access().revoke_all()
    return jsonify(said=_("None of them can connect any more."))


@routes.post("/changes/revoke")
def revoke() -> Response:
    access().revoke(body.value("id", int))
    return jsonify(said=_("It cannot connect any more."))


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
