"""The welcome: what antifake does, and what to set up first. Every step can be left out."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
from flask import Response, jsonify, url_for

from antifake.core.i18n import _
from antifake.core.samples import Sample, shown_samples
from antifake.daemon.autostart import has_menu
from antifake.daemon.service import CheckRequest
from antifake.daemon.store.history import Filter
from antifake.daemon.web.api import watches
from antifake.daemon.web.api.checks import wait_for
from antifake.daemon.web.context import context, service
from antifake.daemon.web.errors import Problem

from . import body, browsers, folders, settings, wording
from .checking import answered, patience_s
from .history import SOURCE
from .render import piece, routes, show

STEPS = {
    "about": _("What antifake does"),
    "folders": _("Folders to watch"),
    "notifications": _("Notifications"),
    "start": _("Starting"),
    "browser": _("Your browser"),
    "samples": _("Try it"),
}
EXTENSION = Path(__file__).resolve().parents[3] / "extension"
"""Where the browser extension lies in a checkout."""


class Suggestion(NamedTuple):
    """A folder that many people watch."""

    key: str
    path: Path
    is_watched: bool


@routes.get("/welcome")
def welcome() -> Response:
    return _show("about")


@routes.get("/welcome/<step>")
def welcome_step(step: str) -> Response:
    if step not in STEPS:
        raise Problem(404, "not_found", _("The welcome has no such step."))
    return _show(step)


@routes.get("/welcome/sample/<name>")
def welcome_sample(name: str) -> Response:
    return Response(_sample(name).path.read_bytes(), content_type="image/jpeg")


@routes.get("/pieces/suggestions")
def suggestions_piece() -> Response:
    return piece("_welcome_suggestions.html", suggestions=_suggestions())


@routes.get("/pieces/starting")
def starting_piece() -> Response:
    return piece("_welcome_starting.html", **_starting())


@routes.post("/changes/welcome/folders")
def welcome_folders() -> Response:
    chosen = [str(one.path) for one in _suggestions() if body.value(one.key, bool)]
    if other := body.value("other", str).strip():
        chosen.append(other)
    if not chosen:
        raise Problem(422, "invalid", _("Choose a folder, or go on without one."))
    for path in chosen:
        watches.watch(path, [], [], recursive=True, polling=False)
    service().events.tell("watch")
    return jsonify(
        said=_("New pictures in {folders} are checked from now on.", folders=_and(chosen))
    )


@routes.post("/changes/welcome/icon")
def welcome_icon() -> Response:
    if (start := context().about.show_icon) is None:
        raise Problem(422, "invalid", _("antifake was started where there is no screen."))
    start()
    return jsonify(said=_("The icon appears in a moment, if your desktop has a place for icons."))


@routes.post("/changes/welcome/sample")
def try_sample() -> Response:
    sample = _sample(body.value("name", str))
    asked = CheckRequest(source=SOURCE, name=sample.name, client=SOURCE)
    return answered(wait_for(service().check(sample.path.read_bytes(), asked), patience_s()))


@routes.post("/changes/welcome/end")
def end_welcome() -> Response:
    service().settings.put("page.welcome", False)
    return jsonify(said="")


def is_first_visit() -> bool:
    """Returns whether to begin with the welcome: nothing is set up, and nothing was checked."""
    config = service().config
    if not config.page.welcome or config.watch.folders:
        return False
    return not service().page(Filter(), None, 1)[0]


def _show(step: str) -> Response:
    names = list(STEPS)
    at = names.index(step)
    links = [url_for("pages.welcome_step", step=name) for name in names]
    return show(
        "welcome.html",
        step=step,
        steps=list(STEPS.items()),
        at=at,
        before=links[at - 1] if at else None,
        after=links[at + 1] if at + 1 < len(links) else None,
        **_OF_STEP[step](),
    )


def _about() -> dict[str, Any]:
    return {}


def _folders() -> dict[str, Any]:
    return {"suggestions": _suggestions(), **folders.shown()}


def _notifications() -> dict[str, Any]:
    names = ("notifications.level", "notifications.pictures", "notifications.quiet_hours")
    chosen = [settings.setting(service().config, name) for name in names]
    return {"settings": chosen, "can_show_icon": context().about.show_icon is not None}


def _starting() -> dict[str, Any]:
    return {"login": service().config.login, "has_menu": has_menu()}


def _browser() -> dict[str, Any]:
    there = (EXTENSION / "manifest.json").is_file()
    return {
        "extension": str(EXTENSION) if there else None,
        "chromium": "chrome://extensions",
        "firefox": "about:debugging#/runtime/this-firefox",
        **browsers.clients(),
    }


def _try() -> dict[str, Any]:
    return {"samples": shown_samples()}


_OF_STEP = {
    "about": _about,
    "folders": _folders,
    "notifications": _notifications,
    "start": _starting,
    "browser": _browser,
    "samples": _try,
}


def _suggestions() -> list[Suggestion]:
    watched = {folder.path for folder in service().config.watch.folders}
    known = {
        "downloads": platformdirs.user_downloads_path(),
        "pictures": platformdirs.user_pictures_path(),
        "desktop": platformdirs.user_desktop_path(),
    }
    there = {key: path for key, path in known.items() if path.is_dir()}
    return [Suggestion(key, path, path in watched) for key, path in there.items()]


@cache
def _samples() -> dict[str, Sample]:
    return {sample.name: sample for sample in shown_samples()}


def _sample(name: str) -> Sample:
    if name not in _samples():
        raise Problem(404, "not_found", _("There is no such sample."))
    return _samples()[name]


def _and(paths: list[str]) -> str:
    *others, last = [wording.inert(path) for path in paths]
    if not others:
        return last
    return _("{others} and {last}", others=", ".join(others), last=last)
