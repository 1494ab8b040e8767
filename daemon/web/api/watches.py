"""The watched folders: list, add, remove, pause and rescan them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from antifake.core.i18n import _
from antifake.daemon.config import Folder, whole_path
from antifake.daemon.service.existing import Wish
from antifake.daemon.store import NotThereError
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import requires

from . import schemas, serialize

routes = APIBlueprint("watches", __name__, url_prefix="/api/v1", tag="Watched folders")


@routes.get("/watches")
@requires("read")
@routes.output(schemas.Watches)
def get_watches() -> Response:
    """List the watched folders and their problems"""
    folders = [serialize.folder(one) for one in service().folders()]
    paused_until = service().state().paused_until
    return jsonify(folders=folders, paused_until=serialize.moment(paused_until))


@routes.post("/watches")
@requires("admin")
@routes.input(schemas.FolderForm, arg_name="body")
@routes.output(schemas.FolderForm, 201)
def post_watch(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Watch a folder, or add patterns to one that is watched (200)"""
    path, is_new = watch(**body)
    return body | {"path": str(path)}, 201 if is_new else 200


def watch(  # noqa: PLR0913 - the fields of a form
    path: str,
    include: Sequence[str],
    exclude: Sequence[str],
    *,
    recursive: bool,
    polling: bool,
    existing: Wish = "ask",
) -> tuple[Path, bool]:
    """Watch a folder that the user typed, or add patterns to one that is watched.

    Returns its full path, and whether it is new. Raises Problem if there is nothing to add, and
    ConfigError.
    """
    whole = whole_path(path)
    wanted = Folder(whole, tuple(include), tuple(exclude), recursive=recursive, polling=polling)
    if whole not in _watched():
        service().watch(wanted, existing)
        return whole, True
    if not service().watch_too(wanted, existing):
        raise Problem(409, "watched_already", _("{folder} is watched already.", folder=whole))
    return whole, False


@routes.delete("/watches")
@requires("admin")
@routes.input(schemas.FolderPath, location="query", arg_name="query")
@routes.output({}, 204)
def delete_watch(query: dict[str, Any]) -> Response:
    """Stop watching a folder; its history is kept"""
    path = whole_path(query["path"])
    if path not in _watched():
        raise NotThereError(_("{folder} is not watched.", folder=path))
    service().settings.unwatch(path)
    return Response(status=204)


@routes.post("/watches:existing")
@requires("admin")
@routes.input(schemas.ExistingAction, arg_name="body")
@routes.output({}, 204)
def act_on_existing(body: dict[str, Any]) -> Response:
    """Check the pictures that a folder held before it was watched, pause that, or leave them"""
    service().act_on_existing(str(whole_path(body["path"])), body["action"])
    return Response(status=204)


@routes.post("/watches:pause")
@requires("admin")
@routes.input(schemas.Pause, arg_name="body")
@routes.output(schemas.Paused)
def pause(body: dict[str, Any]) -> Response:
    """Pause all folders for some minutes; null ends the pause"""
    return jsonify(paused_until=serialize.moment(pause_for(body["minutes"])))


def pause_for(minutes: float | None) -> datetime | None:
    """Pause all folders; None ends a pause. Returns when it ends."""
    until = None if minutes is None else service().clock() + timedelta(minutes=minutes)
    return service().settings.pause(until).watch.paused_until


@routes.post("/watches:rescan")
@requires("admin")
@routes.output({}, 202)
def rescan() -> Response:
    """Walk all folders soon"""
    service().rescan()
    return Response(status=202)


def _watched() -> set[Path]:
    return {folder.path for folder in service().config.watch.folders}
