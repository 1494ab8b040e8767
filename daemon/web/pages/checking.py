"""Checks pictures that the user drops, pastes or chooses on the page.

The bytes are sent, and the name to recognise the picture by: a browser does not tell the path.
"""

from typing import Any

from flask import Response, jsonify, request

from antifake.core.i18n import ngettext
from antifake.daemon.service import CheckRequest, Ticket
from antifake.daemon.web.api.checks import failed, wait_for
from antifake.daemon.web.context import service
from antifake.daemon.web.guards import MAX_FILE_BYTES, requires_session

from . import wording
from .history import SOURCE, rendered
from .render import routes

BYTES = "application/octet-stream"
"""Like JSON, no form can send it."""
LONGEST_NAME = 255
WAIT_S = 10.0
SOON_S = 1.0
"""How long a request waits while the page shows for what it waits, such as the model."""


@routes.post("/changes/check")
@requires_session(types=(BYTES,), max_bytes=MAX_FILE_BYTES)
def check() -> Response:
    data = request.get_data(cache=False)
    name = request.args.get("name", "")[:LONGEST_NAME]
    asked = CheckRequest(source=SOURCE, name=name or None, client=SOURCE)
    return answered(wait_for(service().check(data, asked), patience_s()))


@routes.get("/given/<name>")
def given(name: str) -> Response:
    """Answers for a check that was not done in time."""
    return answered(wait_for(service().ticket(name), patience_s()))


def patience_s() -> float:
    return WAIT_S if service().model_state().phase == "ready" else SOON_S


def _cause(ticket: Ticket) -> str | None:
    """Returns for what a check waits, in words. None: it is being judged."""
    model, ahead = service().model_state(), service().ahead(ticket.id)
    if model.phase in ("asleep", "loading"):
        return wording.loading(model)
    if not ahead:
        return None
    return ngettext("{n:,} picture before it", "{n:,} pictures before it", ahead)


def answered(ticket: Ticket) -> Response:
    """Returns the answer. Raises Problem for a picture that could not be judged."""
    answer = ticket.answer
    if answer is None:
        waits_for = _cause(ticket)
        return jsonify(id=ticket.id, state=ticket.state, word=None, label=None, waits_for=waits_for)
    about: dict[str, Any] = {
        "id": answer.id,
        "state": ticket.state,
        "word": answer.word,
        "label": answer.label,
        "verdict": rendered(answer),
        "is_kept": answer.is_stored,
        "seen": answer.entry.times_seen if answer.is_stored else 1,
    }
    if answer.entry.check.label is None:
        raise failed(answer, **about)
    return jsonify(about)
