"""The client of the daemon for our other programs on this computer: command line and tray."""

from .client import Check, Client, Query
from .connect import connect, find, need
from .errors import DaemonError
from .learning import LearningClient
from .transport import InProcess, Socket

__all__ = [
    "Check",
    "Client",
    "DaemonError",
    "InProcess",
    "LearningClient",
    "Query",
    "Socket",
    "connect",
    "find",
    "need",
]
