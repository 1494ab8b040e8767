"""Watched folders: new and changed pictures, each handed over once, none left out.

    with Watcher(service, config.watch) as watcher:
        watcher.state()

Events are hints. They get lost, come twice, come too early; what is true is what lies on the
disk and what the ledger says of it, and a walk compares the two: at the start, after every loss,
and every few minutes.
"""

from .sink import Desk
from .watcher import FolderState, Watcher

__all__ = ["Desk", "FolderState", "Watcher"]
