"""Pairing with other programs: the user confirms once a code that both sides show."""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from antifake.core.i18n import _
from antifake.daemon.service.access import SCOPES
from antifake.daemon.store import NotThereError
from antifake.daemon.web.context import access, context
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import caller, requires

from . import schemas, serialize

routes = APIBlueprint("pairing", __name__, url_prefix="/api/v1", tag="Letting programs in")

_PAGE = re.compile(r"/(?:[a-z0-9_-]+(?:/[a-z0-9_-]+){0,7}/?)?")
"""Matches in one way only. Otherwise backtracking on a long text could take hours."""


@routes.post("/hello")
@requires(allows_unpaired=True)
@routes.input(schemas.Hello, arg_name="body")
@routes.output(schemas.Proof)
def hello(body: dict[str, Any]) -> Response:
    """Prove that this is the daemon which issued a token

    HMAC-SHA256 of the nonce, a colon and the port; the key is the sha256 of the token in hex.
    Another program that listens on the port cannot know it. The token_id 0 means the token of
    the programs on this computer.
    """
    return jsonify(proof=access().proof(body["token_id"], body["nonce"], context().port))


@routes.post("/pairings")
@requires(allows_unpaired=True)
@routes.input(schemas.PairingWish, arg_name="body")
@routes.output(schemas.NewPairing, 201)
@routes.doc(responses={429: "One at a time, five a minute"})
def ask(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Ask the user for a token"""
    origin = request.headers.get("Origin")
    made = access().ask(body["name"], origin, body["scopes"])
    told = serialize.pairing(made)
    return {
        "id": made.id,
        "code": made.code,
        "secret": made.secret,
        "expires": told["expires"],
    }, 201


@routes.get("/pairings/<name>")
@requires(allows_unpaired=True)
@routes.input(schemas.PairingSecret, location="headers", arg_name="headers")
@routes.output(schemas.PairingState)
def poll(name: str, headers: dict[str, Any]) -> Response:
    """Get the state of a pairing; once accepted, the first answer has the token"""
    found = access().poll(name, headers["secret"])
    told: dict[str, Any] = {"state": found.state}
    if found.token is not None:
        told |= {"token": found.token, "token_id": found.token_id}
    return jsonify(told)


@routes.delete("/pairings/<name>")
@requires(allows_unpaired=True)
@routes.input(schemas.PairingSecret, location="headers", arg_name="headers")
@routes.output({}, 204)
def give_up(name: str, headers: dict[str, Any]) -> Response:
    """Withdraw a pairing request"""
    access().give_up(name, headers["secret"])
    return Response(status=HTTPStatus.NO_CONTENT)


@routes.get("/pairings")
@requires("admin")
@routes.output(schemas.Pairings)
def get_pairings() -> Response:
    """List the pairing requests"""
    return jsonify(pairings=[serialize.pairing(one) for one in access().pending()])


@routes.post("/pairings/<name>/accept")
@requires("admin")
@routes.output({}, 204)
def accept(name: str) -> Response:
    """Accept a pairing request"""
    access().accept(name)
    return Response(status=HTTPStatus.NO_CONTENT)


@routes.post("/pairings/<name>/reject")
@requires("admin")
@routes.output({}, 204)
def reject(name: str) -> Response:
    """Reject a pairing request"""
    access().reject(name)
    return Response(status=HTTPStatus.NO_CONTENT)


@routes.get("/tokens")
@requires("admin")
@routes.output(schemas.Tokens)
def get_tokens() -> Response:
    """List the tokens and when each was last used"""
    return jsonify(tokens=[serialize.token(one) for one in access().tokens()])


@routes.delete("/tokens")
@requires("admin")
@routes.output({}, 204)
def revoke_all() -> Response:
    """Revoke all tokens but that of this computer's own programs, and end all sessions, at once"""
    access().revoke_all()
    return Response(status=HTTPStatus.NO_CONTENT)


@routes.get("/tokens/self")
@requires(*SCOPES)
@routes.output(schemas.Token)
def get_own_token() -> Response:
    """Get the token of this request: its name, its scopes and when it was last used"""
    return jsonify(serialize.token(access().token(caller().token_id)))


@routes.delete("/tokens/self")
@requires(*SCOPES)
@routes.output({}, 204)
def revoke_own_token() -> Response:
    """Revoke the token of this request, at once"""
    access().revoke(access().token(caller().token_id).id)
    return Response(status=HTTPStatus.NO_CONTENT)


@routes.delete("/tokens/<name>")
@requires("admin")
@routes.output({}, 204)
def revoke(name: str) -> Response:
    """Revoke a token, at once"""
    access().revoke(_token_id(name))
    return Response(status=HTTPStatus.NO_CONTENT)


@routes.post("/logins")
@requires("open")
# No schema: the body may be left out, and our own programs then send null.
@routes.input(schemas.LoginWish, arg_name="body", validation=False)
@routes.output(schemas.Login)
def login(body: Any) -> Response:
    """Create a link that opens the history in a browser once"""
    page = body.get("next") if isinstance(body, dict) else None
    if page is not None and not (isinstance(page, str) and _PAGE.fullmatch(page)):
        raise Problem(
            422, "invalid", _("A page is named by its path on this server, such as /review.")
        )
    code = {"code": access().mint_login()} | ({"next": page} if page else {})
    return jsonify(url=f"http://127.0.0.1:{context().port}/open?{urlencode(code)}")


def _token_id(name: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) <= 18):
        raise NotThereError(_("There is no such token."))
    return int(name)
