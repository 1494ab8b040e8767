"""Watched folders: new and changed pictures, each handed over once, none missed.

    with Watcher(sink, config.watch) as watcher:
        watcher.state()

Events are hints only. They get lost, come twice or come too early. What counts is what is on the
disk and what the ledger says about it. A walk compares the two: at the start, after every loss
of events, and every few minutes.
"""

from .sink import Sink
from .survey import survey
from .watcher import FolderState, Watcher

__all__ = ["FolderState", "Sink", "Watcher", "survey"]
