"""The commands on the watched folders."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antifake.core.errors import UsageError
from antifake.core.terminal import Commands, json_option, say

from .connection import connected
from .printing import echo_json, echo_table, local

if TYPE_CHECKING:
    from antifake.daemon.config import Folder


@click.group(cls=Commands)
def watch() -> None:
    """Folders in which every new picture is checked."""


@watch.command("add")
@click.argument("folder", metavar="DIR")
@click.option("--include", multiple=True, metavar="GLOB", help="Take only these files.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out these files or folders.")
@click.option("--no-recursive", is_flag=True, help="Leave out the folders below it.")
@click.option("--polling", is_flag=True, help="For drives that report no changes: look regularly.")
def add(
    folder: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_recursive: bool,
    polling: bool,
) -> None:
    """Start watching a folder."""
    from dataclasses import asdict

    from antifake.daemon.config import Folder, whole_path

    wanted = Folder(whole_path(folder, Path.cwd()), include, exclude, not no_recursive, polling)
    if not os.path.isdir(wanted.path):  # noqa: PTH112  # Path.is_dir() raises for a long name
        raise UsageError(f"{wanted.path} is not a folder.")
    outer = _around(wanted.path)
    with connected() as client:
        client.watch({**asdict(wanted), "path": str(wanted.path)})
    say(f"{wanted.path} is watched{'' if client.is_daemon else ' as soon as the daemon runs'}.")
    if outer is not None:
        say(f"It lies in {outer}, which is watched already; each file is checked once.")


@watch.command("remove")
@click.argument("folder", metavar="DIR")
def remove(folder: str) -> None:
    """Stop watching a folder. Its history is kept."""
    from antifake.daemon.config import whole_path

    path = whole_path(folder, Path.cwd())
    if path not in (known := [one.path for one in _watched()]):
        there = f"Watched are: {', '.join(map(str, known))}." if known else "Nothing is."
        raise UsageError(f"{path} is not watched. {there}")
    with connected() as client:
        client.unwatch(path)
    say(f"{path} is no longer watched.")


@watch.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the watched folders and their problems."""
    with connected() as client:
        found = client.watches()
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
@click.option("--hours", type=click.FloatRange(0, 8760, min_open=True), help="How long; default 1.")
@click.option(
    "--minutes", type=click.FloatRange(0, 525_600, min_open=True), help="The same, in minutes."
)
@click.option("--off", is_flag=True, help="End the pause.")
def pause(hours: float | None, minutes: float | None, off: bool) -> None:
    """Check nothing in the folders for a while. New pictures are checked afterwards."""
    if off and (hours or minutes):
        raise UsageError("--off ends a pause; it has no length.")
    span = None if off else 60 * (hours or 0) + (minutes or 0) or 60.0
    with connected() as client:
        until = client.pause(span)
    say(f"Paused until {local(until)}." if until else "The folders are watched again.")


def _watched() -> "tuple[Folder, ...]":
    from antifake.daemon.config import load
    from antifake.daemon.places import places

    return load(places().config).watch.folders


def _around(path: Path) -> Path | None:
    """Returns the watched folder that contains this one, if there is one."""
    return next(
        (one.path for one in _watched() if one.recursive and one.path in path.parents), None
    )


def _how(one: dict[str, Any]) -> str:
    words = [
        "with all below" if one["recursive"] else "itself only",
        *(["by polling"] if one["polling"] else []),
        *(f"only {pattern}" for pattern in one["include"]),
        *(f"not {pattern}" for pattern in one["exclude"]),
    ]
    return ", ".join(words)
