"""The page of one picture, and the review of one picture after another."""

from flask import Response, request, url_for

from antifake.daemon.service import Answer
from antifake.daemon.store import NotThereError
from antifake.daemon.store.history import Filter
from antifake.daemon.web.context import service

from . import wording
from .render import piece, routes, show

TO_REVIEW = (Filter(label="unsure", corrected=False), Filter(label="fake", corrected=False))
"""Verdicts "unsure" and "AI-made" that the user has not labelled."""


@routes.get("/picture/<name>")
def picture(name: str) -> Response:
    answer = service().get(name)
    return show("picture.html", one=answer, folder=_folder(answer))


@routes.get("/pieces/picture/<name>")
def picture_piece(name: str) -> Response:
    return piece("_said.html", one=service().get(name))


@routes.get("/thumb/<name>")
def thumb(name: str) -> Response:
    found = service().thumbnail(name)
    if found is None:
        raise NotThereError("There is no small picture of it (any more).")
    return Response(found, content_type="image/webp")


@routes.get("/review")
def review() -> Response:
    at, after = request.args.get("at"), request.args.get("after") or None
    done = min(request.args.get("done", 0, type=int), 1_000_000)
    left = sum(service().count(one) for one in TO_REVIEW)
    one = service().get(at) if at else _next(after)
    return show("review.html", one=one, done=max(0, done), left=left)


def _folder(answer: Answer) -> tuple[str, str | None] | None:
    """Returns the folder's name to show, and the address of the history of that folder."""
    folder = wording.folder_of(answer)
    if folder is None:
        return None
    can_be_sent = wording.can_be_sent(folder)
    return wording.inert(folder), url_for("pages.history", folder=folder) if can_be_sent else None


def _next(after: str | None) -> Answer | None:
    """Returns the newest picture that is older than `after`."""
    firsts = [service().page(wanted, after, 1)[0] for wanted in TO_REVIEW]
    names = [answers[0].id for answers in firsts if answers]
    return service().get(max(names)) if names else None
