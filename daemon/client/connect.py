"""Finds the way to the API: the running daemon, or its app in this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from antifake.core.i18n import _
from antifake.core.private_files import require_private
from antifake.daemon import instance
from antifake.daemon.places import Places

from .client import Client
from .errors import DaemonError
from .transport import InProcess, Socket

STARTS_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.1


def find(where: Places) -> Client | None:
    """Returns a client of the daemon if one is running and answers.

    Raises DaemonError if others on this computer can write the file with the token.
    """
    there = _port_and_token(where)
    return Client(Socket(*there, partial(_port_and_token, where))) if there else None


def _port_and_token(where: Places) -> tuple[int, str] | None:
    """Returns where the daemon is, and the token that it wrote when it started.

    Raises DaemonError if others on this computer can write that file.
    """
    found = instance.find(where)
    if found is None:
        return None
    require_private(where.local_token, partial(DaemonError, code="not_private"))
    try:
        token = where.local_token.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return (found.port, token) if token else None


def need(where: Places) -> Client:
    """Returns what `find` does. Raises DaemonError if no daemon answers."""
    client = find(where)
    if client is None:
        raise DaemonError(instance.START_IT)
    return client


@contextmanager
def connect(
    where: Places,
    tell: Callable[[str], None] = lambda _: None,
    *,
    within_s: float = STARTS_WITHIN_S,
) -> Iterator[Client]:
    """Yields a client of the daemon, or of the same API in this process if none is running.

    Waits `within_s` for a daemon that is just starting. Calls `tell` with what was done to repair
    the history. Raises DaemonError if a daemon holds the lock and does not answer, AntifakeError
    if the history cannot be opened.
    """
    client = _daemon(where, within_s)
    if client is not None:
        yield client
        return
    from antifake.daemon.app import at_rest  # noqa: PLC0415  # heavy

    with at_rest(where) as (app, notices):
        for notice in notices:
            tell(notice)
        yield Client(InProcess(app))


def _daemon(where: Places, within_s: float) -> Client | None:
    """Returns a client of the daemon, None if none is running. Raises DaemonError."""
    end = time.monotonic() + within_s
    while instance.is_running(where):
        client = find(where)
        if client is not None:
            return client
        if instance.find(where) is not None:
            raise DaemonError(
                _(
                    "The file with this computer's token is gone: run `antifake daemon stop`, "
                    "then `antifake daemon start`."
                )
            )
        if time.monotonic() > end:
            raise DaemonError(_("antifake is just starting: try again in a moment."))
        time.sleep(_LOOK_EVERY_S)
    return None
