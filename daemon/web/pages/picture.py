"""The page of one picture, and the review of today's pictures, one after another."""

from typing import cast

from flask import Response, jsonify, request, url_for

from antifake.core.evidence.sentences import summary
from antifake.core.i18n import _, ngettext
from antifake.daemon.learning.review import SKIPPED_FOR, Order
from antifake.daemon.report import Format
from antifake.daemon.service import Answer
from antifake.daemon.web.api.reports import as_file
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem

from . import body, card, wording
from .filters import HistoryQuery, not_one_of
from .render import piece, routes, show
from .viewer import marks_of, report, view_of

ORDERS: dict[Order, str] = {
    "useful": _("Most useful first"),
    "oldest": _("Oldest first"),
    "unsure": _("Least sure first"),
}


@routes.get("/picture/<name>")
def picture(name: str) -> Response:
    answer, query = service().get(name), HistoryQuery.of(request.args)
    before, after = service().neighbours(name, query.filter(), query.sort)
    return show(
        "picture.html",
        one=answer,
        card=card.shown(answer),
        folder=_folder(answer),
        view=view_of(answer),
        parts=marks_of(answer),
        report=report(answer),
        query=query,
        before=before,
        after=after,
    )


@routes.get("/picture/<name>/report")
def picture_report(name: str) -> Response:
    """Sends a report as a file. The form of the page says which, and whether it tells the name."""
    kind = request.args.get("format")
    if kind not in ("html", "pdf"):
        raise Problem(400, "bad_request", _("A report is html or pdf."))
    return as_file(name, cast(Format, kind), with_name="named" in request.args)


@routes.get("/pieces/picture/<name>")
def picture_piece(name: str) -> Response:
    answer = service().get(name)
    return piece("_said.html", one=answer, card=card.shown(answer))


@routes.get("/review")
def review() -> Response:
    """Shows the first of today's pictures, or the one that the user comes back to."""
    order = request.args.get("order", "useful")
    if order not in ORDERS:
        raise Problem(400, "bad_request", not_one_of("order", ORDERS, order))
    queue, at = service().learning.review.today(order), request.args.get("at")
    items = {Answer(item.entry).id: item for item in queue.items}
    one = service().get(at) if at else next((Answer(one.entry) for one in queue.items), None)
    why = items[one.id].why if one and one.id in items else None
    return show(
        "review.html",
        one=one,
        why=why,
        about=_about(one) if one else "",
        view=view_of(one) if one else None,
        done=queue.done_today,
        left=len(items.keys() | ({one.id} if one else set())),
        later=queue.later,
        order=order,
        orders=ORDERS,
    )


@routes.post("/changes/skip")
def skip() -> Response:
    service().learning.review.skip(body.texts("ids"))
    said = ngettext(
        "Skipped. You are not asked about it again for {n} day.",
        "Skipped. You are not asked about it again for {n} days.",
        SKIPPED_FOR.days,
    )
    return jsonify(said=said)


def _about(answer: Answer) -> str:
    """Returns the sentence below the headline: what the file says, or what the verdict means."""
    return summary(answer.card) or answer.explanation[-1]


def _folder(answer: Answer) -> tuple[str, str | None] | None:
    """Returns the folder's name to show, and the address of the history of that folder."""
    folder = wording.folder_of(answer)
    if folder is None:
        return None
    can_be_sent = wording.can_be_sent(folder)
    return wording.inert(folder), url_for("pages.history", folder=folder) if can_be_sent else None
