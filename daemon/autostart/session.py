"""Chooses the mechanism of this system and switches all our programs on or off with it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from antifake.core.i18n import _

from . import systemd
from .desktop import DesktopEntry
from .entry import AutostartEntry, Program, Status
from .macos import LaunchAgent
from .menu import MenuEntry
from .windows import RunKey


@dataclass(frozen=True)
class Session:
    """The facts that decide: the platform, the user's folders, and whether there is a screen."""

    platform: str
    python: str
    home: Path
    environment: Mapping[str, str]

    @classmethod
    def of_this_process(cls) -> "Session":
        return cls(sys.platform, sys.executable, Path.home(), os.environ)

    @property
    def config_home(self) -> Path:
        chosen = Path(self.environment.get("XDG_CONFIG_HOME", ""))
        return chosen if chosen.is_absolute() else self.home / ".config"

    @property
    def data_home(self) -> Path:
        chosen = Path(self.environment.get("XDG_DATA_HOME", ""))
        return chosen if chosen.is_absolute() else self.home / ".local" / "share"

    @property
    def has_menu(self) -> bool:
        """Whether the desktop's menu is made of desktop entries."""
        return self.platform not in ("win32", "darwin")

    @property
    def menu(self) -> MenuEntry:
        what = _("Tells AI-made pictures from real ones, on this computer")
        return MenuEntry(self._program("antifake", what, "open"), self.data_home)

    @property
    def has_screen(self) -> bool:
        if self.platform in ("win32", "darwin"):
            return True
        return any(self.environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

    @property
    def daemon(self) -> Program:
        what = _("antifake, private detector of AI-made pictures")
        return self._program("antifake", what, "daemon", "run")

    @property
    def tray(self) -> Program:
        return self._program("antifake-tray", _("antifake's icon beside the clock"), "tray")

    def _program(self, name: str, what: str, *words: str) -> Program:
        chosen = self.environment.get("ANTIFAKE_HOME")
        home = str(Path(chosen).absolute()) if chosen else None
        return Program(name, what, (self.python, "-m", "antifake.daemon", *words), home)


def entries_for(session: Session) -> list[AutostartEntry]:
    """Returns the entry of the daemon and the entry of the tray."""
    programs = [session.daemon, session.tray]
    if session.platform == "darwin":
        return [LaunchAgent(program, session.home) for program in programs]
    if session.platform == "win32":
        return [RunKey(program) for program in programs]
    tray = DesktopEntry(session.tray, session.config_home)
    if systemd.works():
        return [systemd.SystemdUnit(session.daemon, session.config_home), tray]
    return [DesktopEntry(session.daemon, session.config_home), tray]


def turn_on(session: Session) -> list[Status]:
    """Switches both on; the tray only if there is a screen. Raises AutostartError and OSError."""
    daemon, tray = entries_for(session)
    _drop_other(session, daemon)
    daemon.on()
    if session.has_screen:
        tray.on()
    return status(session)


def turn_off(session: Session) -> list[Status]:
    """Switches both off. Raises AutostartError and OSError."""
    daemon, tray = entries_for(session)
    _drop_other(session, daemon)
    daemon.off()
    tray.off()
    return status(session)


def _drop_other(session: Session, entry: AutostartEntry) -> None:
    """Removes a desktop entry from before there was systemd: the daemon would start twice."""
    if isinstance(entry, systemd.SystemdUnit):
        DesktopEntry(session.daemon, session.config_home).off()


def status(session: Session) -> list[Status]:
    """Returns what is really configured."""
    return [entry.status() for entry in entries_for(session)]
