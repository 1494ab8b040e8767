"""Answers with events: a stream for as long as the client listens, or one answer that waits.

API and pages use both, and share the seats.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from flask import Response, jsonify, request

from antifake.core.i18n import _
from antifake.daemon.service import Event, Events

from .context import context, service
from .errors import Problem
from .guards import access_ended

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
POLL_S = 0.5
"""How often it is checked whether the client still listens."""
FIRST = b": antifake\nretry: 3000\n\n"
"""Sent at once, so that the client knows that it is connected. A browser that loses the stream
reconnects after this many milliseconds."""


def streamed(after: int | None) -> Response:
    """Returns a stream of the events after a number, as text/event-stream. Raises Problem."""
    events, seats = service().events, context().streams
    if not seats.take():
        raise Problem(
            503, "too_many_open", _("Too many streams are open already."), {"Retry-After": "5"}
        )
    lines = stream(events, _last_heard(events, after), _is_gone())
    response = Response(lines, content_type=MEDIA_TYPE)
    response.call_on_close(seats.give_back)
    return response


def polled(after: int | None, wait_s: float = 0.0) -> Response:
    """Returns the events after a number, as JSON, once there is one or after `wait_s`.

    `reset` means that some events are lost and that the client must ask for the state again.
    """
    events = service().events
    number = _last_heard(events, after)
    found = events.after(number)
    if found == [] and wait_s:
        with context().streams.seat() as has_one:
            found = _wait(events, number, wait_s) if has_one else found
    last = events.last if found is None else found[-1].number if found else number
    told = [asdict(one) for one in found or []]
    return jsonify(events=told, last=last, reset=found is None)


def stream(
    events: Events, number: int, is_gone: Callable[[], bool], heartbeat_s: float = HEARTBEAT_S
) -> Iterator[bytes]:
    """Yields the lines of a stream, until the client is gone or the daemon stops."""
    yield FIRST
    spoken = time.monotonic()
    while not events.is_closed:
        found = events.after(number, POLL_S)
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
    # JSON in ASCII contains no line ends, so no name can end a line.
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode("ascii")


def _wait(events: Events, after: int, wait_s: float) -> list[Event] | None:
    end, is_gone = time.monotonic() + wait_s, _is_gone()
    found: list[Event] | None = []
    while found == [] and (left := end - time.monotonic()) > 0 and not events.is_closed:
        found = events.after(after, min(left, POLL_S))
        if is_gone():
            return []
    return found


def _is_gone() -> Callable[[], bool]:
    """Returns a check of whether the client has gone or lost its access."""
    hung_up, ended = hung_up_check(), access_ended()
    return lambda: hung_up() or ended()


def hung_up_check() -> Callable[[], bool]:
    """Returns a check of whether the sender of this request has closed the connection."""
    found: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    return found


def _last_heard(events: Events, after: int | None) -> int:
    """Returns the last event that the client got.

    A browser that reconnects sends it in a header. The number in the address is older then.
    """
    said = request.headers.get("Last-Event-ID", "")
    if said.isascii() and said.isdigit() and len(said) < 19:
        return int(said)
    return events.last if after is None else after
