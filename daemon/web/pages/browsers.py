"""Which browsers and programs may ask, who asks to be let in now, and how to shut one out."""

from typing import Any

from flask import Blueprint, Response, jsonify

from antifake.daemon.service.access import THIS_COMPUTER
from antifake.daemon.store.tokens import Token

from . import wording
from .context import House
from .sessions import said


def add(pages: Blueprint, house: House) -> None:
    access = house.access

    @pages.get("/browsers")
    def browsers() -> Response:
        return house.show("browsers.html", **_clients(house))

    @pages.get("/pieces/pairings")
    def pairings_piece() -> Response:
        return house.piece("_pairings.html", pending=house.access.pending())

    @pages.get("/pieces/clients")
    def clients_piece() -> Response:
        return house.piece("_clients.html", **_clients(house))

    @pages.post("/changes/pairing")
    def pairing() -> Response:
        name, is_accepted = said("id", str), said("accept", bool)
        (access.accept if is_accepted else access.reject)(name)
        return jsonify(said="It may connect now." if is_accepted else "It was turned away.")

    @pages.post("/changes/revoke")
    def revoke() -> Response:
        access.revoke(said("id", int))
        return jsonify(said="It is shut out from now on.")


def _clients(house: House) -> dict[str, Any]:
    tokens = list(house.access.tokens())
    return {
        "clients": [token for token in tokens if token.revoked is None],
        "gone": [token for token in tokens if token.revoked is not None],
        "now": house.service.clock(),
        "may": _may,
        "this_computer": THIS_COMPUTER,
    }


def _may(token: Token) -> str:
    return wording.scopes(token.scopes)
