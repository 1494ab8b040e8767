"""The commands on the watched folders."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antifake.core.errors import UsageError
from antifake.core.terminal import Commands, json_option, progress_bar, say

from .connection import connected
from .printing import echo_json, echo_table, local

if TYPE_CHECKING:
    from antifake.daemon.client import Client
    from antifake.daemon.config import Folder

COUNTING_S = 120
"""A person waits for the count no longer than this; it goes on in the daemon."""
SCRIPT_S = 3
"""A script does not."""
LOOK_S = 0.1


@click.group(cls=Commands)
def watch() -> None:
    """Folders in which every new picture is checked."""


@watch.command("add")
@click.argument("folder", metavar="DIR")
@click.option("--include", multiple=True, metavar="GLOB", help="Take only these files.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out these files or folders.")
@click.option("--no-recursive", is_flag=True, help="Leave out the folders below it.")
@click.option("--polling", is_flag=True, help="For drives that report no changes: look regularly.")
@click.option(
    "--check-existing/--no-check-existing",
    "check_existing",
    default=None,
    help="Whether to check the pictures, too, that are there already. Asked for on a terminal;"
    " elsewhere they are left out.",
)
def add(
    folder: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_recursive: bool,
    polling: bool,
    check_existing: bool | None,
) -> None:
    """Start watching a folder: from now on, every new picture in it is checked."""
    from dataclasses import asdict

    from antifake.daemon.config import Folder, whole_path

    path = whole_path(folder, Path.cwd())
    wanted = Folder(path, include, exclude, not no_recursive, polling)
    outer = _around(path)
    wish = {None: "ask", True: "check", False: "leave"}[check_existing]
    with connected() as client:
        client.watch({**asdict(wanted), "path": str(path), "existing": wish})
        say(f"{path} is watched{'' if client.is_daemon else ' as soon as the daemon runs'}.")
        if outer is not None:
            say(f"It lies in {outer}, which is watched already; each file is checked once.")
        _settle_existing(client, path, check_existing)


def _settle_existing(client: "Client", path: Path, check_existing: bool | None) -> None:
    """Tells what was there, and asks what to do with it unless that was said."""
    found = _counted(client, path)
    if found is None:
        say("What is there already is still being counted; `antifake watch list` shows it.")
        return
    if found["passed_over"]:
        say(found["passed_over"])
    if not found["total"]:
        return
    if check_existing is None and sys.stdin.isatty():
        n = found["total"]
        question = "Check the picture that is" if n == 1 else f"Check the {n:,} pictures that are"
        check_existing = click.confirm(f"{question} there already, too?", err=True)
        client.act_on_existing(path, "check" if check_existing else "leave")
    if check_existing:
        when = "after new ones" if client.is_daemon else "as soon as the daemon runs"
        say(f"{_were(found['total'])} there already and will be checked, {when}.")
    else:
        say(
            f"{_were(found['total'])} there already and will not be checked. To check them, too: "
            f"antifake watch check {shlex.quote(str(path))}"
        )


def _were(n: int) -> str:
    return "1 picture was" if n == 1 else f"{n:,} pictures were"


def _counted(client: "Client", path: Path) -> dict[str, Any] | None:
    """Waits until the daemon has counted what is there. Returns None if that takes too long."""
    patience_s = COUNTING_S if sys.stdin.isatty() else SCRIPT_S
    until = time.monotonic() + (patience_s if client.is_daemon else 0)
    with progress_bar("Counting what is there") as progress:
        while True:
            found = _existing_in(client, path)
            if found is not None and found["state"] != "counting":
                return found
            if time.monotonic() >= until:
                return None
            progress(found["total"] if found else 0, 0)
            time.sleep(LOOK_S)


def _existing_in(client: "Client", path: Path) -> dict[str, Any] | None:
    folders = client.watches()["folders"]
    return next((one["existing"] for one in folders if one["path"] == str(path)), None)


@watch.command("check")
@click.argument("folder", metavar="DIR")
@click.option("--pause", "action", flag_value="pause", help="Pause that; without an option: go on.")
@click.option("--leave", "action", flag_value="leave", help="Leave the rest out.")
def check(folder: str, action: str | None) -> None:
    """Check what a watched folder held already when it was added."""
    from antifake.daemon.config import whole_path

    path = whole_path(folder, Path.cwd())
    with connected() as client:
        client.act_on_existing(path, action or "check")
        found = _existing_in(client, path)
    say(found["summary"] if found and found["summary"] else "Nothing was there already.")


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
        rows = [[one["path"], _how(one), one["problem"] or _state(one)] for one in found["folders"]]
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


def _state(one: dict[str, Any]) -> str:
    waiting = f"{one['pending'] or 'none'} waiting"
    existing = one["existing"]
    if existing is None or existing["state"] == "done" or not existing["summary"]:
        return waiting
    return f"{waiting}; {existing['summary'][0].lower()}{existing['summary'][1:].rstrip('.')}"


def _how(one: dict[str, Any]) -> str:
    words = [
        "with all below" if one["recursive"] else "itself only",
        *(["by polling"] if one["polling"] else []),
        *(f"only {pattern}" for pattern in one["include"]),
        *(f"not {pattern}" for pattern in one["exclude"]),
    ]
    return ", ".join(words)
