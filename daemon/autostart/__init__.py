"""Starting with the person's session: on, off, and what is really there.

    ways = ways_here(Session.of_this_process())
    for way in ways: way.on()

Each system has its own way; all of them are files or entries of this user alone, and what `on`
has made `off` takes away. Windows and macOS are written after their documentation and were not
run.
"""

from .face import Session, status, turn_off, turn_on, ways_here
from .way import AutostartError, Program, Status, Way

__all__ = [
    "AutostartError",
    "Program",
    "Session",
    "Status",
    "Way",
    "status",
    "turn_off",
    "turn_on",
    "ways_here",
]
