"""Reads and changes the settings by their dotted names."""

from datetime import datetime
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from antifake.core.i18n import _
from antifake.daemon.web.context import service
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import caller, requires

from . import schemas, serialize

routes = APIBlueprint("settings", __name__, url_prefix="/api/v1", tag="Settings")

_MOMENT = "watch.paused_until"


@routes.get("/settings")
@requires("read")
@routes.output(schemas.Settings)
def get_settings() -> Response:
    """Get all settings that are in force"""
    return _all()


@routes.patch("/settings")
@requires("admin")
# No schema: it would take a dotted name for a path into a nested object.
@routes.input(schemas.Settings, arg_name="body", validation=False)
@routes.output(schemas.Settings)
def patch_settings(body: Any) -> Response:
    """Change some settings, all or none; null restores a default"""
    if not isinstance(body, dict):
        raise Problem(422, "invalid", _("Settings are an object of names and values."))
    service().settings.put_all({name: _value(name, value) for name, value in body.items()})
    return _all()


@routes.post("/settings:reload")
@requires("admin")
@routes.output(schemas.Settings)
def reload() -> Response:
    """Read the settings file again"""
    service().settings.reload()
    return _all()


def _all() -> Response:
    return jsonify(serialize.settings(service().config, caller()))


def _value(name: str, value: Any) -> Any:
    """Returns the value as TOML can hold it. Raises Problem."""
    if value is None:
        return None
    if not _is_plain(value):
        raise Problem(422, "bad_setting", _("{name} cannot have this value.", name=name[:100]))
    if name == _MOMENT and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value  # reading it back reports what is wrong
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_text(key) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return _is_text(value) if isinstance(value, str) else value is not None


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
