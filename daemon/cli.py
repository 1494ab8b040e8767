"""The one command, `antifake`: core's commands and the trainer's, put together.

Importing this imports click and nothing heavy.
"""

import io
import sys
from importlib.metadata import version

import click

from antifake.core import cli as core
from antifake.trainer import cli as trainer


@click.group(
    cls=core.Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version("antifake"), prog_name="antifake")
def main() -> None:
    """Tell AI-made pictures from real ones, on your own computer. No picture leaves it.

    Exit codes: 0 done, 1 done but some files failed, 2 wrong use, 3 no model, 10 flagged
    pictures found (scan --fail-on), 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal cannot write must not stop a run.
            stream.reconfigure(errors="backslashreplace")


for command in (*core.COMMANDS, *trainer.COMMANDS):
    main.add_command(command)
