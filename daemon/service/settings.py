"""The current settings. While the daemon runs, only this module changes them."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from antifake.core.catalog import Home
from antifake.daemon.config import (
    Config,
    Folder,
    add_folder,
    change_folder,
    load,
    names,
    put_all,
    remove_folder,
    require_installed,
)

log = logging.getLogger(__name__)


class Settings:
    """Thread-safe. Listeners are called with the new settings after each change."""

    def __init__(self, path: Path, config: Config, home: Home | None = None) -> None:
        """`home`: where models and prompts are that settings name; None takes every name."""
        self.path = path
        self._home = home
        self._config = config
        self._turn = threading.Lock()
        self._listeners: list[Callable[[Config], None]] = []
        self._read = _stamp(path)

    @property
    def config(self) -> Config:
        return self._config

    def listen(self, listener: Callable[[Config], None]) -> None:
        self._listeners.append(listener)

    def put(self, name: str, value: Any) -> Config:
        """Changes one setting. Raises ConfigError, and then nothing has changed."""
        return self.put_all({name: value})

    def put_all(self, values: Mapping[str, Any]) -> Config:
        """Changes all of these settings, or none if one is invalid."""
        if self._home is not None:
            require_installed(self._home, self._config, values)
        return self._change(lambda: put_all(self.path, values))

    def watch(self, folder: Folder) -> Config:
        return self._change(lambda: add_folder(self.path, folder))

    def change_watch(self, former: Folder, folder: Folder) -> Config:
        return self._change(lambda: change_folder(self.path, former, folder))

    def unwatch(self, path: Path) -> Config:
        return self._change(lambda: remove_folder(self.path, path))

    def pause(self, until: datetime | None) -> Config:
        return self.put("watch.paused_until", until)

    def reload(self) -> Config:
        """Reads the file again. Raises ConfigError; the old settings then stay in force."""
        return self._change(lambda: load(self.path))

    def reload_if_changed(self) -> None:
        """Calls `reload` if the file has changed since it was read last."""
        if _stamp(self.path) != self._read:
            self.reload()

    def _change(self, change: Callable[[], Config]) -> Config:
        with self._turn:
            # Also if it cannot be read, so that the error is reported only once.
            self._read = _stamp(self.path)
            config = change()
            self._read = _stamp(self.path)
            former, self._config = self._config, config
            is_new = config != former
        if is_new:
            changed = [name for name in names() if config.get(name) != former.get(name)]
            log.info("changed settings: %s", ", ".join(changed))
            for listener in self._listeners:
                listener(config)
        return config


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size
