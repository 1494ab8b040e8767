"""The page of one picture, and the review of today's pictures, one after another."""

from flask import Response, jsonify, request, url_for

from antifake.daemon.learning.review import SKIPPED_FOR
from antifake.daemon.service import Answer
from antifake.daemon.web.context import service

from . import body, wording
from .filters import HistoryQuery
from .render import piece, routes, show
from .viewer import report, view_of


@routes.get("/picture/<name>")
def picture(name: str) -> Response:
    answer, query = service().get(name), HistoryQuery.of(request.args)
    before, after = service().neighbours(name, query.filter(), query.sort)
    return show(
        "picture.html",
        one=answer,
        folder=_folder(answer),
        view=view_of(answer),
        report=report(answer),
        query=query,
        before=before,
        after=after,
    )


@routes.get("/pieces/picture/<name>")
def picture_piece(name: str) -> Response:
    return piece("_said.html", one=service().get(name))


@routes.get("/review")
def review() -> Response:
    """Shows the first of today's pictures, or the one that the user comes back to."""
    queue, at = service().learning.review.today(), request.args.get("at")
    items = {Answer(item.entry).id: item for item in queue.items}
    one = service().get(at) if at else next((Answer(one.entry) for one in queue.items), None)
    why = items[one.id].why if one and one.id in items else None
    return show("review.html", one=one, why=why, done=queue.done_today, left=len(items))


@routes.post("/changes/skip")
def skip() -> Response:
    service().learning.review.skip(body.texts("ids"))
    return jsonify(said=f"Skipped. It is not asked about again for {SKIPPED_FOR.days} days.")


def _folder(answer: Answer) -> tuple[str, str | None] | None:
    """Returns the folder's name to show, and the address of the history of that folder."""
    folder = wording.folder_of(answer)
    if folder is None:
        return None
    can_be_sent = wording.can_be_sent(folder)
    return wording.inert(folder), url_for("pages.history", folder=folder) if can_be_sent else None
