"""What happens, as it happens: one stream for each page that is looked at, or polling."""

import json
import threading
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, jsonify, request

from antifake.daemon.service import Event, Events

from .context import House
from .sessions import COOKIE, RefusedError

STREAMS = 8
"""Each keeps a thread of the server busy."""
HEARTBEAT_S = 15.0
_LOOK_S = 1.0
"""So often it is looked whether anybody still listens."""


def add(pages: Blueprint, house: House) -> None:
    room = threading.BoundedSemaphore(STREAMS)
    events = house.service.events

    @pages.get("/live")
    def live() -> Response:
        after = _after(request.headers.get("Last-Event-ID", request.args.get("after")), events)
        if not room.acquire(blocking=False):
            raise RefusedError("Too many pages are open; this one asks now and then.", 503)
        response = Response(_stream(events, after, _is_gone(house)), mimetype="text/event-stream")
        response.call_on_close(room.release)
        return response

    @pages.get("/news")
    def news() -> Response:
        after = _after(request.args.get("after"), events)
        found = events.after(after)
        last = found[-1].number if found else events.last if found is None else after
        told = [{"kind": one.kind, "data": one.data} for one in found or []]
        return jsonify(events=told, last=last, reset=found is None)

    @pages.get("/pieces/state")
    def state_piece() -> Response:
        return house.piece("_state.html", state=house.state())

    @pages.get("/pieces/notices")
    def notices_piece() -> Response:
        pending, here = house.access.pending(), request.args.get("on", "")
        return house.piece("_notices.html", state=house.state(), pending=pending, here=here)

    @pages.post("/changes/notices")
    def dismiss() -> Response:
        house.service.dismiss_notices()
        return jsonify(said="Read.")


def _stream(events: Events, number: int, is_gone: Callable[[], bool]) -> Iterator[str]:
    yield "retry: 3000\n\n"
    quiet_s = 0.0
    while not is_gone() and not events.is_closed:
        found = events.after(number, _LOOK_S)
        if found is None:
            number = events.last
            yield f"id: {number}\nevent: reset\ndata: {{}}\n\n"
        elif found:
            number = found[-1].number
            yield "".join(map(_lines, found))
        quiet_s = 0.0 if found else quiet_s + _LOOK_S
        if quiet_s >= HEARTBEAT_S:
            quiet_s = 0.0
            yield ": still here\n\n"


def _lines(event: Event) -> str:
    # Everything that is not ASCII is escaped, so no name can end a line.
    return f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"


def _is_gone(house: House) -> Callable[[], bool]:
    """Whether nobody listens any more, or nobody who may."""
    secret = request.cookies.get(COOKIE, "")
    # waitress knows it at once where it is told to look (channel_request_lookahead); without
    # that the next heartbeat finds out.
    is_closed: Callable[[], bool] = request.environ.get(
        "waitress.client_disconnected", lambda: False
    )
    return lambda: is_closed() or not house.access.is_session(secret)


def _after(text: str | None, events: Events) -> int:
    try:
        return int(text or "")
    except ValueError:
        return events.last
