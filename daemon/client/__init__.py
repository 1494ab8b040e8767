"""The client of the daemon for our other programs on this computer: command line and tray."""

from .client import Check, Client, Query
from .connect import connect, find, need
from .errors import OTHER_FORM, DaemonError, understood
from .learning import LearningClient
from .transport import InProcess, Socket

__all__ = [
    "OTHER_FORM",
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
    "understood",
]
