"""The settings in force, and the one place that changes them while the daemon runs."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from antifake.daemon.config import Config, Folder, add_folder, load, put, put_all, remove_folder


class Settings:
    """Usable from many threads; whoever needs to know of changes is called with the new ones."""

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
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
        """Raises ConfigError, and changes nothing then."""
        return self._change(lambda: put(self.path, name, value))

    def put_all(self, values: Mapping[str, Any]) -> Config:
        """All or none."""
        return self._change(lambda: put_all(self.path, values))

    def watch(self, folder: Folder) -> Config:
        return self._change(lambda: add_folder(self.path, folder))

    def unwatch(self, path: Path) -> Config:
        return self._change(lambda: remove_folder(self.path, path))

    def pause(self, until: datetime | None) -> Config:
        return self.put("watch.paused_until", until)

    def reload(self) -> Config:
        """As the person has edited the file. Raises ConfigError; the old ones stay in force."""
        return self._change(lambda: load(self.path))

    def reload_if_changed(self) -> None:
        """As `reload`, where the file is not the one that was read last."""
        if _stamp(self.path) != self._read:
            self.reload()

    def _change(self, change: Callable[[], Config]) -> Config:
        with self._turn:
            # Even if it cannot be read: once is enough to say so.
            self._read = _stamp(self.path)
            config = change()
            self._read = _stamp(self.path)
            is_new, self._config = config != self._config, config
        if is_new:
            for listener in self._listeners:
                listener(config)
        return config


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size
