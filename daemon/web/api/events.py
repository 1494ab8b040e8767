"""What happens, as it happens: a stream for pages, one long answer for programs."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from antifake.daemon.service import Event, Events
from antifake.daemon.web.context import access, behind, no_room, service
from antifake.daemon.web.guards import caller, door

from . import schemas, serialize

routes = APIBlueprint("events", __name__, url_prefix="/api/v1", tag="Events")

HEARTBEAT_S = 15.0
_LOOK_S = 0.5
"""So often it is looked whether anybody still listens."""
_STREAM, _JSON = "text/event-stream", "application/json"


@routes.get("/events")
@door("read")
@routes.input(schemas.Since, location="query", arg_name="query")
@routes.output(schemas.Events)
@routes.doc(responses={503: "Too many listen already"})
def get_events(query: dict[str, Any]) -> Response:
    """What has happened since `after`

    As text/event-stream it goes on; asked for as application/json it is one answer, which
    comes as soon as something happens, or after `wait` seconds. `reset` means that some of it is
    lost: ask for the state anew.
    """
    events = service().events
    after = query.get("after", _last_heard(events))
    if request.accept_mimetypes.best_match([_STREAM, _JSON], _STREAM) == _JSON:
        return _long_answer(events, after, query["wait"])
    room = behind().streams
    if not room.enter():
        raise no_room("streams")
    response = Response(stream(events, after, _is_gone()), content_type=_STREAM)
    response.call_on_close(room.leave)
    return response


def stream(
    events: Events, number: int, is_gone: Callable[[], bool], heartbeat_s: float = HEARTBEAT_S
) -> Iterator[bytes]:
    """Until nobody listens any more who may, or the daemon stops."""
    yield b": antifake\n\n"  # the listener knows at once that it is heard
    spoken = time.monotonic()
    while not events.is_closed:
        found = events.after(number, _LOOK_S)
        if is_gone():
            break
        if found is None:
            number = events.last
            yield _lines(number, "reset", {})
        elif found:
            number = found[-1].number
            yield b"".join(_lines(one.number, one.kind, one.data) for one in found)
        elif time.monotonic() - spoken >= heartbeat_s:
            yield b": still here\n\n"
        else:
            continue
        spoken = time.monotonic()


def _lines(number: int, kind: str, data: dict[str, Any]) -> bytes:
    """JSON in ASCII has no line ends of its own."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode("ascii")


def _long_answer(events: Events, after: int, wait_s: float) -> Response:
    found = events.after(after)
    if found == [] and wait_s:
        with behind().streams.seat() as has_one:
            found = _wait(events, after, wait_s) if has_one else found
    last = events.last if found is None else found[-1].number if found else after
    told = [serialize.event(one) for one in found or []]
    return jsonify(events=told, last=last, reset=found is None)


def _wait(events: Events, after: int, wait_s: float) -> list[Event] | None:
    end, is_gone = time.monotonic() + wait_s, _is_gone()
    found: list[Event] | None = []
    while found == [] and (left := end - time.monotonic()) > 0 and not events.is_closed:
        found = events.after(after, min(left, _LOOK_S))
        if is_gone():
            return []
    return found


def _is_gone() -> Callable[[], bool]:
    """Whether nobody listens any more, or somebody whose token was revoked meanwhile."""
    hung_up: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    is_revoked, token_id = access().is_revoked, caller().id
    return lambda: hung_up() or is_revoked(token_id)


def _last_heard(events: Events) -> int:
    """As a browser says it that has lost the stream."""
    said = request.headers.get("Last-Event-ID", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else events.last
