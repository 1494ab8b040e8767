"""Where learning reads and writes, and what it asks and tells the rest of the daemon."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from antifake.daemon.config import Config
from antifake.daemon.store import Store
from antifake.daemon.store.crops import CropFiles

from .battery import is_on_battery
from .versions import Versions


@dataclass(frozen=True)
class LearningCallbacks:
    """What learning asks and tells the rest of the daemon."""

    config: Callable[[], Config]
    put_setting: Callable[[str, Any], object]
    clock: Callable[[], datetime]
    tell: Callable[..., None]
    """Called with the data of an event of the kind "training"."""
    notice: Callable[[str], None]
    is_on_battery: Callable[[], bool] = is_on_battery


@dataclass(frozen=True)
class Place:
    """Where a training reads and writes."""

    store: Store
    versions: Versions
    crop_files: CropFiles
    work: Path

    @property
    def note(self) -> Path:
        """Holds the process id of the trainer."""
        return self.work / "trainer.json"
