"""`antifake privacy`: all requests that were made to other computers."""

import click

from antifake.core.i18n import _
from antifake.core.terminal import say


@click.command()
def privacy() -> None:
    """List every request this program ever made to another computer."""
    from antifake.core.request_log import read
    from antifake.core.results import printable
    from antifake.daemon.config import load
    from antifake.daemon.places import places

    where = places()
    lines = where.home.requests()
    for line in lines or [_("None: this program has never asked another computer for anything.")]:
        click.echo(printable(line))
    has_scans = any(read(line).is_scan for line in lines)
    if has_scans:
        say(
            _(
                "Scans that you started with --engine ray are in this list: they read pictures "
                "from stores, wrote results there, or gave pictures to the machines of a cluster."
            )
        )
    if load(where.config).history.database:
        say(
            _(
                "No picture leaves this computer as a file. What the history shows, small copies "
                "of pictures too, goes to the database server that you have named "
                "(history.database). Besides, only model weights are fetched, when you ask."
            )
        )
    elif not has_scans:
        say(
            _("No picture ever leaves this computer; only model weights are fetched, when you ask.")
        )
    say(_("What is kept of pictures to learn from: `antifake learning crops`."))
