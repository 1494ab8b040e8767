"""The command `antifake`, with the commands of core, trainer and daemon.

Importing this imports click and nothing heavy.
"""

import io
import sys
from importlib.metadata import version
from typing import Any

import click

from antifake.core import commands as core
from antifake.core.i18n import _
from antifake.core.terminal import Commands, fail, log_to_stderr, show_traceback
from antifake.trainer import commands as trainer

from .commands import COMMANDS
from .commands.connection import READS_ANSWERS

SECTIONS = {
    _("Every day"): (
        "check",
        "scan",
        "evidence",
        "watch",
        "open",
        "history",
        "label",
        "report",
        "tray",
    ),
    _("Learning from you"): ("learning", "retrain"),
    _("Setting up"): (
        "daemon",
        "autostart",
        "pair",
        "config",
        "doctor",
        "logs",
        "privacy",
        "completion",
        "demo",
    ),
    _("For developers: models, training, measuring"): (
        "model",
        "prompt",
        "train",
        "evaluate",
        "benchmark",
        "rows",
        "calibrate",
        "mini",
        "mini-gpu",
    ),
}


class Main(Commands):
    """Lists its commands by what they are for."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except _other_form(ctx):
            from .client import DaemonError
            from .instance import OTHER_VERSION

            show_traceback(ctx)
            fail(OTHER_VERSION, DaemonError.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = [name for name in self.list_commands(ctx) if not self.commands[name].hidden]
        named = {name for names in SECTIONS.values() for name in names}
        others = {_("Others"): [name for name in shown if name not in named]}
        for title, names in (SECTIONS | others).items():
            width = formatter.width - 6 - max(map(len, shown))
            rows = [
                (name, self.commands[name].get_short_help_str(width))
                for name in names
                if name in shown
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _other_form(ctx: click.Context) -> tuple[type[Exception], ...]:
    """Returns what is raised where a daemon's answer has another form than a command expects."""
    if READS_ANSWERS not in ctx.meta:
        return ()
    from .client import OTHER_FORM

    return OTHER_FORM


@click.group(
    cls=Main,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version("antifake"), prog_name="antifake")
@click.option("--debug", is_flag=True, help=_("Show log messages and Python tracebacks."))
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """Tell AI-made pictures from real ones, on your own computer. No picture leaves it.

    Exit codes: 0 done, 1 done but some files failed, 2 wrong use, 3 no model, 4 no daemon,
    5 it runs already, 10 flagged pictures found (scan --fail-on), 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal cannot print must not stop a run.
            stream.reconfigure(errors="backslashreplace")
    if debug:
        log_to_stderr()
    if ctx.invoked_subcommand is None:
        _greet(ctx)


def _greet(ctx: click.Context) -> None:
    """Shows something the first time, and later which commands there are."""
    from .places import places

    if places().database.exists():
        click.echo(ctx.get_help())
    else:
        ctx.invoke(main.commands["demo"])


# The daemon's commands come last, so that `check` is the one that asks a running daemon first.
for command in (*core.COMMANDS, *trainer.COMMANDS, *COMMANDS):
    main.add_command(command)
