"""`antifake check`: asks a running daemon first, which has its model loaded and keeps the history.

If no daemon is running, or it cannot go on, this process judges the pictures as core does.
"""

import click

from antifake.core.commands.check import check as core_check
from antifake.core.commands.check import judged_here, shower, sources_of
from antifake.core.i18n import _
from antifake.core.terminal import echo_results

from .connection import will_read_answers_of


@click.command(
    "check",
    params=[
        *core_check.params,
        click.Option(
            ["--no-daemon"], is_flag=True, help=_("Judge in this process, and keep no history.")
        ),
    ],
)
def check(
    paths: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    show: bool,
    model: str | None,
    prompt: str | None,
    no_daemon: bool,
) -> None:
    """Judge pictures, with the daemon if it is running. "-" reads one from standard input."""
    sources = sources_of(paths)
    before = shower(sources, as_json=as_json) if show else None
    asked = None
    if not (no_daemon or model or prompt):
        from antifake.daemon.client import find
        from antifake.daemon.places import places

        asked = find(places())
    if asked is None:
        found = judged_here(sources, model, prompt)
    else:
        from .check_by_daemon import judged_there

        found = judged_there(will_read_answers_of(asked), sources)
    echo_results(found, paths, as_json=as_json, verbose=verbose, before=before)
