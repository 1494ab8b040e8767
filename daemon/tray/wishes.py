"""What the user wants to be notified of, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antifake.daemon.config.quiet_hours import QuietHours

from .notifications import Level


@dataclass(frozen=True)
class Wishes:
    level: Level = "ai"
    quiet_hours: QuietHours = field(default_factory=QuietHours)
    shows_pictures: bool = True


def wishes_of(settings: Mapping[str, Any]) -> Wishes:
    """Reads the daemon's settings. Raises ValueError. A daemon of an older version has fewer."""
    return Wishes(
        settings.get("notifications.level", "ai"),
        QuietHours.parse(settings.get("notifications.quiet_hours", "")),
        settings.get("notifications.pictures", True),
    )
