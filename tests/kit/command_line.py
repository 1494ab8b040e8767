"""Runs the command line in this process, without the seconds that importing torch takes."""

import sys

import click.testing
import torch
from click.testing import CliRunner

from antifake.daemon.cli import main


def antifake(*arguments: object, code: int = 0, stdin: bytes | None = None) -> click.testing.Result:
    """Runs `antifake` with these arguments. Fails if the exit code is not `code`.

    Torch uses one thread. On a busy machine two threads take ten times as long for tiny products.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        done = CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)
    finally:
        torch.set_num_threads(threads)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def process(*arguments: object) -> list[str]:
    """Returns the command that runs `antifake` in its own process."""
    return [sys.executable, "-m", "antifake.daemon", *map(str, arguments)]
