"""The commands on the daemon's log files."""

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.terminal import Commands, json_option

from .printing import echo_json

LEVELS = ("debug", "info", "warning", "error")


@click.group(cls=Commands)
def logs() -> None:
    """The daemon's log. It contains file names only at level debug."""


@logs.command("show")
@click.option("-n", "lines", default=50, show_default=True, type=click.IntRange(0, 1_000_000))
@click.option(
    "-f", "--follow", is_flag=True, help=_("Show new lines as they are written, until Ctrl-C.")
)
@json_option
def show(lines: int, follow: bool, as_json: bool) -> None:
    """Show the last lines."""
    from antifake.core.results import printable
    from antifake.daemon import logs as log
    from antifake.daemon.places import places

    if follow and as_json:
        raise UsageError(_("-f and --json cannot be used together."))
    where = places()
    found, end = log.last_lines(where, lines)
    if as_json:
        echo_json(log.to_records(found))
        return
    for line in found:
        click.echo(printable(line))
    if follow:
        for line in log.follow(where, end):
            click.echo(printable(line))


@logs.command("path")
@json_option
def path(as_json: bool) -> None:
    """Show where the log is kept."""
    from antifake.daemon.places import places

    found = str(places().log)
    if as_json:
        echo_json(found)
    else:
        click.echo(found)


@logs.command("level")
@click.argument("name", required=False, type=click.Choice(LEVELS))
@json_option
def level(name: str | None, as_json: bool) -> None:
    """Show the log level, or set it to NAME."""
    from antifake.daemon.config import load, put
    from antifake.daemon.places import places

    from .config import follow

    where = places()
    if name:
        put(where.config, "logs.level", name)
        follow(_("The log is written at level {level}.", level=name))
    now = load(where.config).logs.level
    if as_json:
        echo_json(now)
    elif not name:
        click.echo(now)
