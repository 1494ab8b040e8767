"""The settings in config.toml."""

from typing import TYPE_CHECKING

import click

from antifake.core.i18n import _
from antifake.core.terminal import Commands, json_option, say

from .printing import echo_json, echo_pairs

if TYPE_CHECKING:
    from antifake.daemon.config import Config

_TITLES = {
    "config": _("config"),
    "data": _("data"),
    "history": _("history"),
    "models": _("models"),
    "prompts": _("prompts"),
    "state": _("state"),
    "running": _("running"),
    "logs": _("logs"),
    "log": _("log"),
}
"""Names of places, for people."""


@click.group(cls=Commands)
def config() -> None:
    """Settings, and where files are kept."""


@config.command("show")
@json_option
def show(as_json: bool) -> None:
    """Show all settings that are in force."""
    from antifake.daemon.config import load, names, to_toml
    from antifake.daemon.places import places

    found = _without_password(load(places().config))
    if as_json:
        echo_json({name: _plain(found.get(name)) for name in names()})
    else:
        click.echo(to_toml(found).rstrip())


@config.command("get")
@click.argument("name")
@json_option
def get(name: str, as_json: bool) -> None:
    """Show one setting, like server.port, or a group of them, like server."""
    from antifake.daemon.config import load
    from antifake.daemon.places import places

    value = _plain(_without_password(load(places().config)).get(name))
    if as_json:
        echo_json(value)
    elif isinstance(value, dict):
        for key, one in value.items():
            click.echo(f"{name}.{key} = {_shown(one)}")
    else:
        click.echo(_shown(value))


@config.command("set")
@click.argument("name")
@click.argument("value")
def set_(name: str, value: str) -> None:
    """Change a setting; '' restores its default. A running daemon is told."""
    from antifake.daemon.config import AT_START, from_text, load, put, require_installed
    from antifake.daemon.places import places

    where = places()
    wanted = from_text(name, value)
    require_installed(where.home, load(where.config), {name: wanted})
    changed = put(where.config, name, wanted)
    if name.startswith("login."):
        from .autostart import keep_in_step, keep_menu_in_step

        if name == "login.start":
            keep_in_step(is_on=changed.login.start)
        else:
            keep_menu_in_step(is_on=changed.login.menu)
    value = _shown(_plain(_without_password(changed).get(name)))
    follow(_("{name} is {value}.", name=name, value=value), at_once=name not in AT_START)


def follow(sentence: str, *, at_once: bool = True) -> None:
    """Make a running daemon read the settings again; say what was changed, and whether it knows."""
    from antifake.daemon.client import DaemonError, find
    from antifake.daemon.places import places

    asked = find(places())
    if asked is None:
        say(sentence)
        return
    try:
        asked.reload_settings()
    except DaemonError as error:
        unknown = _("The running daemon does not know it yet: {error}", error=error)
        say(f"{sentence} {unknown}", err="yellow")
    else:
        when = (
            _("The running daemon knows.")
            if at_once
            else _("It counts from the daemon's next start on.")
        )
        say(f"{sentence} {when}")


@config.command("path")
@json_option
def path(as_json: bool) -> None:
    """Show where files are kept."""
    from antifake.daemon.places import places

    where = places()
    found = {
        "config": where.config,
        "data": where.data,
        "history": where.database,
        "models": where.home.models,
        "prompts": where.home.prompts,
        "state": where.state,
        "running": where.running,
        "logs": where.logs,
        "log": where.log,
    }
    if as_json:
        echo_json({name: str(one) for name, one in found.items()})
        return
    echo_pairs(((_TITLES[name], str(one)) for name, one in found.items()), 10)


def _without_password(config: "Config") -> "Config":
    """The password of a database server is for no screen, and for no log of a script."""
    from dataclasses import replace

    from antifake.daemon.redaction import without_password

    address = without_password(config.history.database)
    return replace(config, history=replace(config.history, database=address))


def _plain(value: object) -> object:
    """Returns the value in types that JSON has."""
    from dataclasses import asdict, is_dataclass
    from datetime import datetime
    from pathlib import Path

    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def _shown(value: object) -> str:
    import json

    if isinstance(value, str):
        return value or "''"
    return _("none") if value is None else json.dumps(value)
