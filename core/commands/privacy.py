"""`antifake privacy`: all requests that were made to other computers."""

import click

from antifake.core.catalog import user_home
from antifake.core.i18n import _
from antifake.core.results import printable
from antifake.core.terminal import say


@click.command()
def privacy() -> None:
    """List every request this program ever made to another computer."""
    lines = user_home().requests()
    for line in lines or [_("None: this program has never asked another computer for anything.")]:
        click.echo(printable(line))
    say(
        _(
            "No picture ever leaves this computer; only model weights are fetched, when you "
            "ask. What is kept of pictures to learn from: `antifake learning crops`."
        )
    )
