"""What is started, and what every way of having it started can do."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from antifake.core.errors import AntifakeError


class AutostartError(AntifakeError):
    """It cannot be started with the session as things are."""


@dataclass(frozen=True)
class Program:
    """What is to run."""

    name: str
    """A file's name without its ending, the same for ever: `off` finds it by that."""
    what: str
    """For people."""
    command: tuple[str, ...]
    home: str | None = None
    """ANTIFAKE_HOME, where the person has chosen one."""


@dataclass(frozen=True)
class Status:
    """What is really there."""

    name: str
    way: str
    """systemd, XDG autostart, LaunchAgent or Run key."""
    is_on: bool
    where: str
    """The file or entry."""
    problem: str | None = None
    """Why it will not start although it is there, in a sentence."""


class Way(Protocol):
    """One program and one mechanism of a system. Doing a thing twice is doing it once."""

    def on(self) -> None:
        """Raises AutostartError and OSError."""
        ...

    def off(self) -> None:
        """Raises AutostartError and OSError."""
        ...

    def status(self) -> Status: ...


def problem_of(command: list[str], program: Program) -> str | None:
    """What an entry that is there would run, held against what is here."""
    if not command:
        return "It names no program."
    if shutil.which(command[0]) is None:
        return f"It starts {command[0]}, which is not there (any more)."
    if tuple(command) != program.command:
        return f"It starts another antifake: {' '.join(command)}"
    return None


def plain(text: str) -> str:
    """For a line of a file. Raises AutostartError where it would be more than one."""
    if not text.isprintable():
        raise AutostartError(f"{text!r} cannot stand in an autostart file.")
    return text


def remove(path: Path, upto: Path) -> None:
    """A file, and the folders above it that are empty then, below `upto`."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == upto or upto not in folder.parents:
            return
        try:
            folder.rmdir()
        except OSError:
            return  # it holds what is not ours
