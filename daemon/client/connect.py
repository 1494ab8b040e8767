"""Which way there is to the API now: the daemon's lock decides."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from antifake.daemon import instance
from antifake.daemon.places import Places

from .client import Client
from .errors import DaemonError
from .transport import InProcess, Socket

STARTS_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.1


def find(where: Places) -> Client | None:
    """Returns the daemon if one runs and can be asked."""
    found = instance.find(where)
    try:
        token = where.local_token.read_text("ascii").strip() if found else ""
    except (OSError, ValueError):
        return None
    return Client(Socket(found.port, token)) if found and token else None


def need(where: Places) -> Client:
    """As `find`. Raises DaemonError where no daemon can be asked."""
    client = find(where)
    if client is None:
        raise DaemonError(
            "The antifake daemon is not running: start it with `antifake daemon start`."
        )
    return client


@contextmanager
def connect(
    where: Places,
    tell: Callable[[str], None] = lambda _: None,
    *,
    within_s: float = STARTS_WITHIN_S,
) -> Iterator[Client]:
    """Gives the daemon, or where none runs the same API in this process.

    A daemon that is just starting is waited for `within_s`. `tell` is told what was done to mend
    the log. Raises DaemonError where a daemon holds the lock and cannot be asked, AntifakeError
    where the log cannot be opened.
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
    """Returns the daemon, None where none runs. Raises DaemonError."""
    end = time.monotonic() + within_s
    while instance.is_running(where):
        client = find(where)
        if client is not None:
            return client
        if instance.find(where) is not None:
            raise DaemonError(
                "The file with this computer's token is gone: run `antifake daemon stop`, then "
                "`antifake daemon start`."
            )
        if time.monotonic() > end:
            raise DaemonError("antifake is just starting: try again in a moment.")
        time.sleep(_LOOK_EVERY_S)
    return None
