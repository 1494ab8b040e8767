"""Connects a command to the daemon, or to the same API in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from antifake.core.i18n import _
from antifake.core.terminal import say

if TYPE_CHECKING:
    from antifake.daemon.client import Client


READS_ANSWERS = "antifake.reads_answers"
"""In the `meta` of a command's context if a daemon answers it."""


@contextmanager
def connected() -> "Iterator[Client]":
    """Connects, and prints what was done to repair the history. Raises AntifakeError."""
    from antifake.daemon.client import connect
    from antifake.daemon.places import places

    with connect(places(), lambda notice: say(notice, err="yellow")) as client:
        yield will_read_answers_of(client)


def started_daemon() -> "Client":
    """Returns a client of the daemon, which is started if none runs. Raises AntifakeError."""
    from antifake.daemon import launcher
    from antifake.daemon.client import find
    from antifake.daemon.places import places

    where = places()
    if find(where) is None:
        found = launcher.start(where)
        say(_("antifake runs on {address}.", address=found.address))
    return daemon()


def daemon() -> "Client":
    """Returns a client of the running daemon. Raises DaemonError if there is none."""
    from antifake.daemon.client import need
    from antifake.daemon.places import places

    return will_read_answers_of(need(places()))


def will_read_answers_of(client: "Client") -> "Client":
    """Note that the answers which this command reads may have another form than it expects."""
    command = click.get_current_context(silent=True)
    if client.is_daemon and command is not None:
        command.meta[READS_ANSWERS] = True
    return client
