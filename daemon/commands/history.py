"""The commands on the history of checks."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext
from antifake.core.stopping import stoppable
from antifake.core.terminal import EXIT_SOME_FAILED, Commands, json_option, progress_bar, say

from .connection import connected
from .printing import echo_json, echo_pairs, echo_table, local

if TYPE_CHECKING:
    from datetime import datetime

    from antifake.daemon.client import Check, Query

LABELS = ("fake", "real", "unsure", "failed")
"""As in our JSON and in the API."""
OLD_LABELS = {"ai": "fake"}
"""Words of former versions."""
SOURCES = ("watch", "extension", "tray", "cli", "api", "page", "import")

_POLL_S = 0.5
_BINARY = getattr(os, "O_BINARY", 0)


class Label(click.Choice[str]):
    """One of LABELS. Old words are taken, but not shown."""

    def __init__(self) -> None:
        super().__init__(LABELS)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(OLD_LABELS.get(value, value), param, ctx)


Command = TypeVar("Command", bound=Callable[..., Any])

_FILTERS = (
    click.option("--label", type=Label(), help=_("The model's verdict.")),
    click.option("--source", type=click.Choice(SOURCES), help=_("Where the picture came from.")),
    click.option(
        "--since", metavar="TIME", help=_("From this time on: 2026-01-31, or 7d, or 12h.")
    ),
    click.option("--until", metavar="TIME", help=_("Before this time.")),
    click.option(
        "--corrected/--uncorrected", default=None, help=_("With or without your own label.")
    ),
    click.option(
        "--declared/--not-declared",
        default=None,
        help=_("The file itself says that AI made it, or does not."),
    ),
    click.option("--search", metavar="TEXT", help=_("Part of a file's name.")),
    click.option("--folder", metavar="DIR", help=_("In this folder or below it.")),
    click.option("--model", metavar="VERSION", help=_("Judged by this model, like mini@1f3a90c2.")),
)


def filters(command: Command) -> Command:
    """Add the options of the filter. The command gets them as keyword arguments."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def query_of(wanted: dict[str, Any]) -> "Query":
    """Returns the query for the options of the filter. Raises UsageError."""
    from antifake.daemon.config import whole_path

    corrected, declared, folder = (wanted[name] for name in ("corrected", "declared", "folder"))
    found = {
        "label": wanted["label"],
        "source": wanted["source"],
        "since": moment(wanted["since"]).isoformat() if wanted["since"] else None,
        "until": moment(wanted["until"]).isoformat() if wanted["until"] else None,
        "corrected": None if corrected is None else str(corrected).lower(),
        "declared": None if declared is None else str(declared).lower(),
        "q": wanted["search"],
        "folder": None if folder is None else str(whole_path(folder, Path.cwd())),
        "model": wanted["model"],
    }
    return {name: value for name, value in found.items() if value}


def moment(text: str, now: "datetime | None" = None) -> "datetime":
    """Returns the time that a user typed: 2026-01-31, with or without a time, or 7d and 12h ago.

    Raises UsageError.
    """
    from datetime import UTC, datetime, timedelta

    now = now or datetime.now(UTC)
    spans = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
    try:
        if text[-1:] in spans and text[:-1].isdigit():
            return now - int(text[:-1]) * spans[text[-1]]
        # A time without a zone is local time.
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            _("{text!r} is not a time: write 2026-01-31, 2026-01-31T12:00, 7d or 12h.", text=text)
        ) from error


@click.group(cls=Commands, invoke_without_command=True)
@filters
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help=_("At most this many.")
)
@json_option
@click.pass_context
def history(ctx: click.Context, /, limit: int, as_json: bool, **wanted: Any) -> None:
    """List all checks, newest first, wherever the picture came from."""
    if ctx.invoked_subcommand is not None:
        return
    query = query_of(wanted)
    with connected() as client:
        found = list(client.history(query, limit))
    if as_json:
        echo_json(found)
    elif found:
        echo_checks(found)
    else:
        say(_("Nothing was found."))


def echo_checks(found: "list[Check]") -> None:
    rows = [
        [one["id"], local(one["at"]), one["headline"], one["source"], _where(one)] for one in found
    ]
    echo_table([_("ID"), _("WHEN"), _("VERDICT"), _("BY"), _("PICTURE")], rows)


def _where(check: "Check") -> str:
    name = check["path"] or check["name"] or check["page"] or (check["sha256"] or "")[:12]
    if check["seen"] <= 1:
        return str(name)
    return ngettext("{name} (seen {n} time)", "{name} (seen {n} times)", check["seen"], name=name)


@history.command("show")
@click.argument("name", metavar="ID")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one check and the reason for its verdict."""
    from antifake.core.results import printable

    with connected() as client:
        found = client.show(name)
    if as_json:
        echo_json(found)
        return
    click.echo("\n".join(map(printable, [found["headline"], *found["explanation"], ""])))
    size = f"{found['width']} x {found['height']} {found['format']}" if found["width"] else ""
    said = found["said"] or {}
    pairs = (
        (_("picture"), found["path"] or found["name"] or ""),
        (_("page"), found["page"] or ""),
        (_("size"), size),
        ("sha256", found["sha256"] or ""),
        (_("checked"), local(found["at"])),
        (_("by"), found["source"]),
        (_("model"), f"{found['model']} {found['prompt']}"),
        (_("note"), said.get("note") or ""),
    )
    echo_pairs(pairs, 10)
    if found["seen"] > 1:
        _echo_occurrences(found)


def _echo_occurrences(check: "Check") -> None:
    click.echo("\n" + ngettext("Seen {n} time:", "Seen {n} times:", check["seen"]))
    rows = [
        [
            local(seen["at"]),
            seen["source"],
            str(seen["times"]),
            seen["path"] or " ".join(filter(None, (seen["name"], seen["page"]))),
        ]
        for seen in check["occurrences"]
    ]
    echo_table([_("WHEN"), _("BY"), _("TIMES"), _("WHERE")], rows)


@history.command("export")
@click.argument("file", metavar="FILE|-")
@click.option(
    "--form", type=click.Choice(["csv", "jsonl"]), help=_("By default, the suffix of FILE.")
)
@filters
def export(file: str, form: str | None, **wanted: Any) -> None:
    """Write the history into a new FILE, or to standard output."""
    query = query_of(wanted)
    with stoppable(), connected() as client, new_file(file) as out:
        client.export(out, form or _form_of(file), query)
    if file != "-":
        say(_("The history is in {file}.", file=file))


@contextmanager
def new_file(name: str) -> Iterator[IO[bytes]]:
    """Opens a new file that only this user can read. A file that fails halfway is removed."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    except FileExistsError:
        raise UsageError(_("{path} exists already; nothing was overwritten.", path=path)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


@history.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--form", type=click.Choice(["csv", "jsonl"]), help=_("By default, the suffix of FILE.")
)
@json_option
def import_(file: Path, form: str | None, as_json: bool) -> None:
    """Import what `history export` wrote, or a file of another program with the same columns.

    Ctrl-C stops it. What was imported stays, and importing the file again goes on from there.
    """
    if not file.is_file():
        raise UsageError(_("There is no file {file}.", file=file))
    done: dict[str, Any] = {}
    try:
        with (
            stoppable(),
            connected() as client,
            progress_bar(_("importing"), in_bytes=True) as show,
        ):
            client.import_(file, form or _form_of(str(file)), show, done)
    except BaseException:
        if done.get("added") and not as_json:
            _say_imported(done)
            say(_("What was imported stays. Import the file again to go on."))
        raise
    if as_json:
        echo_json(done)
    else:
        _say_imported(done)
    if done["n_refused"]:
        sys.exit(EXIT_SOME_FAILED)


def _say_imported(done: dict[str, Any]) -> None:
    added, known = done["added"], done["known"]
    say(_("{added:,} are new, {known:,} were known.", added=added, known=known))
    for sentence in done["refused"]:
        say(sentence, err="yellow")
    if more := done["n_refused"] - len(done["refused"]):
        say(
            ngettext("{n:,} more row was left out.", "{n:,} more rows were left out.", more),
            err="yellow",
        )


@history.command("read-evidence")
@json_option
def read_evidence(as_json: bool) -> None:
    """Read what files say of themselves, for pictures that were judged before that was read.

    From the files that still are where they were, with the same bytes. Ctrl-C stops it; what was
    read is kept.
    """
    from antifake.core.results import printable

    with connected() as client:
        found = client.act_on_backfill("read")
        try:
            with progress_bar(_("reading")) as show:
                while found["is_running"]:
                    show(found["read"] + found["missing"], found["total"])
                    time.sleep(_POLL_S)
                    found = client.backfill()
        except KeyboardInterrupt:
            client.act_on_backfill("stop")
            raise
    if as_json:
        echo_json(found)
    else:
        click.echo(printable(found["summary"]) or _("The files of all pictures have been read."))


def _form_of(name: str) -> str:
    return "csv" if name.lower().endswith(".csv") else "jsonl"


@history.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help=_("Do not ask for confirmation."))
@json_option
def forget(names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Erase these pictures: all their checks, your labels, thumbnails and old backups.

    A version that has learned from them keeps a hash of each and what you said of it, but no
    picture; the next training learns without them.
    """
    if not yes:
        question = ngettext(
            "Forget {n} picture for ever, with the backups that know it?",
            "Forget {n} pictures for ever, with the backups that know them?",
            len(names),
        )
        click.confirm(question, abort=True, err=True)
    with connected() as client:
        gone = client.forget(names)
    if as_json:
        echo_json({"forgotten": gone})
    else:
        say(
            ngettext(
                "{n} check was deleted. Files still in a watched folder will be found again.",
                "{n} checks were deleted. Files still in a watched folder will be found again.",
                gone,
            )
        )
