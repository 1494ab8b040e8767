"""Send pictures to be checked, get the results, correct and forget them."""

import re
import time
from typing import Any

from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response, jsonify, request

from antifake.core.errors import ModelError, UnreadableImageError
from antifake.core.i18n import _
from antifake.daemon.service import Answer, CheckRequest, Ticket
from antifake.daemon.store.jobs import Priority
from antifake.daemon.store.tables import Source
from antifake.daemon.web.context import context, service
from antifake.daemon.web.errors import RETRY_AFTER_S, Problem, problem_json
from antifake.daemon.web.events import hung_up_check
from antifake.daemon.web.guards import MAX_BODY_BYTES, MULTIPART, caller, client_name, may, requires

from . import schemas, serialize

routes = APIBlueprint("checks", __name__, url_prefix="/api/v1", tag="Checks")

NAMELESS = {None, "", "blob", "picture"}
"""File names in a form that say nothing: "blob" is of browsers, "picture" of our programs."""
DEFAULT_WAIT_S = 8.0
_POLL_S = 1.0
"""How often it is checked whether the client still waits."""
_NO_SEAT_S = 0.2
"""How long a request without a seat waits: long enough that clients which ask again at once cause
little work."""
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,6})\b")
_TICKET = {"application/json": {"schema": schemas.Ticket}}
_OTHERS: Any = {202: {"description": "Not done yet; ask again.", "content": _TICKET}}


@routes.post("/checks")
@requires("check", types=(MULTIPART,), max_bytes=MAX_BODY_BYTES)
@routes.input(schemas.CheckForm, location="form_and_files", arg_name="form")
@routes.output(schemas.Check, 201)
@routes.doc(
    responses=_OTHERS | {413: "Too large", 415: "Not a form", 429: "Come again", 503: "Come again"}
)
def post_check(form: dict[str, Any]) -> Response:
    """Check a picture

    Waits for the answer as long as `Prefer: wait=S` says, at most 20 seconds; 8 without it. A
    picture that cannot be judged is a problem 422 with its `check`. Bytes that were judged before
    are answered at once, and their check gets another of its `occurrences`.
    """
    if "path" in form and not may("admin"):
        raise Problem(403, "scope", _("Only programs on this computer may say where a file is."))
    _check_names()
    data = form["file"].read()
    ticket = service().check(data, _asked(form))
    if ticket.state != "done":
        ticket = wait_for(ticket, _preferred_wait_s())
    return _done(ticket.answer) if ticket.answer else _not_yet(ticket)


@routes.get("/checks/<name>")
@requires("check", "read")
@routes.input(schemas.Waiting, location="query", arg_name="query")
@routes.output(schemas.Check)
@routes.doc(responses=_OTHERS)
def get_check(name: str, query: dict[str, Any]) -> Response:
    """Get one check

    By its own id, or by the id that was given while it was not done.
    """
    ticket = wait_for(service().ticket(name), query["wait"])
    if ticket.answer is None:
        return _not_yet(ticket)
    return jsonify(serialize.check(ticket.answer, caller()))


@routes.get("/checks/<name>/thumbnail")
@requires("read")
@routes.output(FileSchema(type="string", format="binary"), content_type="image/webp")
def get_thumbnail(name: str) -> Response:
    """Get a small picture, made again from the pixels"""
    found = service().thumbnail(name)
    if found is None:
        raise Problem(404, "not_found", _("No small picture of it is kept."))
    headers = {"Content-Disposition": 'inline; filename="thumbnail.webp"'}
    return Response(found, headers=headers, content_type="image/webp")


@routes.put("/checks/<name>/label")
@requires("correct")
@routes.input(schemas.NewCorrection, arg_name="body")
@routes.output(schemas.Check)
def put_label(name: str, body: dict[str, Any]) -> Response:
    """Label a picture; the label overrides the model. "right" confirms the verdict"""
    return _one(_said([name], body))


@routes.delete("/checks/<name>/label")
@requires("correct")
@routes.output(schemas.Check)
def delete_label(name: str) -> Response:
    """Remove the label of a picture"""
    return _one(service().correct([name], None, _source()))


@routes.post("/labels:batch")
@requires("correct")
@routes.input(schemas.NewCorrections, arg_name="body")
@routes.output(schemas.Checks)
def label_many(body: dict[str, Any]) -> Response:
    """Label many pictures, all or none"""
    return _many(_said(body["ids"], body))


@routes.post("/labels:undo")
@requires("correct")
@routes.input(schemas.Undo, arg_name="body")
@routes.output(schemas.Checks)
def undo_labels(body: dict[str, Any]) -> Response:
    """Undo the last label of many pictures; the one before it counts again"""
    return _many(service().undo(body["ids"], _source_of(body)))


@routes.delete("/checks/<name>")
@requires("admin")
@routes.output({}, 204)
def forget_check(name: str) -> Response:
    """Erase all data of this picture

    A version that has learned from it keeps its hash and label; the next training does without.
    """
    service().get(name)
    service().forget([name])
    return Response(status=204)


@routes.post("/checks:forget")
@requires("admin")
@routes.input(schemas.Ids, arg_name="body")
@routes.output(schemas.Forgotten)
def forget_many(body: dict[str, Any]) -> Response:
    """Erase all data of these pictures

    A version that has learned from them keeps hashes and labels; the next training does without.
    """
    return jsonify(forgotten=service().forget(body["ids"]))


def _check_names() -> None:
    """Raises Problem: of two pictures or two names it would be unclear which one is meant."""
    for given in (request.files, request.form):
        for name, values in given.lists():
            if len(values) > 1:
                raise Problem(422, "invalid", _("The form has {name} more than once.", name=name))


def _asked(form: dict[str, Any]) -> CheckRequest:
    return CheckRequest(
        source=form.get("source") or _source(),
        priority=Priority.BATCH if form["priority"] == "batch" else Priority.PERSON,
        path=form.get("path") or None,
        page=form.get("page") or None,
        name=form.get("name") or _sent_name(form["file"].filename),
        is_private=form["private"],
        client=client_name(),
    )


def _sent_name(name: str | None) -> str | None:
    return None if name in NAMELESS else name


def _source() -> Source:
    return "extension" if caller().origin else "api"


def _source_of(correction: dict[str, Any]) -> Source:
    """Returns where a correction comes from. Raises Problem unless its sender may say so."""
    stated: Source | None = correction.get("source")
    if stated is None:
        return _source()
    if not may("admin"):
        raise Problem(403, "scope", _("Only programs on this computer may say which one they are."))
    return stated


def _preferred_wait_s() -> float:
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(found[1]), schemas.WAIT_S) if found else DEFAULT_WAIT_S


def wait_for(ticket: Ticket, seconds: float) -> Ticket:
    """Wait at most `seconds` for a check to be done. API and page share the seats.

    Without a free seat it hardly waits, because each waiting request holds a thread.
    """
    is_gone = hung_up_check()
    with context().waiting.seat() as has_one:
        end = time.monotonic() + (seconds if has_one else min(seconds, _NO_SEAT_S))
        while ticket.answer is None and (left := end - time.monotonic()) > 0:
            if is_gone() or service().events.is_closed:
                break
            ticket = service().wait(ticket.id, min(left, _POLL_S))
    return ticket


def failed(found: Answer, **members: Any) -> Problem:
    """Returns the problem for a picture that could not be judged."""
    check = found.entry.check
    is_ours = check.code == ModelError.code
    status = ModelError.status if is_ours else UnreadableImageError.status
    headers = {"Retry-After": str(RETRY_AFTER_S)} if is_ours else {}
    code = check.code or UnreadableImageError.code
    return Problem(status, code, check.error or _("It could not be checked."), headers, **members)


def _done(found: Answer) -> Response:
    check = serialize.check(found, caller())
    if found.entry.check.label is None:
        return problem_json(failed(found, check=check))
    response = jsonify(check)
    response.status_code = 201
    response.headers["Location"] = f"/api/v1/checks/{found.id}"
    return response


def _not_yet(ticket: Ticket) -> Response:
    response = jsonify(
        serialize.ticket(ticket, service().ahead(ticket.id), service().model_state())
    )
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/checks/{ticket.id}"
    response.headers["Retry-After"] = "1"
    return response


def _said(names: list[str], body: dict[str, Any]) -> list[Answer]:
    """Records what the user says of these pictures."""
    label, note, source = body["label"], body["note"], _source_of(body)
    if label == schemas.RIGHT:
        return service().confirm(names, source, note)
    return service().correct(names, label, source, note)


def _one(found: list[Answer]) -> Response:
    (answer,) = found
    return jsonify(serialize.check(answer, caller()))


def _many(found: list[Answer]) -> Response:
    return jsonify(checks=[serialize.check(one, caller()) for one in found])
