"""A program to start, and the interface of every autostart mechanism."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _


class AutostartError(AntifakeError):
    """Autostart could not be configured or read."""


@dataclass(frozen=True)
class Program:
    """A program to start with the session."""

    name: str
    """The file name without its suffix. It must never change: `off` finds the entry by it."""
    what: str
    """A description for people."""
    command: tuple[str, ...]
    home: str | None = None
    """The user's ANTIFAKE_HOME, if one is set."""


@dataclass(frozen=True)
class Status:
    """What is really configured."""

    name: str
    way: str
    """The mechanism: systemd, XDG autostart, LaunchAgent or Run key."""
    is_on: bool
    where: str
    """The file or entry."""
    problem: str | None = None
    """Why it will not start although its entry exists, in a sentence."""


class AutostartEntry(Protocol):
    """One program started by one mechanism. Both `on` and `off` are idempotent."""

    def on(self) -> None:
        """Raises AutostartError and OSError."""
        ...

    def off(self) -> None:
        """Raises AutostartError and OSError."""
        ...

    def status(self) -> Status: ...


def problem_of(command: list[str], program: Program) -> str | None:
    """Compares the command of an existing entry with `program`. Returns a sentence, or None."""
    if not command:
        return _("It names no program.")
    if shutil.which(command[0]) is None:
        return _("It starts {program}, which is not there (any more).", program=command[0])
    if tuple(command) != program.command:
        return _("It starts another antifake: {command}", command=" ".join(command))
    return None


def single_line(text: str) -> str:
    """Returns `text` if it fits on one line of a file. Raises AutostartError otherwise."""
    if not text.isprintable():
        raise AutostartError(_("{text!r} cannot stand in an autostart file.", text=text))
    return text


def remove(path: Path, upto: Path) -> None:
    """Removes a file, then its parents below `upto` as long as they are empty."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == upto or upto not in folder.parents:
            return
        try:
            folder.rmdir()
        except OSError:
            return  # it holds files of others
