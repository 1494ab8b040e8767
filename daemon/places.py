"""Where the daemon keeps what is the person's: one folder of ours on each of the system's shelves.

ANTIFAKE_HOME names one folder for everything instead, as tests and portable installs want it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from antifake.core.catalog import Home

from .config import config_path


@dataclass(frozen=True)
class Places:
    """Folders and files; none of them need be there yet."""

    home: Home
    """Models and prompts."""
    config: Path
    data: Path
    """What must not be lost: the log of verdicts."""
    state: Path
    """What is of this run: who is running, and bytes that wait to be judged."""
    logs: Path

    @property
    def database(self) -> Path:
        return self.data / "history.db"

    @property
    def spool(self) -> Path:
        """Pictures that were sent, until they are judged."""
        return self.state / "spool"

    @property
    def lock(self) -> Path:
        return self.state / "daemon.lock"

    @property
    def running(self) -> Path:
        return self.state / "running.json"

    @property
    def local_token(self) -> Path:
        """The token of the programs on this computer: command line and tray."""
        return self.state / "local.token"

    @property
    def log(self) -> Path:
        return self.logs / "antifake.log"

    def make(self) -> None:
        """Make the folders, readable by this user only. Raises OSError."""
        for folder in (self.home.root, self.data, self.state, self.spool, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.state, self.spool):
            folder.chmod(0o700)


def places() -> Places:
    if chosen := os.environ.get("ANTIFAKE_HOME"):
        root = Path(chosen).absolute()
        return Places(Home(root), config_path(), root, root / "run", root / "logs")
    import platformdirs  # noqa: PLC0415  # the command line starts without it

    ours = platformdirs.PlatformDirs("antifake", appauthor=False)
    data = ours.user_data_path
    return Places(Home(data), config_path(), data, ours.user_state_path, ours.user_log_path)
