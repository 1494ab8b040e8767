"""A LaunchAgent of macOS: launchd reads it when the user logs in.

Follows launchd.plist(5); it has not been run on macOS.
"""

import plistlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from antifake.core.files import write_atomically
from antifake.core.i18n import _

from .entry import Program, Status, problem_of, remove


@dataclass(frozen=True)
class LaunchAgent:
    program: Program
    home: Path

    @property
    def label(self) -> str:
        return f"local.{self.program.name}"

    @property
    def path(self) -> Path:
        return self.home / "Library" / "LaunchAgents" / f"{self.label}.plist"

    def on(self) -> None:
        write_atomically(self.path, plistlib.dumps(self.content()))

    def off(self) -> None:
        remove(self.path, self.home / "Library")

    def status(self) -> Status:
        is_there = self.path.exists()
        problem = self._problem() if is_there else None
        return Status(self.program.name, "LaunchAgent", is_there, str(self.path), problem)

    def content(self) -> dict[str, Any]:
        home = self.program.home
        return {
            "Label": self.label,
            "ProgramArguments": list(self.program.command),
            "RunAtLoad": True,
            # Restart after a crash, but not after a regular exit.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ProcessType": "Interactive",
            "Umask": 0o077,
            **({"EnvironmentVariables": {"ANTIFAKE_HOME": home}} if home else {}),
        }

    def _problem(self) -> str | None:
        try:
            content = plistlib.loads(self.path.read_bytes())
            command = [str(word) for word in content["ProgramArguments"]]
        except (OSError, ValueError, KeyError, TypeError, ExpatError):
            return _("Its file cannot be read.")
        return problem_of(command, self.program)
