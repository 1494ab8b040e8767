"""The history, newest first, and what is said of the pictures in it."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, cast

from flask import Blueprint, Response, get_template_attribute, jsonify, request
from werkzeug.wrappers import Response as AnyResponse

from antifake.core import Label
from antifake.daemon.service import Answer
from antifake.daemon.store import NotThereError
from antifake.daemon.store.tables import Source

from . import wording
from .context import House
from .filters import CORRECTED, Wanted
from .sessions import RefusedError, said, said_list

PAGE = 50
LONGEST_NOTE = 2_000
DOOR: Source = "page"
"""Under which the person's word from here, and the pictures, stand in the log."""


@dataclass(frozen=True)
class Day:
    name: str
    date: date
    answers: list[Answer]


def add(pages: Blueprint, house: House) -> None:
    service = house.service

    @pages.get("/")
    def history() -> Response:
        wanted = Wanted.of(request.args)
        which = wanted.filter()
        answers, older = service.page(which, wanted.after, PAGE)
        newest = service.page(which, None, 1)[0] if wanted.after else answers[:1]
        return house.show(
            "history.html", wanted=wanted,
            days=_days(answers, wording.local(service.clock()).date()),
            older=older, n=service.count(which), corrected_words=CORRECTED,
            max_bytes=house.max_bytes,
            newest=newest[0].id if newest else "",
            folders=[str(one.path) for one in service.config.watch.folders],
        )  # fmt: skip

    @pages.get("/newer")
    def newer() -> Response:
        """How many came since the page was made, counted as far as one page goes."""
        answers, _ = service.page(Wanted.of(request.args).filter(), None, PAGE)
        n = sum(answer.id > request.args.get("than", "") for answer in answers)
        return jsonify(n=n, is_all=n < PAGE)

    @pages.get("/verdicts")
    def verdicts() -> Response:
        """The verdicts of some rows as they are now; those that are gone are left out."""
        names = [name for name in request.args.get("ids", "").split(",")[:500] if name]
        return jsonify({name: html for name in names if (html := _verdict(house, name))})

    _add_changes(pages, house)


def _add_changes(pages: Blueprint, house: House) -> None:
    service = house.service

    @pages.post("/changes/label")
    def label() -> Response:
        names, note = said_list("ids"), said("note", str)[:LONGEST_NOTE].strip()
        value = said("label", str)
        if value not in ("real", "fake", "unsure", "nothing"):
            raise RefusedError("label can be real, fake, unsure or nothing.", 400)
        what = None if value == "nothing" else cast(Label, value)
        answers = service.correct(names, what, DOOR, note)
        return jsonify(verdicts=_all_rendered(answers), said=_said(answers, what))

    @pages.post("/changes/undo")
    def undo() -> Response:
        answers = service.undo(said_list("ids"), DOOR)
        return jsonify(verdicts=_all_rendered(answers), said=_undone(answers))

    @pages.post("/changes/forget")
    def forget() -> Response:
        n = service.forget(said_list("ids"))
        return jsonify(said=f"Forgotten: {wording.several(n, 'check')}.")

    @pages.get("/thumb/<name>")
    def thumb(name: str) -> AnyResponse:
        picture = service.thumbnail(name)
        if picture is None:
            raise NotThereError("There is no small picture of it (any more).")
        return Response(picture, content_type="image/webp")


def _days(answers: list[Answer], today: date) -> list[Day]:
    return [
        Day(wording.day_name(day, today), day, list(some))
        for day, some in groupby(answers, lambda one: wording.local(one.entry.check.at).date())
    ]


def _verdict(house: House, name: str) -> str | None:
    try:
        return rendered(house.service.get(name))
    except NotThereError:
        return None


def _all_rendered(answers: list[Answer]) -> dict[str, str]:
    return {answer.id: rendered(answer) for answer in answers}


def rendered(answer: Answer) -> str:
    """The verdict as every row shows it, HTML."""
    verdict: Any = get_template_attribute("_verdict.html", "verdict")
    return str(verdict(answer, wording))


def _said(answers: list[Answer], what: Label | None) -> str:
    of_how_many = f" ({len(answers)} pictures)" if len(answers) > 1 else ""
    word = "Your word is taken back" if what is None else answers[0].word
    return f"{word}{of_how_many}."


def _undone(answers: list[Answer]) -> str:
    if len(answers) == 1:
        return f"Undone. It is “{answers[0].word}” again."
    return f"Undone: {wording.several(len(answers), 'picture')} as before."
