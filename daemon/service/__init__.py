"""What can be done with pictures, history, folders and settings.

Service is the facade that every interface (API, pages, command line) calls. The watcher hands its
files to Intake, and the schedule calls Upkeep.
"""

from .answers import Answer, AnswerGroup, Ticket
from .at_rest import learning_of, service_at_rest
from .checks import CheckRequest, Checks
from .events import Event, Events
from .existing import ExistingFiles
from .intake import Intake
from .progress import Progress
from .service import Service, WatchedFolder
from .settings import Settings
from .status import State, Status
from .upkeep import Upkeep

__all__ = [
    "Answer",
    "AnswerGroup",
    "CheckRequest",
    "Checks",
    "Event",
    "Events",
    "ExistingFiles",
    "Intake",
    "Progress",
    "Service",
    "Settings",
    "State",
    "Status",
    "Ticket",
    "Upkeep",
    "WatchedFolder",
    "learning_of",
    "service_at_rest",
]
