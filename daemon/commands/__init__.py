"""The command line of the daemon: each module is a few commands on one thing.

Importing this imports click and nothing heavy; what a command needs it imports itself.
"""

from .autostart import autostart
from .check import check
from .config import config
from .daemon import daemon, open_history, tray
from .doctor import doctor
from .history import history
from .label import label
from .logs import logs
from .pair import pair
from .watch import watch

COMMANDS = (
    check,
    daemon,
    open_history,
    tray,
    config,
    watch,
    history,
    label,
    pair,
    logs,
    autostart,
    doctor,
)
