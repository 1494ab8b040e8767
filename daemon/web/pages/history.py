"""The page of the history, newest first, and the user's labels for its pictures."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, cast
from urllib.parse import urlencode

from flask import Response, get_template_attribute, jsonify, redirect, request
from flask.typing import ResponseReturnValue

from antifake.core import Label
from antifake.daemon.service import Answer
from antifake.daemon.store import NotThereError
from antifake.daemon.store.tables import Source
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import MAX_FILE_BYTES

from . import body, wording
from .filters import CORRECTED, HistoryQuery
from .render import routes, show

PAGE = 50
LONGEST_NOTE = 2_000
VIEW = "antifake_view"
"""The cookie that remembers grid or list."""
YEAR_S = 31_536_000
SOURCE: Source = "page"
"""The source of corrections and pictures from here."""


@dataclass(frozen=True)
class Day:
    name: str
    date: date
    answers: list[Answer]


@routes.get("/")
def history() -> ResponseReturnValue:
    query = HistoryQuery.of(request.args)
    if "view" in request.args:
        return _remembered(request.args["view"], query)
    wanted = query.filter()
    answers, older = service().page(wanted, query.after, PAGE)
    newest = service().page(wanted, None, 1)[0] if query.after else answers[:1]
    return show(
        "history.html",
        query=query,
        days=_days(answers, wording.local(service().clock()).date()),
        older=older,
        n=service().count(wanted),
        corrected_words=CORRECTED,
        max_bytes=MAX_FILE_BYTES,
        newest=newest[0].id if newest else "",
        is_grid=request.cookies.get(VIEW) != "list",
        folders=[str(one.path) for one in service().config.watch.folders],
    )


def _remembered(view: str, query: HistoryQuery) -> ResponseReturnValue:
    """Keeps in the browser whether pictures are shown as a grid or as a list."""
    answer = redirect(f"/?{urlencode(query.address)}" if query.address else "/", 303)
    chosen = "list" if view == "list" else "grid"
    answer.set_cookie(VIEW, chosen, max_age=YEAR_S, httponly=True, samesite="Strict")
    return answer


@routes.get("/newer")
def newer() -> Response:
    """Answers how many checks are newer than the page. Stops counting after one page."""
    answers, _ = service().page(HistoryQuery.of(request.args).filter(), None, PAGE)
    n = sum(answer.id > request.args.get("than", "") for answer in answers)
    return jsonify(n=n, is_all=n < PAGE)


@routes.get("/verdicts")
def verdicts() -> Response:
    """Answers the current verdicts of some rows. Leaves out rows that are gone."""
    names = [name for name in request.args.get("ids", "").split(",")[:500] if name]
    return jsonify({name: html for name in names if (html := _verdict(name))})


@routes.post("/changes/label")
def label() -> Response:
    names, note = body.texts("ids"), body.value("note", str)[:LONGEST_NOTE].strip()
    chosen = body.value("label", str)
    if chosen not in ("right", "real", "fake", "unsure", "nothing"):
        raise Problem(400, "bad_request", "label can be right, real, fake, unsure or nothing.")
    if chosen == "right":
        answers = service().confirm(names, SOURCE, note)
    else:
        what = None if chosen == "nothing" else cast(Label, chosen)
        answers = service().correct(names, what, SOURCE, note)
    return jsonify(verdicts=_all_rendered(answers), said=_said(answers, chosen))


@routes.post("/changes/undo")
def undo() -> Response:
    answers = service().undo(body.texts("ids"), SOURCE)
    return jsonify(verdicts=_all_rendered(answers), said=_undone(answers))


@routes.post("/changes/forget")
def forget() -> Response:
    n = service().forget(body.texts("ids"))
    return jsonify(said=f"Forgotten: {wording.several(n, 'check')}.")


def _days(answers: list[Answer], today: date) -> list[Day]:
    return [
        Day(wording.day_name(day, today), day, list(some))
        for day, some in groupby(answers, lambda one: wording.local(one.entry.check.at).date())
    ]


def _verdict(name: str) -> str | None:
    try:
        return rendered(service().get(name))
    except NotThereError:
        return None


def _all_rendered(answers: list[Answer]) -> dict[str, str]:
    return {answer.id: rendered(answer) for answer in answers}


def rendered(answer: Answer) -> str:
    """Returns the verdict as HTML, as every row shows it."""
    verdict: Any = get_template_attribute("_verdict.html", "verdict")
    return str(verdict(answer, wording))


def _said(answers: list[Answer], chosen: str) -> str:
    if chosen == "right" and len(answers) > 1:
        return f"You said that {len(answers)} verdicts are right."
    of_how_many = f" ({len(answers)} pictures)" if len(answers) > 1 else ""
    word = "Your word is taken back" if chosen == "nothing" else answers[0].word
    return f"{word}{of_how_many}."


def _undone(answers: list[Answer]) -> str:
    if len(answers) == 1:
        return f"Undone. It is “{answers[0].word}” again."
    return f"Undone: {wording.several(len(answers), 'picture')} as before."
