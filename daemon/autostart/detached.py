"""Starts a program that lives on when the one that started it has ended."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def start_detached(command: Sequence[str], output: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Starts a program of ours in `folder`. What it prints goes to a new file, for this user only.

    Raises OSError.
    """
    environment = dict(os.environ)
    if chosen := environment.get("ANTIFAKE_HOME"):
        environment["ANTIFAKE_HOME"] = str(Path(chosen).absolute())
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603  # our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            cwd=folder,
            env=environment,
            start_new_session=True,
            creationflags=_flags(),
        )
    finally:
        os.close(handle)


def let_live(process: subprocess.Popen[bytes]) -> None:
    """Lets the process outlive this object. Otherwise Python warns that it is still running."""
    process.returncode = 0


def _flags() -> int:
    """Returns flags for Windows: a process without our console and without a window."""
    names = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")
    return sum(getattr(subprocess, name, 0) for name in names)
