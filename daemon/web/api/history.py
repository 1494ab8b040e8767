"""The history: its pages, its statistics, export to a file and import from one."""

import io
from collections import Counter
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any

from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response, jsonify, request

from antifake.core.i18n import _
from antifake.daemon.service import Service
from antifake.daemon.store.history import Filter
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.events import hung_up_check
from antifake.daemon.web.guards import MAX_FILE_BYTES, caller, requires

from . import schemas, serialize

routes = APIBlueprint("history", __name__, url_prefix="/api/v1", tag="History")

_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
_AS_JSONL: Any = {200: {"content": {_TYPES["jsonl"]: {"schema": {"type": "string"}}}}}
_NAMES = ("label", "source", "since", "until", "corrected", "declared", "folder", "model")


@routes.get("/checks")
@requires("read")
@routes.input(schemas.WantedPage, location="query", arg_name="query")
@routes.output(schemas.CheckPage)
def get_checks(query: dict[str, Any]) -> Response:
    """Get the history, newest first

    `next` is the cursor of the next page.
    """
    found, after = service().page(_filter(query), query.get("cursor"), query["limit"])
    return jsonify(checks=[serialize.check(one, caller()) for one in found], next=after)


@routes.get("/stats")
@requires("read")
@routes.input(schemas.Days, location="query", arg_name="query")
@routes.output(schemas.Stats)
def get_stats(query: dict[str, Any]) -> Response:
    """Count the checks of each day by verdict

    Days are in local time. Today is the last one.
    """
    return jsonify(stats(service(), query["days"]))


@routes.get("/history/export")
@requires("admin")
@routes.input(schemas.WantedExport, location="query", arg_name="query")
@routes.output(FileSchema(type="string", format="binary"), content_type="text/csv")
@routes.doc(responses=_AS_JSONL)
def export(query: dict[str, Any]) -> Response:
    """Export the history as a file

    It comes as it is read. If an error ends it, its last piece is missing, which HTTP shows.
    """
    form, wanted = query["form"], _filter(query)
    pieces = (piece.encode() for piece in service().export(form, wanted))
    first = next(pieces)  # so that an error still has its status
    headers = {"Content-Disposition": f'attachment; filename="antifake-history.{form}"'}
    kind = f"{_TYPES[form]}; charset=utf-8"
    return Response(chain([first], pieces), headers=headers, content_type=kind)


@routes.post("/history/import")
@requires("admin", types=tuple(_TYPES.values()), max_bytes=MAX_FILE_BYTES)
@routes.input(schemas.ImportForm, location="query", arg_name="query")
@routes.output(schemas.Imported)
def import_history(query: dict[str, Any]) -> Response:
    """Import what an export wrote

    Rows that exist already are counted and left as they are, so a large file can be sent in pieces,
    and one that was interrupted can be sent again. It ends soon after its sender is gone; what was
    imported stays.
    """
    hung_up = hung_up_check()
    try:
        done = service().import_rows(_lines(), query["form"], query["before"], hung_up)
    except UnicodeDecodeError:
        raise Problem(400, "bad_request", _("This is not UTF-8, so it is no history.")) from None
    return jsonify(serialize.imported(done))


@routes.get("/history/evidence")
@requires("admin")
@routes.output(schemas.Backfill)
def get_backfill() -> Response:
    """Get how many pictures were judged before antifake read what files say"""
    return jsonify(serialize.backfill(service().backfill.state()))


@routes.post("/history/evidence")
@requires("admin")
@routes.input(schemas.BackfillAction, arg_name="body")
@routes.output(schemas.Backfill, 202)
def act_on_backfill(body: dict[str, Any]) -> Response:
    """Read what the files of these pictures say, or stop that

    From the files that still are where they were, with the bytes that were judged. What was read
    before it was stopped is kept.
    """
    backfill = service().backfill
    backfill.start() if body["action"] == "read" else backfill.stop()
    response = jsonify(serialize.backfill(backfill.state()))
    response.status_code = 202
    return response


def _lines() -> io.StringIO:
    """Returns the body as text. Raises UnicodeDecodeError."""
    return io.StringIO(request.get_data(cache=False).decode("utf-8-sig"), newline="")


def stats(of: Service, days: int) -> dict[str, Any]:
    now = of.clock().astimezone()
    first = now.date() - timedelta(days=days - 1)
    since = datetime.combine(first, time(), now.tzinfo)
    offset = now.utcoffset() or timedelta()
    counted: dict[date, Counter[str]] = {}
    for one in of.count_by_day(since, now + timedelta(days=1), offset):
        counted.setdefault(one.day, Counter())[one.label or "failed"] += one.n
    listed = [first + timedelta(days=n) for n in range(days)]
    total = sum(counted.values(), Counter())
    return {
        "days": [{"day": day.isoformat(), **_row(counted.get(day, Counter()))} for day in listed],
        "total": _row(total),
    }


def _row(counter: Counter[str]) -> dict[str, int]:
    return {name: counter[name] for name in ("real", "fake", "unsure", "failed")}


def _filter(query: dict[str, Any]) -> Filter:
    given = {name: query[name] for name in _NAMES if name in query}
    return Filter(text=query.get("q", ""), **given)
