"""How other programs of ours on this computer ask the daemon: the command line and the tray."""

from .client import Check, Client, Query
from .connect import connect, find, need
from .errors import DaemonError
from .transport import InProcess, Socket

__all__ = [
    "Check",
    "Client",
    "DaemonError",
    "InProcess",
    "Query",
    "Socket",
    "connect",
    "find",
    "need",
]
