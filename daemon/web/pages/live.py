"""Keeps an open page up to date: a stream of events, or polling, and parts of pages."""

from flask import Response, jsonify, request

from antifake.core.i18n import _
from antifake.daemon.web import events
from antifake.daemon.web.context import access, service

from . import body
from .render import piece, routes, state


@routes.get("/live")
def live() -> Response:
    return events.streamed(_after())


@routes.get("/news")
def news() -> Response:
    return events.polled(_after())


@routes.get("/pieces/state")
def state_piece() -> Response:
    return piece("_state.html", state=state())


@routes.get("/pieces/notices")
def notices_piece() -> Response:
    pending, here = access().pending(), request.args.get("on", "")
    return piece("_notices.html", state=state(), pending=pending, here=here)


@routes.post("/changes/model")
def fetch_model() -> Response:
    """Fetches the embedded model, as the person has asked for it."""
    service().fetch_model()
    return jsonify(said="")


@routes.post("/changes/notices")
def dismiss() -> Response:
    service().dismiss_notices(body.texts("read"))
    return jsonify(said=_("Marked as read."))


def _after() -> int | None:
    return request.args.get("after", type=int)
