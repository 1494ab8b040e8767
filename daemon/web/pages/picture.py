"""One picture: its verdict in sentences, the person's word, and what is known of it."""

from flask import Blueprint, Response, url_for

from antifake.daemon.service import Answer

from . import wording
from .context import House


def add(pages: Blueprint, house: House) -> None:
    service = house.service

    @pages.get("/picture/<name>")
    def picture(name: str) -> Response:
        answer = service.get(name)
        return house.show("picture.html", one=answer, folder=_folder(answer))

    @pages.get("/pieces/picture/<name>")
    def picture_piece(name: str) -> Response:
        return house.piece("_said.html", one=service.get(name))


def _folder(answer: Answer) -> tuple[str, str | None] | None:
    """In words, and where the history shows only it."""
    folder = wording.folder_of(answer)
    if folder is None:
        return None
    can_be_sent = wording.can_be_sent(folder)
    return wording.inert(folder), url_for("pages.history", folder=folder) if can_be_sent else None
