"""The watched folders. A running daemon is asked; where none runs, the settings are changed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antifake.core.errors import UsageError
from antifake.core.terminal import Commands, json_option, say

from .printing import echo_json, echo_table, local

if TYPE_CHECKING:
    from datetime import datetime

    from antifake.daemon.config import Folder


@click.group(cls=Commands)
def watch() -> None:
    """Folders in which every new picture is checked."""


@watch.command("add")
@click.argument("folder", metavar="DIR")
@click.option("--include", multiple=True, metavar="GLOB", help="Take only these files.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out these files or folders.")
@click.option("--no-recursive", is_flag=True, help="Not the folders below it.")
@click.option("--polling", is_flag=True, help="For drives that tell of no changes: look again.")
def add(
    folder: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_recursive: bool,
    polling: bool,
) -> None:
    """Watch a folder from now on."""
    from dataclasses import asdict

    from antifake.daemon.client import find
    from antifake.daemon.config import Folder, add_folder, whole_path
    from antifake.daemon.places import places

    wanted = Folder(whole_path(folder, Path.cwd()), include, exclude, not no_recursive, polling)
    if not os.path.isdir(wanted.path):  # noqa: PTH112  # Path.is_dir() raises for a long name
        raise UsageError(f"{wanted.path} is not a folder.")
    outer = _around(wanted.path)
    asked = find(places())
    if asked is not None:
        asked.post("/watches", {**asdict(wanted), "path": str(wanted.path)})
    else:
        add_folder(places().config, wanted)
    say(f"{wanted.path} is watched{'' if asked else ' as soon as the daemon runs'}.")
    if outer is not None:
        say(f"It lies in {outer}, which is watched already; each file is checked once.")


@watch.command("remove")
@click.argument("folder", metavar="DIR")
def remove(folder: str) -> None:
    """Watch a folder no more. Its history stays."""
    from urllib.parse import urlencode

    from antifake.daemon.client import find
    from antifake.daemon.config import remove_folder, whole_path
    from antifake.daemon.places import places

    path = whole_path(folder, Path.cwd())
    if path not in (known := [one.path for one in _watched()]):
        there = f"Watched are: {', '.join(map(str, known))}." if known else "Nothing is."
        raise UsageError(f"{path} is not watched. {there}")
    asked = find(places())
    if asked is not None:
        asked.ask("DELETE", f"/watches?{urlencode({'path': str(path)})}")
    else:
        remove_folder(places().config, path)
    say(f"{path} is watched no more.")


@watch.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The watched folders, and what is wrong with them."""
    found = _state()
    if as_json:
        echo_json(found)
        return
    if not found["folders"]:
        say("No folder is watched: `antifake watch add DIR`.")
    else:
        rows = [
            [one["path"], _how(one), one["problem"] or f"{one['pending'] or 'none'} waiting"]
            for one in found["folders"]
        ]
        echo_table(["FOLDER", "HOW", "STATE"], rows)
    if found["paused_until"]:
        say(f"Paused until {local(found['paused_until'])}.")


@watch.command("pause")
@click.option("--hours", type=click.FloatRange(0, 8760, min_open=True), help="So long; else one.")
@click.option("--minutes", type=click.FloatRange(0, 525_600, min_open=True), help="The same.")
@click.option("--off", is_flag=True, help="Go on.")
def pause(hours: float | None, minutes: float | None, off: bool) -> None:
    """Check nothing in the folders for a while; it is caught up with afterwards."""
    if off and (hours or minutes):
        raise UsageError("--off ends a pause; it has no length.")
    span = None if off else 60 * (hours or 0) + (minutes or 0) or 60.0
    until = _pause(span)
    say(f"Paused until {local(until)}." if until else "The folders are watched again.")


def _pause(minutes: float | None) -> str | None:
    from antifake.daemon.client import find
    from antifake.daemon.config import put
    from antifake.daemon.places import places

    asked = find(places())
    if asked is not None:
        until = asked.post("/watches:pause", {"minutes": minutes})["paused_until"]
        return None if until is None else str(until)
    moment = None if minutes is None else _in(minutes)
    put(places().config, "watch.paused_until", moment)
    return None if moment is None else moment.isoformat()


def _in(minutes: float) -> "datetime":
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(minutes=minutes)).replace(microsecond=0)


def _watched() -> "tuple[Folder, ...]":
    from antifake.daemon.config import load
    from antifake.daemon.places import places

    return load(places().config).watch.folders


def _around(path: Path) -> Path | None:
    """A watched folder that this one lies in."""
    return next(
        (one.path for one in _watched() if one.recursive and one.path in path.parents), None
    )


def _state() -> dict[str, Any]:
    from dataclasses import asdict
    from datetime import UTC, datetime

    from antifake.daemon.client import find
    from antifake.daemon.config import load
    from antifake.daemon.places import places
    from antifake.daemon.watcher.roots import objection_to

    asked = find(places())
    if asked is not None:
        return dict(asked.get("/watches"))
    settings = load(places().config).watch
    until = settings.paused_until
    folders = [
        {**asdict(one), "path": str(one.path), "problem": objection_to(str(one.path)), "pending": 0}
        for one in settings.folders
    ]
    is_paused = until is not None and until > datetime.now(UTC)
    return {"folders": folders, "paused_until": until.isoformat() if until and is_paused else None}


def _how(one: dict[str, Any]) -> str:
    words = [
        "with all below" if one["recursive"] else "itself only",
        *(["by polling"] if one["polling"] else []),
        *(f"only {pattern}" for pattern in one["include"]),
        *(f"not {pattern}" for pattern in one["exclude"]),
    ]
    return ", ".join(words)
