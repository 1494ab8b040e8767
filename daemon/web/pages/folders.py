"""The watched folders: what is watched, what is wrong with it, and a pause for all of them."""

from datetime import timedelta
from pathlib import Path

from flask import Blueprint, Response, jsonify

from antifake.daemon.config import Folder, whole_path
from antifake.daemon.watcher import FolderState

from . import wording
from .context import House
from .sessions import RefusedError, said

MOST_MINUTES = 10_080


def add(pages: Blueprint, house: House) -> None:
    service = house.service

    @pages.get("/folders")
    def folders() -> Response:
        return house.show("folders.html", folders=_folders(house))

    @pages.get("/pieces/folders")
    def folders_piece() -> Response:
        return house.piece("_folders.html", state=house.state(), folders=_folders(house))

    @pages.post("/changes/folder")
    def watch() -> Response:
        path = whole_path(said("path", str).strip())
        service.settings.watch(
            Folder(
                path=path,
                include=tuple(_lines("include")),
                exclude=tuple(_lines("exclude")),
                recursive=said("recursive", bool),
                polling=said("polling", bool),
            )
        )
        return _changed(house, f"{wording.inert(str(path))} is watched from now on.")

    @pages.post("/changes/folder/remove")
    def unwatch() -> Response:
        path = _named(house, said("folder", int), said("path", str))
        service.settings.unwatch(path)
        return _changed(house, f"{wording.inert(str(path))} is not watched any more.")

    @pages.post("/changes/pause")
    def pause() -> Response:
        minutes = said("minutes", int)
        if not 0 <= minutes <= MOST_MINUTES:
            raise RefusedError(f"A pause can last up to {MOST_MINUTES} minutes.", 422)
        until = service.clock() + timedelta(minutes=minutes)
        service.settings.pause(until if minutes else None)
        words_ = f"Paused until {wording.local(until):%H:%M}." if minutes else "Watching again."
        return _changed(house, words_)

    @pages.post("/changes/rescan")
    def rescan() -> Response:
        service.rescan()
        return jsonify(said="Every folder is looked through again.")


def _lines(name: str) -> list[str]:
    return [line.strip() for line in said(name, str).splitlines() if line.strip()]


def _named(house: House, number: int, shown: str) -> Path:
    """The folder at a place of the list; its name alone need not be sayable in JSON."""
    watched = house.service.config.watch.folders
    if not 0 <= number < len(watched) or wording.inert(str(watched[number].path)) != shown:
        raise RefusedError("The list of folders has changed meanwhile; look at it again.", 409)
    return watched[number].path


def _folders(house: House) -> list[FolderState]:
    """As the watcher has them; as the settings have them where it does not run."""
    states = {state.folder: state for state in house.service.folders()}
    return [
        states.get(folder, FolderState(folder, folder.polling, None, 0))
        for folder in house.service.config.watch.folders
    ]


def _changed(house: House, sentence: str) -> Response:
    house.service.events.tell("watch")
    return jsonify(said=sentence)
