"""The daemon, or its API in this process, for one command."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from antifake.core.terminal import say

if TYPE_CHECKING:
    from antifake.daemon.client import Client


def connected() -> "AbstractContextManager[Client]":
    """What was done to mend the log is said. Raises AntifakeError."""
    from antifake.daemon.client import connect
    from antifake.daemon.places import places

    return connect(places(), lambda notice: say(notice, err="yellow"))


def daemon() -> "Client":
    """Raises DaemonError where none runs."""
    from antifake.daemon.client import need
    from antifake.daemon.places import places

    return need(places())
