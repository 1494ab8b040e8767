"""The verbs: what can be done with pictures, history, folders and settings.

Every door (HTTP, pages, watcher, schedule) calls these and decides nothing itself.
"""

from .answers import Answer, Ticket
from .events import Event, Events
from .service import CheckRequest, Dependencies, Service, State
from .settings import Settings

__all__ = [
    "Answer",
    "CheckRequest",
    "Dependencies",
    "Event",
    "Events",
    "Service",
    "Settings",
    "State",
    "Ticket",
]
