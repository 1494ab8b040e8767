"""Connects a command to the daemon, or to the same API in this process."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from antifake.core.i18n import _
from antifake.core.terminal import say

if TYPE_CHECKING:
    from antifake.daemon.client import Client


def connected() -> "AbstractContextManager[Client]":
    """Connects, and prints what was done to repair the history. Raises AntifakeError."""
    from antifake.daemon.client import connect
    from antifake.daemon.places import places

    return connect(places(), lambda notice: say(notice, err="yellow"))


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

    return need(places())
