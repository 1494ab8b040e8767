"""The page of the history, newest first, and the user's labels for its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any, cast
from urllib.parse import parse_qsl

from flask import Response, get_template_attribute, jsonify, redirect, request
from flask.typing import ResponseReturnValue

from antifake.core import Label
from antifake.core.i18n import _, ngettext
from antifake.daemon.service import Answer, AnswerGroup
from antifake.daemon.store import NotThereError
from antifake.daemon.store.history import Filter
from antifake.daemon.store.tables import Source
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import MAX_FILE_BYTES

from . import body, wording
from .confirming import Question, require_yes
from .filters import CORRECTED, SORTS, HistoryQuery, not_one_of
from .render import piece, routes, show

PAGE = 50
LONGEST_NOTE = 2_000
LABELS = ("right", "real", "fake", "unsure", "nothing")
"""What can be said of a picture: "right" confirms the verdict, "nothing" takes the answer back."""
LONGEST_LIST = 40
"""So many folders or models can be chosen from; those with the most pictures."""
VIEW = "antifake_view"
"""The cookie that remembers grid or list."""
YEAR_S = 31_536_000
SOURCE: Source = "page"
"""The source of corrections and pictures from here."""


_FORGOTTEN = (
    _(
        "A version that has learned from a forgotten picture keeps a hash of it and your answer, "
        "but no picture. The next training learns without it."
    ),
    _(
        "No file is deleted. A file that is still in a watched folder will be found and checked "
        "again."
    ),
)


@dataclass(frozen=True)
class Day:
    name: str
    date: date
    groups: list[AnswerGroup]


@routes.get("/")
def history() -> ResponseReturnValue:
    query = HistoryQuery.of(request.args)
    if "view" in request.args:
        return _remembered(request.args["view"], query)
    wanted = query.filter()
    groups, older = _groups(query, wanted)
    newest = service().page(wanted, None, 1)[0]
    counts = _counts(service().count_by_label(wanted))
    return show(
        "history.html",
        query=query,
        days=_sections(groups, query, wording.local(service().clock()).date()),
        older=older,
        n=counts.get(wanted.label or "", 0),
        counts=counts,
        declared=service().count(replace(wanted, declared=True)),
        sorts=SORTS,
        saved=service().saved_filters(),
        corrected_words=CORRECTED,
        max_bytes=MAX_FILE_BYTES,
        newest=newest[0].id if newest else "",
        is_grid=request.cookies.get(VIEW) != "list",
        folders=_choices(service().known_folders(), query.values.get("folder")),
        models=_choices(service().models(), query.values.get("model")),
        backfill=service().backfill.state(),
    )


@routes.get("/pieces/unread")
def unread() -> Response:
    return piece("_unread.html", backfill=service().backfill.state())


@routes.post("/changes/unread")
def act_on_unread() -> Response:
    """Reads what the files of older pictures say, or stops that."""
    action = body.value("action", str)
    if action not in ("read", "stop"):
        raise Problem(400, "bad_request", not_one_of("action", ("read", "stop"), action))
    backfill = service().backfill
    backfill.start() if action == "read" else backfill.stop()
    return jsonify(said="")


@routes.post("/changes/filters/save")
def save_filter() -> Response:
    """Gives a filter, the query of an address, a name."""
    name, given = body.value("name", str), dict(parse_qsl(body.value("query", str)))
    query = HistoryQuery.of(given)
    query.filter()
    if not query.encoded:
        raise Problem(400, "bad_request", _("There is no filter to save."))
    service().save_filter(name, query.encoded)
    return jsonify(said=_("Saved: {name}.", name=wording.inert(name.strip())))


@routes.post("/changes/filters/drop")
def drop_filter() -> Response:
    service().drop_filter(body.value("name", str))
    return jsonify(said=_("The saved filter is deleted; the pictures stay."))


def _remembered(view: str, query: HistoryQuery) -> ResponseReturnValue:
    """Keeps in the browser whether pictures are shown as a grid or as a list."""
    answer = redirect(f"/?{query.encoded}" if query.encoded else "/", 303)
    chosen = "list" if view == "list" else "grid"
    answer.set_cookie(VIEW, chosen, max_age=YEAR_S, httponly=True, samesite="Strict")
    return answer


@routes.get("/newer")
def newer() -> Response:
    """Answers how many checks are newer than the page. Stops counting after one page."""
    answers, _older = service().page(HistoryQuery.of(request.args).filter(), None, PAGE)
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
    if chosen not in LABELS:
        raise Problem(400, "bad_request", not_one_of("label", LABELS, chosen))
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
    names = sorted(set(body.texts("ids")))
    gone = service().to_forget(names)
    require_yes(_forgetting(names, len(gone)), *names, *gone)
    n = service().forget(names)
    return jsonify(said=ngettext("Forgotten: {n:,} check.", "Forgotten: {n:,} checks.", n))


def _forgetting(names: list[str], n_checks: int) -> Question:
    if len(names) == 1:
        name = wording.short(wording.name_of(service().get(names[0])))
        title = _("Forget “{name}”?", name=name)
    else:
        title = ngettext("Forget this picture?", "Forget these {n} pictures?", len(names))
    deletes = ngettext(
        "From the history and from every backup, this deletes {n:,} check, with its small picture "
        "and your answer. It cannot be undone.",
        "From the history and from every backup, this deletes {n:,} checks, with their small "
        "pictures and your answers. It cannot be undone.",
        n_checks,
    )
    return Question(title, (deletes, *_FORGOTTEN), _("Forget"), _("Keep"))


def _counts(by_label: Mapping[Label | None, int]) -> dict[str, int]:
    """Returns how many pictures each pill of the page stands for; "" is that for all."""
    counts = {name or "failed": n for name, n in by_label.items()}
    return counts | {"": sum(counts.values())}


def _choices(known: list[str], chosen: str | None) -> dict[str, str]:
    """Returns what can be chosen from a list, with the words for it."""
    found = dict.fromkeys([*([chosen] if chosen else []), *known[:LONGEST_LIST]])
    return {one: wording.short(wording.inert(one), 64) for one in found if wording.can_be_sent(one)}


def _groups(query: HistoryQuery, wanted: Filter) -> tuple[list[AnswerGroup], str | None]:
    """Returns what a page shows, and where the next begins. A group by itself is not grouped."""
    if not wanted.near:
        return service().grouped_page(wanted, query.after, PAGE, query.sort)
    answers, older = service().page(wanted, query.after, PAGE, query.sort)
    return [AnswerGroup(one, (), 0) for one in answers], older


def _sections(groups: list[AnswerGroup], query: HistoryQuery, today: date) -> list[Day]:
    """Returns the pictures by day; where they are not in the order of time, all together.

    A picture with near-copies is where the first of all in this order is: with the newest first, on
    the day of the newest.
    """
    if not query.is_by_time and groups:
        return [Day(SORTS[query.sort], today, groups)]
    return [
        Day(wording.day_name(day, today), day, list(some))
        for day, some in groupby(groups, lambda one: wording.day_of(one.first))
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
    n, words = len(answers), answers[0].word
    if n == 1:
        is_nothing = chosen == "nothing"
        return _("Your answer is taken back.") if is_nothing else _("{words}.", words=words)
    if chosen == "nothing":
        return ngettext("{n:,} answer is taken back.", "{n:,} answers are taken back.", n)
    if chosen == "right":
        return ngettext(
            "You said that {n:,} verdict is right.", "You said that {n:,} verdicts are right.", n
        )
    return ngettext("{words} ({n:,} picture).", "{words} ({n:,} pictures).", n, words=words)


def _undone(answers: list[Answer]) -> str:
    if len(answers) == 1:
        return _("Undone. It is “{words}” again.", words=answers[0].shown_word)
    return ngettext(
        "Undone: {n:,} picture is as before.", "Undone: {n:,} pictures are as before.", len(answers)
    )
