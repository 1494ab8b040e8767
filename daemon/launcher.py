"""Starts the daemon in the background and stops it again, from our other programs.

The daemon's lock tells whether one is running. A process number does not, because the system
gives the numbers of ended processes to new ones.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _

from . import client, instance
from .autostart import let_live, start_detached
from .instance import AlreadyRunningError, Running
from .places import Places

COMMAND = (sys.executable, "-m", "antifake.daemon", "daemon", "run")
START_S = 60.0
STOP_S = 15.0
ASK_S = 3.0
_LOOK_EVERY_S = 0.05


class LaunchError(AntifakeError):
    """The daemon did not start, or did not stop."""


class NotRunningError(AntifakeError):
    """There is no daemon to stop."""

    exit_code = 4


def said_at_start(where: Places) -> Path:
    """Returns the file for what a daemon in a terminal would print there."""
    return where.logs / "start.log"


def start(where: Places, command: Sequence[str] = COMMAND, within_s: float = START_S) -> Running:
    """Start a daemon in the background and wait until it answers.

    Raises AlreadyRunningError, and LaunchError with the daemon's last words if it has ended.
    """
    if instance.is_running(where):
        raise instance.already_running(instance.find(where))
    where.make()
    # Not in the current folder, which may be on a drive that the user wants to eject.
    process = start_detached(command, said_at_start(where), where.state)
    if not _wait(lambda: _answers(where) or process.poll() is not None, within_s):
        let_live(process)
        raise LaunchError(
            _(
                "antifake has not answered within {seconds:g} s and may still be starting: see "
                "`antifake daemon status` and `antifake logs show`.",
                seconds=within_s,
            )
        )
    found = instance.find(where)
    if process.poll() is None and found is not None:
        let_live(process)
        return found
    raise _ended(where, process.wait())


def _ended(where: Places, code: int) -> AntifakeError:
    lines = said_at_start(where).read_text("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    if code == AlreadyRunningError.exit_code:
        return AlreadyRunningError(last)
    return LaunchError(
        _("antifake did not start: {error}", error=last.strip())
        if last
        else _("antifake did not start, and it did not say why.")
    )


def stop(where: Places, within_s: float = STOP_S) -> None:
    """Ask the daemon to stop, and wait until it has. Raises NotRunningError and LaunchError."""
    if not instance.is_running(where):
        raise NotRunningError(instance.NOT_RUNNING)
    found = instance.find(where)
    _ask_to_stop(where, found)
    if not _wait(lambda: not instance.is_running(where), within_s):
        raise _not_stopped(found, within_s)


def _ask_to_stop(where: Places, found: Running | None) -> None:
    asked = client.find(where)
    if asked is not None:
        # If it hangs or no longer accepts our token, the system ends it, below.
        with suppress(client.DaemonError):
            asked.patient(ASK_S).stop()
            return
    if found is None:
        raise LaunchError(_("antifake is just starting: try again in a moment."))
    instance.ask_to_end(found)


def _answers(where: Places) -> bool:
    asked = client.find(where)
    try:
        if asked is None:
            return False
        return bool(asked.patient(ASK_S).health().get("service") == "antifake")
    except client.DaemonError:
        return False


def _wait(look: Callable[[], bool], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while not look():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


def _not_stopped(found: Running | None, within_s: float) -> LaunchError:
    if found is None:
        return LaunchError(_("antifake has not stopped within {seconds:g} s.", seconds=within_s))
    return LaunchError(
        _(
            "antifake has not stopped within {seconds:g} s: process {pid} on port {port}.",
            seconds=within_s,
            pid=found.pid,
            port=found.port,
        )
    )
