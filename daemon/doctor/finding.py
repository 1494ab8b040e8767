"""The result of one check of the doctor."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from antifake.core.i18n import _

_TITLES = {
    "folders": _("folders"),
    "settings": _("settings"),
    "disk": _("disk"),
    "libraries": _("libraries"),
    "model": _("model"),
    "prompt": _("prompt"),
    "history": _("history"),
    "daemon": _("daemon"),
    "port": _("port"),
    "token": _("token"),
    "version": _("version"),
    "watched folders": _("watched folders"),
    "kernel's watches": _("kernel's watches"),
    "tray": _("tray"),
    "autostart": _("autostart"),
}


@dataclass(frozen=True)
class Finding:
    name: str
    """For programs."""
    ok: bool
    sentence: str
    fix: str | None = None
    """What to do about it, for people. If `ok`, something that could still be improved."""

    @property
    def title(self) -> str:
        """The name, for people."""
        return _TITLES.get(self.name, self.name)


def ours(*words: str) -> str:
    """Returns a command of antifake as a person types it."""
    return typed("antifake", *words)


def typed(*words: str) -> str:
    """Returns a command, with the quotes that a shell needs."""
    return shlex.join(words)


START = ours("daemon", "start")
RESTART = f"{ours('daemon', 'stop')}; {START}"


def first_trouble(findings: Iterable[Finding]) -> Finding | None:
    """Returns the failure to fix first: it may be the cause of the later ones."""
    return next((finding for finding in findings if not finding.ok), None)
