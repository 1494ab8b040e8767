"""The command line in this process: what a person types, without the seconds that torch takes."""

import sys

import click.testing
import torch
from click.testing import CliRunner

from antifake.daemon.cli import main


def antifake(*arguments: object, code: int = 0, stdin: bytes | None = None) -> click.testing.Result:
    """`antifake` with these arguments; fails where it ends with another exit code.

    Torch computes in one thread meanwhile: on a busy machine two take ten times as long for
    tiny products.
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
    """The same as a process of its own: what to start."""
    return [sys.executable, "-m", "antifake.daemon", *map(str, arguments)]
