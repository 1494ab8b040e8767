"""`antifake report`: one picture as a file for others. `evaluate --report` is about many."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.terminal import say

from .connection import connected
from .history import new_file

if TYPE_CHECKING:
    from antifake.daemon.client import Client

FORMATS = ("html", "pdf")


@click.command()
@click.argument("picture", metavar="ID|FILE")
@click.option(
    "-o", "--output", metavar="FILE|-", help=_("A new file; by default antifake-report-ID.html.")
)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help=_("By default, the suffix of the output.")
)
@click.option("--no-name", is_flag=True, help=_("Leave out the name of the file."))
def report(picture: str, output: str | None, kind: str | None, no_name: bool) -> None:
    """Write a report on a picture to pass on: HTML or PDF, in one file, without paths.

    ID is one of `antifake history`. A FILE is checked first, by the running daemon.
    """
    kind = kind or _format_of(output)
    with connected() as client:
        name = _checked(client, Path(picture)) if _is_file(picture) else picture
        data = client.report(name, kind, with_name=not no_name)
    out = output or f"antifake-report-{name}.{kind}"
    with new_file(out) as file:
        file.write(data)
    if out != "-":
        say(_("The report is in {file}.", file=out))


def _format_of(output: str | None) -> str:
    """Returns the format that the suffix says. Raises UsageError if it says another."""
    suffix = Path(output or "").suffix.lower().lstrip(".")
    if suffix in ("", "htm"):
        return "html"
    if suffix not in FORMATS:
        raise UsageError(
            _("A report is .html or .pdf, not .{suffix}; or say --format.", suffix=suffix)
        )
    return suffix


def _is_file(text: str) -> bool:
    """An id has no suffix and no folder. A file that is not there is still meant as a file."""
    path = Path(text)
    return path.is_file() or path.name != text or bool(path.suffix)


def _checked(client: "Client", file: Path) -> str:
    """Has a file checked. Returns the id of its check."""
    from antifake.core.images import read_file

    if not client.is_daemon:
        raise UsageError(
            _(
                "A file is checked by the daemon, and none is running: `antifake daemon start`. "
                "Or give the ID of a check from `antifake history`."
            )
        )
    return str(client.check(read_file(file), source="cli", path=file.absolute())["id"])
