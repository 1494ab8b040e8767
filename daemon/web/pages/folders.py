"""The page of watched folders: their problems, adding, removing, and a pause for all of them."""

from pathlib import Path
from typing import Any

from flask import Response, jsonify

from antifake.core.i18n import _, ngettext
from antifake.daemon.service.existing import Action
from antifake.daemon.web.api import watches
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem

from . import body, wording
from .render import piece, routes, show, state

MAX_MINUTES = 10_080
SAID: dict[Action, str] = {
    "check": _("The pictures that were there before are checked too, after new ones."),
    "pause": _("Checking the older pictures is paused."),
    "leave": _("Only new pictures are checked."),
}


@routes.get("/folders")
def folders() -> Response:
    return show("folders.html", **shown())


@routes.get("/pieces/folders")
def folders_piece() -> Response:
    return piece("_folders.html", state=state(), **shown())


@routes.post("/changes/folder")
def watch() -> Response:
    path, is_new = watches.watch(
        body.value("path", str).strip(),
        body.lines("include"),
        body.lines("exclude"),
        recursive=body.value("recursive", bool),
        polling=body.value("polling", bool),
    )
    name = wording.inert(str(path))
    if is_new:
        return _changed(_("{folder} is watched from now on.", folder=name))
    return _changed(_("{folder} was watched already. What you added counts now.", folder=name))


@routes.post("/changes/folder/remove")
def unwatch() -> Response:
    path = _named(body.value("folder", int), body.value("path", str))
    service().settings.unwatch(path)
    return _changed(_("{folder} is not watched any more.", folder=wording.inert(str(path))))


@routes.post("/changes/folder/existing")
def act_on_existing() -> Response:
    path = _named(body.value("folder", int), body.value("path", str))
    asked = body.value("action", str)
    action = next((one for one in SAID if one == asked), None)
    if action is None:
        raise Problem(
            422, "invalid", _("What was there already can be checked, paused or left out.")
        )
    service().act_on_existing(str(path), action)
    return jsonify(said=SAID[action])


@routes.post("/changes/pause")
def pause() -> Response:
    minutes = body.value("minutes", int)
    if not 0 <= minutes <= MAX_MINUTES:
        sentence = ngettext(
            "A pause can last up to {n} minute.", "A pause can last up to {n} minutes.", MAX_MINUTES
        )
        raise Problem(422, "invalid", sentence)
    until = watches.pause_for(minutes or None)
    if until is None:
        return _changed(_("Watching again."))
    return _changed(_("Paused until {time:%H:%M}.", time=wording.local(until)))


@routes.post("/changes/rescan")
def rescan() -> Response:
    service().rescan()
    return jsonify(said=_("All folders are looked through again."))


def _named(number: int, shown: str) -> Path:
    """Returns the folder at a place of the list. Not every folder name can be sent as JSON."""
    watched = service().config.watch.folders
    if not 0 <= number < len(watched) or wording.inert(str(watched[number].path)) != shown:
        raise Problem(
            409, "refused", _("The list of folders has changed in the meantime; look at it again.")
        )
    return watched[number].path


def shown() -> dict[str, Any]:
    return {"folders": service().folders(), "downloads": str(Path.home() / "Downloads")}


def _changed(sentence: str) -> Response:
    service().events.tell("watch")
    return jsonify(said=sentence)
