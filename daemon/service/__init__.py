"""The verbs: what can be done with pictures, history, folders and settings.

Every door (HTTP, pages, watcher, schedule) calls these and decides nothing itself.
"""

from .answers import Answer, Ticket
from .events import Event, Events
from .service import Asked, Parts, Service, State
from .settings import Settings

__all__ = [
    "Answer",
    "Asked",
    "Event",
    "Events",
    "Parts",
    "Service",
    "Settings",
    "State",
    "Ticket",
]
