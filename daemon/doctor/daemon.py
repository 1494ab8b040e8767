"""Checks of the running daemon: its lock, port, token and version."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from antifake.daemon import client, instance
from antifake.daemon.client import Client, DaemonError, Socket
from antifake.daemon.config import Config
from antifake.daemon.places import Places

from .finding import Finding

ASK_S = 3.0
RESTART = "antifake daemon stop; antifake daemon start"

Who = Literal["antifake", "another", "silent", "nobody"]
"""Who answers at a port. "silent" accepts the connection and sends nothing."""


@dataclass(frozen=True)
class DaemonChecks:
    where: Places

    def state(self) -> Finding:
        """Checks whether the daemon runs."""
        name, found = "daemon", instance.find(self.where)
        if found is not None:
            sentence = f"It runs since {found.started} as process {found.pid}, port {found.port}."
            return Finding(name, True, sentence)
        if instance.is_running(self.where):
            sentence = "Somebody holds its lock and has not said yet on which port."
            fix = "Wait a moment and ask again; if this stays so, log out and in again."
            return Finding(name, False, sentence, fix)
        if self.where.running.exists():
            sentence = "It ended without saying so: it crashed, was killed, or the power went."
            return Finding(name, False, sentence, "antifake daemon start")
        return Finding(name, False, "It is not running.", "antifake daemon start")

    def port(self, config: Config) -> Finding:
        """Checks who answers at the daemon's port, or at the one it would take."""
        found, wanted = instance.find(self.where), config.server.port
        who = _who(found.port if found else wanted)
        if found is None:
            return self._of_free_port(who, wanted)
        if who == "antifake":
            note = "" if found.port == wanted else f" {wanted} was taken, or set since it started."
            return Finding("port", True, f"antifake answers on port {found.port}.{note}")
        if who == "another":
            sentence = f"Another program answers on port {found.port}, which should be antifake's."
        else:
            sentence = f"antifake runs and does not answer on port {found.port}: it hangs."
        return Finding("port", False, sentence, RESTART)

    def _of_free_port(self, who: Who, port: int) -> Finding:
        if who == "nobody":
            return Finding("port", True, f"Port {port} is free for it.")
        if who == "antifake":
            sentence = f"An antifake that is not yours answers on port {port}."
        else:
            sentence = f"Another program has port {port}."
        return Finding("port", True, f"{sentence} Yours will take the next free one.")

    def token(self) -> Finding:
        asked = client.find(self.where)
        if asked is None:
            return Finding("token", False, "The file with this computer's token is gone.", RESTART)
        try:
            asked.patient(ASK_S).state()
        except DaemonError as error:
            return _of_refusal(error)
        return Finding("token", True, "The daemon knows the programs of this computer.")

    def version(self) -> Finding:
        found, ours = instance.find(self.where), version("antifake")
        theirs = found.version if found else ours
        if theirs == ours:
            return Finding("version", True, f"Daemon and command line are both {ours}.")
        sentence = f"The daemon is {theirs}, this command line is {ours}."
        return Finding("version", False, sentence, RESTART)


def _of_refusal(error: DaemonError) -> Finding:
    if error.code == "unproved":
        sentence = "The daemon does not know the token in this computer's file."
        return Finding("token", False, sentence, RESTART)
    if error.status == 401:
        sentence = "The daemon does not accept this computer's token: it was revoked."
        return Finding("token", False, sentence, RESTART)
    if error.status == 403:
        return Finding("token", False, "This computer's token may not do everything.", RESTART)
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
