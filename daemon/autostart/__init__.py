"""Starts antifake with the user's session: on, off, and what is really configured.

    session = Session.of_this_process()
    for status in turn_on(session):
        print(status.name, status.is_on, status.where)

Each operating system has its own mechanism. All of them are files or entries that belong to this
user alone, and `turn_off` removes what `turn_on` has made. The code for Windows and macOS follows
their documentation and has not been run there.
"""

from .detached import let_live, start_detached
from .entry import AutostartEntry, AutostartError, Program, Status
from .session import Session, entries_for, status, turn_off, turn_on

__all__ = [
    "AutostartEntry",
    "AutostartError",
    "Program",
    "Session",
    "Status",
    "entries_for",
    "has_menu",
    "let_live",
    "start_detached",
    "status",
    "turn_off",
    "turn_on",
]


def has_menu() -> bool:
    """Returns whether this system has a menu that `Session.menu` can be in."""
    return Session.of_this_process().has_menu
