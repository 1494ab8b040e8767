"""Pictures that the person gives to the page: dropped, pasted or chosen.

Raw bytes and nothing else: a browser does not tell where a file lies, and its bare name would be
no help in finding it again, so neither is asked for.
"""

import threading
from typing import Any

from flask import Blueprint, Response, jsonify, request

from antifake.daemon.service import Answer, CheckRequest, Ticket

from .context import House
from .history import DOOR, rendered
from .sessions import RefusedError, takes

BYTES = "application/octet-stream"
"""Like JSON, no form can send it."""
WAIT_S = 10.0
WAITING = 1
"""So many may wait at once, each keeping a thread of the server busy; others ask again."""


def add(pages: Blueprint, house: House) -> None:
    service = house.service
    room = threading.BoundedSemaphore(WAITING)

    def waited(ticket: Ticket) -> Ticket:
        if ticket.answer is not None or not room.acquire(blocking=False):
            return ticket
        try:
            return service.wait(ticket.id, WAIT_S)
        finally:
            room.release()

    @pages.post("/changes/check")
    @takes(BYTES)
    def check() -> Response:
        data = _sent(house.max_bytes)
        return _answered(waited(service.check(data, CheckRequest(source=DOOR))))

    @pages.get("/given/<name>")
    def given(name: str) -> Response:
        """One that was not done in time."""
        return _answered(waited(service.ticket(name)))


def _sent(max_bytes: int) -> bytes:
    """The body. Raises RefusedError."""
    length = request.content_length
    if length is None:
        raise RefusedError("Say how long the picture is.", 411)
    if length > max_bytes:
        raise RefusedError(f"At most {max_bytes:,} bytes are taken here.", 413)
    return request.get_data(cache=False)


def _answered(ticket: Ticket) -> Response:
    if ticket.answer is None:
        return jsonify(id=ticket.id, state=ticket.state, word=None, label=None)
    answer = ticket.answer
    about: dict[str, Any] = {
        "id": answer.id, "state": ticket.state, "word": answer.word, "label": answer.label,
        "verdict": rendered(answer), "is_kept": answer.is_stored,
    }  # fmt: skip
    if answer.entry.check.label is not None:
        return jsonify(about)
    response = jsonify(about | {"error": _why_not(answer)})
    response.status_code = 503 if answer.entry.check.code == "no_model" else 422
    return response


def _why_not(answer: Answer) -> str:
    return answer.entry.check.error or "It could not be checked."
