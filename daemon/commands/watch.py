"""The commands on the watched folders."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext
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
@click.option("--include", multiple=True, metavar="GLOB", help=_("Take only these files."))
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help=_("Leave out these files or folders.")
)
@click.option("--no-recursive", is_flag=True, help=_("Leave out the folders below it."))
@click.option(
    "--polling", is_flag=True, help=_("Look regularly, on drives that report no changes.")
)
@click.option(
    "--check-existing/--no-check-existing",
    "check_existing",
    default=None,
    help=_(
        "Whether to check the pictures that are there already, too. On a terminal you are asked; "
        "elsewhere they are left out."
    ),
)
def add(
    folder: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_recursive: bool,
    polling: bool,
    check_existing: bool | None,
) -> None:
    """Start watching a folder: from now on, every new picture in it is checked.

    Patterns for a folder that is watched already are added to those that it has.
    """
    from dataclasses import asdict

    from antifake.daemon.config import Folder, whole_path

    path = whole_path(folder, Path.cwd())
    wanted = Folder(path, include, exclude, not no_recursive, polling)
    outer, former = _around(path), _known(path)
    wish = {None: "ask", True: "check", False: "leave"}[check_existing]
    with connected() as client:
        client.watch({**asdict(wanted), "path": str(path), "existing": wish})
        if former is not None:
            how = _how(asdict(former.with_more(wanted)))
            say(_("{path} was watched already. From now on: {how}.", path=path, how=how))
        elif client.is_daemon:
            say(_("{path} is watched.", path=path))
        else:
            say(_("{path} is watched as soon as the daemon runs.", path=path))
        if outer is not None:
            say(
                _(
                    "It lies in {folder}, which is watched already; each file is checked once.",
                    folder=outer,
                )
            )
        _settle_existing(client, path, check_existing)


def _settle_existing(client: "Client", path: Path, check_existing: bool | None) -> None:
    """Tells what was there, and asks what to do with it unless that was said."""
    found = _counted(client, path)
    if found is None:
        say(_("What is there already is still being counted; `antifake watch list` shows it."))
        return
    if found["passed_over"]:
        say(found["passed_over"])
    if not found["total"]:
        return
    if check_existing is None and sys.stdin.isatty():
        question = ngettext(
            "Check the {n:,} picture that is there already, too?",
            "Check the {n:,} pictures that are there already, too?",
            found["total"],
        )
        check_existing = click.confirm(question, err=True)
        client.act_on_existing(path, "check" if check_existing else "leave")
    say(_of_existing(client, path, found["total"], is_checked=bool(check_existing)))


def _of_existing(client: "Client", path: Path, n: int, *, is_checked: bool) -> str:
    """Returns what will be done with the pictures that were there."""
    if not is_checked:
        return ngettext(
            "{n:,} picture was there already and will not be checked. To check it, too: {command}",
            "{n:,} pictures were there already and will not be checked. To check them, too: "
            "{command}",
            n,
            command=shlex.join(["antifake", "watch", "check", str(path)]),
        )
    if client.is_daemon:
        return ngettext(
            "{n:,} picture was there already and will be checked, after new ones.",
            "{n:,} pictures were there already and will be checked, after new ones.",
            n,
        )
    return ngettext(
        "{n:,} picture was there already and will be checked, as soon as the daemon runs.",
        "{n:,} pictures were there already and will be checked, as soon as the daemon runs.",
        n,
    )


def _counted(client: "Client", path: Path) -> dict[str, Any] | None:
    """Waits until the daemon has counted what is there. Returns None if that takes too long."""
    patience_s = COUNTING_S if sys.stdin.isatty() else SCRIPT_S
    until = time.monotonic() + (patience_s if client.is_daemon else 0)
    with progress_bar(_("Counting what is there")) as progress:
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
@click.option(
    "--pause",
    "action",
    flag_value="pause",
    help=_("Pause checking them; without an option it goes on."),
)
@click.option("--leave", "action", flag_value="leave", help=_("Leave the rest out."))
def check(folder: str, action: str | None) -> None:
    """Check what a watched folder held already when it was added."""
    from antifake.daemon.config import whole_path

    path = whole_path(folder, Path.cwd())
    with connected() as client:
        client.act_on_existing(path, action or "check")
        found = _existing_in(client, path)
    say(found["summary"] if found and found["summary"] else _("Nothing was there already."))


@watch.command("remove")
@click.argument("folder", metavar="DIR")
def remove(folder: str) -> None:
    """Stop watching a folder. Its history is kept."""
    from antifake.daemon.config import whole_path

    path = whole_path(folder, Path.cwd())
    if path not in (known := [one.path for one in _watched()]):
        if not known:
            raise UsageError(_("{path} is not watched. No folder is.", path=path))
        raise UsageError(
            _(
                "{path} is not watched. Watched are: {folders}.",
                path=path,
                folders=", ".join(map(str, known)),
            )
        )
    with connected() as client:
        client.unwatch(path)
    say(_("{path} is no longer watched.", path=path))


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
        say(_("No folder is watched: `antifake watch add DIR`."))
    else:
        rows = [[one["path"], _how(one), one["problem"] or _state(one)] for one in found["folders"]]
        echo_table([_("FOLDER"), _("HOW"), _("STATE")], rows)
        if not all(one["include"] for one in found["folders"]):
            say(_looked_at())
    if found["paused_until"]:
        say(_("Paused until {time}.", time=local(found["paused_until"])))


@watch.command("pause")
@click.option(
    "--hours", type=click.FloatRange(0, 8760, min_open=True), help=_("How long; default 1.")
)
@click.option(
    "--minutes", type=click.FloatRange(0, 525_600, min_open=True), help=_("The same, in minutes.")
)
@click.option("--off", is_flag=True, help=_("End the pause."))
def pause(hours: float | None, minutes: float | None, off: bool) -> None:
    """Check nothing in the folders for a while. New pictures are checked afterwards."""
    if off and (hours or minutes):
        raise UsageError(_("--off ends a pause; it has no length."))
    span = None if off else 60 * (hours or 0) + (minutes or 0) or 60.0
    with connected() as client:
        until = client.pause(span)
    say(
        _("Paused until {time}.", time=local(until))
        if until
        else _("The folders are watched again.")
    )


def _watched() -> "tuple[Folder, ...]":
    from antifake.daemon.config import load
    from antifake.daemon.places import places

    return load(places().config).watch.folders


def _looked_at() -> str:
    from antifake.core.first_bytes import SUFFIXES

    return _(
        "Without a pattern, files are taken that are named like pictures ({endings}), and those "
        "whose names say nothing, such as photo or photo.jpg_large, if they begin like one.",
        endings=" ".join(sorted(SUFFIXES)),
    )


def _known(path: Path) -> "Folder | None":
    """Returns what was said of this folder, if it is watched."""
    return next((one for one in _watched() if one.path == path), None)


def _around(path: Path) -> Path | None:
    """Returns the watched folder that contains this one, if there is one."""
    return next(
        (one.path for one in _watched() if one.recursive and one.path in path.parents), None
    )


def _state(one: dict[str, Any]) -> str:
    n, existing = one["pending"], one["existing"]
    waiting = ngettext("{n:,} waiting", "{n:,} waiting", n) if n else _("none waiting")
    if existing is None or existing["state"] == "done" or not existing["summary"]:
        return waiting
    return f"{waiting}. {existing['summary']}"


def _how(one: dict[str, Any]) -> str:
    words = [
        _("with all below") if one["recursive"] else _("itself only"),
        *([_("by polling")] if one["polling"] else []),
        *(_("only {pattern}", pattern=pattern) for pattern in one["include"]),
        *(_("not {pattern}", pattern=pattern) for pattern in one["exclude"]),
    ]
    return ", ".join(words)
