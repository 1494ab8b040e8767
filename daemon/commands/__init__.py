"""The commands that the daemon adds to the command line. Each module has those of one subject.

Importing a module here imports click and nothing heavy. Each command imports what it needs.
"""

from .autostart import autostart
from .check import check
from .config import config
from .daemon import daemon, open_history, tray
from .doctor import doctor
from .history import history
from .label import label
from .learning import learning, retrain
from .logs import logs
from .pair import pair
from .privacy import privacy
from .report import report
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
    report,
    retrain,
    learning,
    pair,
    privacy,
    logs,
    autostart,
    doctor,
)
