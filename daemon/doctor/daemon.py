"""Checks of the running daemon: its lock, port, token and version."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from antifake.core.i18n import _
from antifake.daemon import client, instance
from antifake.daemon.client import Client, DaemonError, Socket
from antifake.daemon.config import Config
from antifake.daemon.places import Places

from .finding import RESTART, START, Finding

ASK_S = 3.0


Who = Literal["antifake", "another", "silent", "nobody"]
"""Who answers at a port. "silent" accepts the connection and sends nothing."""


@dataclass(frozen=True)
class DaemonChecks:
    where: Places

    def state(self) -> Finding:
        """Checks whether the daemon runs."""
        name, found = "daemon", instance.find(self.where)
        if found is not None:
            sentence = _(
                "It has been running since {started}: process {pid}, port {port}.",
                started=found.started,
                pid=found.pid,
                port=found.port,
            )
            return Finding(name, True, sentence)
        if instance.is_running(self.where):
            sentence = _("It holds its lock and has not said yet on which port it answers.")
            fix = _("Wait a moment and ask again; if this stays so, log out and in again.")
            return Finding(name, False, sentence, fix)
        if self.where.running.exists():
            sentence = _(
                "It ended without saying so: it crashed, it was killed, or the power failed."
            )
            return Finding(name, False, sentence, START)
        return Finding(name, False, _("It is not running."), START)

    def port(self, config: Config) -> Finding:
        """Checks who answers at the daemon's port, or at the one it would take."""
        found, wanted = instance.find(self.where), config.server.port
        who = _who(found.port if found else wanted)
        if found is None:
            return self._of_free_port(who, wanted)
        if who == "antifake":
            return Finding("port", True, _of_own_port(found.port, wanted))
        if who == "another":
            sentence = _(
                "Another program answers on port {port}, which should be antifake's.",
                port=found.port,
            )
        else:
            sentence = _(
                "antifake runs and does not answer on port {port}: it hangs.", port=found.port
            )
        return Finding("port", False, sentence, RESTART)

    def _of_free_port(self, who: Who, port: int) -> Finding:
        if who == "nobody":
            return Finding("port", True, _("Port {port} is free for it.", port=port))
        if who == "antifake":
            sentence = _(
                "An antifake that is not yours answers on port {port}. Yours will take the next "
                "free one.",
                port=port,
            )
        else:
            sentence = _(
                "Another program has port {port}: antifake will take the next free one.", port=port
            )
        return Finding("port", True, sentence)

    def token(self) -> Finding:
        asked = client.find(self.where)
        if asked is None:
            return Finding(
                "token", False, _("The file with this computer's token is gone."), RESTART
            )
        try:
            asked.patient(ASK_S).state()
        except DaemonError as error:
            return _of_refusal(error)
        return Finding("token", True, _("The daemon knows the programs of this computer."))

    def version(self) -> Finding:
        found, ours = instance.find(self.where), version("antifake")
        theirs = found.version if found else ours
        if theirs == ours:
            return Finding(
                "version", True, _("Daemon and command line are both {ours}.", ours=ours)
            )
        sentence = _(
            "The daemon is {theirs}, this command line is {ours}.", theirs=theirs, ours=ours
        )
        return Finding("version", False, sentence, RESTART)


def _of_own_port(port: int, wanted: int) -> str:
    if port == wanted:
        return _("antifake answers on port {port}.", port=port)
    return _(
        "antifake answers on port {port}. Port {wanted} was taken, or set since it started.",
        port=port,
        wanted=wanted,
    )


def _of_refusal(error: DaemonError) -> Finding:
    if error.code == "unproved":
        sentence = _("The daemon does not know the token in this computer's file.")
        return Finding("token", False, sentence, RESTART)
    if error.status == 401:
        sentence = _("The daemon does not accept this computer's token: it was revoked.")
        return Finding("token", False, sentence, RESTART)
    if error.status == 403:
        return Finding("token", False, _("This computer's token may not do everything."), RESTART)
    return Finding("token", False, str(error), RESTART)


def _who(port: int) -> Who:
    try:
        said = Client(Socket(port, ""), ASK_S).get("/health")
    except DaemonError as error:
        return _why_not(error)
    return "antifake" if isinstance(said, dict) and said.get("service") == "antifake" else "another"


def _why_not(error: DaemonError) -> Who:
    if isinstance(error.__cause__, ConnectionRefusedError):
        return "nobody"
    return "silent" if isinstance(error.__cause__, TimeoutError) else "another"
