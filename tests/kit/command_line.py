"""Runs the command line in this process, without the seconds that importing torch takes."""

import sys

import click.testing
from click.testing import CliRunner

from antifake.daemon.cli import main

from .threads import one_thread


def antifake(
    *arguments: object, code: int | None = 0, stdin: bytes | None = None
) -> click.testing.Result:
    """Runs `antifake` with these arguments. Fails if the exit code is not `code`; None: any."""
    with one_thread():
        done = CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert code is None or done.exit_code == code, done.output
    return done


def process(*arguments: object) -> list[str]:
    """Returns the command that runs `antifake` in its own process."""
    return [sys.executable, "-m", "antifake.daemon", *map(str, arguments)]
