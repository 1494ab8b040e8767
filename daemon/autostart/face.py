"""Which way this system has, and all programs of ours on it at once."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import systemd
from .desktop import DesktopEntry
from .mac import LaunchAgent
from .way import Program, Status, Way
from .windows import RunKey


@dataclass(frozen=True)
class Session:
    """What decides: the system, the person's folders, and whether there is a screen."""

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
    def has_screen(self) -> bool:
        if self.platform in ("win32", "darwin"):
            return True
        return any(self.environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

    @property
    def daemon(self) -> Program:
        what = "antifake, private detector of AI-made pictures"
        return self._program("antifake", what, "daemon", "run")

    @property
    def tray(self) -> Program:
        return self._program("antifake-tray", "antifake's icon beside the clock", "tray")

    def _program(self, name: str, what: str, *words: str) -> Program:
        chosen = self.environment.get("ANTIFAKE_HOME")
        home = str(Path(chosen).absolute()) if chosen else None
        return Program(name, what, (self.python, "-m", "antifake.daemon", *words), home)


def ways_here(session: Session) -> list[Way]:
    """That of the daemon, and that of the tray."""
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
    """The tray only where there is a screen now. Raises AutostartError and OSError."""
    daemon, tray = ways_here(session)
    _drop_other(session, daemon)
    daemon.on()
    if session.has_screen:
        tray.on()
    return status(session)


def turn_off(session: Session) -> list[Status]:
    """Raises AutostartError and OSError."""
    daemon, tray = ways_here(session)
    _drop_other(session, daemon)
    daemon.off()
    tray.off()
    return status(session)


def _drop_other(session: Session, way: Way) -> None:
    """Switched on when there was no systemd yet, it would start twice."""
    if isinstance(way, systemd.SystemdUnit):
        DesktopEntry(session.daemon, session.config_home).off()


def status(session: Session) -> list[Status]:
    """What is really there."""
    return [way.status() for way in ways_here(session)]
