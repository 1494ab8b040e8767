"""`antifake doctor`: what is wrong, and what to do first."""

import sys
from typing import TYPE_CHECKING

import click

from antifake.core.i18n import _
from antifake.core.terminal import json_option, say

from .printing import echo_json

if TYPE_CHECKING:
    from antifake.daemon.doctor import Finding


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check everything antifake needs, and say what to do first. Exits with 1 on a problem."""
    from dataclasses import asdict

    from antifake.daemon.doctor import System, examine, first_trouble
    from antifake.daemon.places import unjudged_places

    found = []
    for finding in examine(System(unjudged_places())):
        found.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        echo_json([asdict(finding) for finding in found])
    first = first_trouble(found)
    if first is None:
        say(_("All is well."))
        return
    say(
        _("Do this first: {fix}", fix=first.fix)
        if first.fix
        else _("Begin with the first problem above.")
    )
    sys.exit(1)


def _show(finding: "Finding") -> None:
    from antifake.core.results import printable

    words = (_("ok"), _("TROUBLE"))
    width = max(map(len, words))
    word, colour = (words[0], "green") if finding.ok else (words[1], "red")
    mark = click.style(f"{word:<{width}}", fg=colour)
    click.echo(f"{mark}  {finding.title:<18}{printable(finding.sentence)}")
    if finding.fix and not finding.ok:
        click.echo(f"{'':<{width + 20}}-> {printable(finding.fix)}")
