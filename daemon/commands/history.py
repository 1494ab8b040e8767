"""The commands on the history of checks."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from antifake.core.errors import UsageError
from antifake.core.terminal import EXIT_SOME_FAILED, Commands, json_option, say

from .connection import connected
from .printing import echo_json, echo_table, local

if TYPE_CHECKING:
    from datetime import datetime

    from antifake.daemon.client import Check, Query

LABELS = ("fake", "real", "unsure", "failed")
"""As in our JSON and in the API."""
OLD_LABELS = {"ai": "fake"}
"""Words of former versions."""
SOURCES = ("watch", "extension", "tray", "cli", "api", "page", "import")

_BINARY = getattr(os, "O_BINARY", 0)


class Label(click.Choice[str]):
    """One of LABELS. Old words are taken, but not shown."""

    def __init__(self) -> None:
        super().__init__(LABELS)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(OLD_LABELS.get(value, value), param, ctx)


Command = TypeVar("Command", bound=Callable[..., Any])

_FILTERS = (
    click.option("--label", type=Label(), help="The model's verdict."),
    click.option("--source", type=click.Choice(SOURCES), help="Where the picture came from."),
    click.option("--since", metavar="TIME", help="From this time on: 2026-01-31, or 7d, or 12h."),
    click.option("--until", metavar="TIME", help="Before this time."),
    click.option("--corrected/--uncorrected", default=None, help="With or without your own label."),
    click.option("--search", metavar="TEXT", help="Part of a file's name."),
    click.option("--folder", metavar="DIR", help="In this folder or below it."),
    click.option("--model", metavar="VERSION", help="Judged by this model, like mini@1f3a90c2."),
)


def filters(command: Command) -> Command:
    """Add the options of the filter. The command gets them as keyword arguments."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def query_of(wanted: dict[str, Any]) -> "Query":
    """Returns the query for the options of the filter. Raises UsageError."""
    from antifake.daemon.config import whole_path

    corrected, folder = wanted["corrected"], wanted["folder"]
    found = {
        "label": wanted["label"],
        "source": wanted["source"],
        "since": moment(wanted["since"]).isoformat() if wanted["since"] else None,
        "until": moment(wanted["until"]).isoformat() if wanted["until"] else None,
        "corrected": None if corrected is None else str(corrected).lower(),
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
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T12:00, 7d or 12h."
        ) from error


@click.group(cls=Commands, invoke_without_command=True)
@filters
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help="At most this many."
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
        say("Nothing was found.")


def echo_checks(found: "list[Check]") -> None:
    rows = [[one["id"], local(one["at"]), one["word"], one["source"], _where(one)] for one in found]
    echo_table(["ID", "WHEN", "VERDICT", "BY", "PICTURE"], rows)


def _where(check: "Check") -> str:
    known_as = check["path"] or check["name"] or check["page"] or (check["sha256"] or "")[:12]
    return f"{known_as} (seen {check['seen']} times)" if check["seen"] > 1 else str(known_as)


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
    click.echo(f"{found['word']}\n" + "\n".join(map(printable, found["explanation"])) + "\n")
    size = f"{found['width']} x {found['height']} {found['format']}" if found["width"] else ""
    said = found["said"] or {}
    for key, value in (
        ("picture", found["path"] or found["name"] or ""),
        ("page", found["page"] or ""),
        ("size", size),
        ("sha256", found["sha256"] or ""),
        ("checked", local(found["at"])),
        ("by", found["source"]),
        ("model", f"{found['model']} {found['prompt']}"),
        ("note", said.get("note") or ""),
    ):
        if value:
            click.echo(f"{key:<10}{printable(value)}")
    if found["seen"] > 1:
        _echo_occurrences(found)


def _echo_occurrences(check: "Check") -> None:
    click.echo(f"\nSeen {check['seen']} times:")
    rows = [
        [
            local(seen["at"]),
            seen["source"],
            str(seen["times"]),
            seen["path"] or " ".join(filter(None, (seen["name"], seen["page"]))),
        ]
        for seen in check["occurrences"]
    ]
    echo_table(["WHEN", "BY", "TIMES", "WHERE"], rows)


@history.command("export")
@click.argument("file", metavar="FILE|-")
@click.option("--form", type=click.Choice(["csv", "jsonl"]), help="By default, the suffix of FILE.")
@filters
def export(file: str, form: str | None, **wanted: Any) -> None:
    """Write the history into a new FILE, or to standard output."""
    query = query_of(wanted)
    with connected() as client, new_file(file) as out:
        client.export(out, form or _form_of(file), query)
    if file != "-":
        say(f"The history is in {file}.")


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
        raise UsageError(f"{path} exists already; nothing was overwritten.") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


@history.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--form", type=click.Choice(["csv", "jsonl"]), help="By default, the suffix of FILE.")
@json_option
def import_(file: Path, form: str | None, as_json: bool) -> None:
    """Import what `history export` wrote, or a file of another program with the same columns."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    with connected() as client:
        done = client.import_(file, form or _form_of(str(file)))
    if as_json:
        echo_json(done)
    else:
        say(f"{done['added']} are new, {done['known']} were known.")
        for sentence in done["refused"]:
            say(sentence, err="yellow")
    if done["refused"]:
        sys.exit(EXIT_SOME_FAILED)


def _form_of(name: str) -> str:
    return "csv" if name.lower().endswith(".csv") else "jsonl"


@history.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def forget(names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Erase these pictures: all their checks, your labels, thumbnails and old backups.

    A version that has learned from them keeps a hash of each and what you said of it, but no
    picture; the next training learns without them.
    """
    if not yes:
        click.confirm(
            f"Forget {len(names)} for ever, with the backups that know them?", abort=True, err=True
        )
    with connected() as client:
        gone = client.forget(names)
    if as_json:
        echo_json({"forgotten": gone})
    else:
        checks = "1 check was" if gone == 1 else f"{gone} checks were"
        say(f"{checks} deleted. Files still in a watched folder will be found again.")
