"""The watched folders."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from antifake.daemon.config import Folder, whole_path
from antifake.daemon.store import NotThereError
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import door

from . import schemas, serialize

routes = APIBlueprint("watches", __name__, url_prefix="/api/v1", tag="Watched folders")


@routes.get("/watches")
@door("read")
@routes.output(schemas.Watches)
def get_watches() -> Response:
    """The watched folders, and what is wrong with them"""
    folders = [serialize.folder(one) for one in service().folders()]
    paused_until = service().state().paused_until
    return jsonify(folders=folders, paused_until=serialize.moment(paused_until))


@routes.post("/watches")
@door("admin")
@routes.input(schemas.FolderForm, arg_name="body")
@routes.output(schemas.FolderForm, 201)
def post_watch(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Watch a folder"""
    path = whole_path(body["path"])
    if path in _watched():
        raise Problem(409, "watched_already", f"{path} is watched already.")
    folder = Folder(
        path=path,
        include=tuple(body["include"]),
        exclude=tuple(body["exclude"]),
        recursive=body["recursive"],
        polling=body["polling"],
    )
    service().settings.watch(folder)
    return body | {"path": str(path)}, 201


@routes.delete("/watches")
@door("admin")
@routes.input(schemas.FolderPath, location="query", arg_name="query")
@routes.output({}, 204)
def delete_watch(query: dict[str, Any]) -> Response:
    """Watch a folder no more; its history stays"""
    path = whole_path(query["path"])
    if path not in _watched():
        raise NotThereError(f"{path} is not watched.")
    service().settings.unwatch(path)
    return Response(status=204)


@routes.post("/watches:pause")
@door("admin")
@routes.input(schemas.Pause, arg_name="body")
@routes.output(schemas.Paused)
def pause(body: dict[str, Any]) -> Response:
    """Leave folders alone for some minutes; null: go on"""
    minutes = body["minutes"]
    until = None if minutes is None else service().clock() + timedelta(minutes=minutes)
    config = service().settings.pause(until)
    return jsonify(paused_until=serialize.moment(config.watch.paused_until))


@routes.post("/watches:rescan")
@door("admin")
@routes.output({}, 202)
def rescan() -> Response:
    """Look through all of them soon"""
    service().rescan()
    return Response(status=202)


def _watched() -> set[Path]:
    return {folder.path for folder in service().config.watch.folders}
