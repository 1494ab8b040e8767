"""Runs the command line, mostly in this process: importing torch anew takes seconds."""

import os
import subprocess
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


def start(*arguments: object) -> subprocess.Popen[str]:
    """Starts `antifake` in a process group of its own, which `ended` signals."""
    # Where the tests run in the background, children would inherit that SIGINT is ignored.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from antifake.daemon.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(command: subprocess.Popen[str], number: int) -> tuple[str, str]:
    """Signals the command and all that it started, twice, as `timeout` does.

    Returns its standard output and error. Its exit code must be that of a signal.
    """
    assert command.stdout is not None
    assert command.stderr is not None
    for _ in range(2):
        os.killpg(command.pid, number)
    # Not communicate(): it would lose what a readline() before it has read ahead.
    with command:
        stdout, stderr = command.stdout.read(), command.stderr.read()
    assert command.returncode == 128 + number
    assert "Traceback" not in stderr
    return stdout, stderr
