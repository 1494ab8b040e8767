"""Where the daemon keeps the user's data: the platform's folders for config, data, state and logs.

If ANTIFAKE_HOME is set, everything is in that one folder, for tests and portable installations.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from antifake.core.catalog import Home
from antifake.core.private_files import make_private, secure

from .config import config_path


@dataclass(frozen=True)
class Places:
    """Paths of folders and files. They need not exist yet."""

    home: Home
    """Models and prompts."""
    config: Path
    data: Path
    """What must not be lost: the history."""
    state: Path
    """Runtime state: which daemon runs, and pictures that wait to be judged."""
    logs: Path

    @property
    def database(self) -> Path:
        return self.data / "history.db"

    @property
    def machine(self) -> Path:
        """With a history on a database server: what belongs to this computer alone."""
        return self.data / "machine.db"

    @property
    def crops(self) -> Path:
        """Crops of pictures, as the model saw them, for learning from corrections."""
        return self.data / "crops"

    @property
    def training(self) -> Path:
        """What a training reads and writes while it runs."""
        return self.state / "training"

    @property
    def spool(self) -> Path:
        """Holds uploaded pictures until they are judged."""
        return self.state / "spool"

    @property
    def lock(self) -> Path:
        return self.state / "daemon.lock"

    @property
    def running(self) -> Path:
        return self.state / "running.json"

    @property
    def local_token(self) -> Path:
        """The token of the command line and the tray. It is another one after each start."""
        return self.state / "local.token"

    @property
    def browsers_key(self) -> Path:
        """The secret that the keys of remembered browsers are derived from."""
        return self.state / "browsers.key"

    @property
    def log(self) -> Path:
        return self.logs / "antifake.log"

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of antifake's own, parents before what is in them."""
        home = self.home
        tops = (home.root, self.config.parent, self.data, self.state, self.logs)
        return (*dict.fromkeys((*tops, *home.folders)), self.spool, self.crops, self.training)

    def make(self) -> None:
        """Makes the folders, and takes the rights of others to them away.

        Raises OSError, and NotPrivateError if others could change what is in them.
        """
        for folder in (self.home.root, self.data, self.state, self.spool, self.logs):
            make_private(folder)
        self.secure()

    def secure(self) -> None:
        """Does what `make` does with the folders that exist. Raises NotPrivateError."""
        secure(self.home.root, self.folders, [self.config])


def places() -> Places:
    """Returns the places of this user, which nobody else can change. Raises NotPrivateError."""
    where = unjudged_places()
    where.secure()
    return where


def unjudged_places() -> Places:
    """Returns the places of this user as they are: for the doctor, which changes nothing."""
    if chosen := os.environ.get("ANTIFAKE_HOME"):
        root = Path(chosen).absolute()
        return Places(Home(root), config_path(), root, root / "run", root / "logs")
    import platformdirs  # noqa: PLC0415  # slow to import

    ours = platformdirs.PlatformDirs("antifake", appauthor=False)
    data = ours.user_data_path
    return Places(Home(data), config_path(), data, ours.user_state_path, ours.user_log_path)
