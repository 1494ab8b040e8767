"""How other programs of ours on this computer ask the daemon: the command line and the tray."""

from .client import API, Client, DaemonError, find, need

__all__ = ["API", "Client", "DaemonError", "find", "need"]
