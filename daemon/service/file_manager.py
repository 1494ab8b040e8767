"""Shows a file in the desktop's file manager, or opens it in the program that it is for."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from antifake.core import AntifakeError
from antifake.core.i18n import _

_PATIENCE_S = 10.0
_SHOW = (
    "dbus-send",
    "--session",
    "--print-reply",
    "--dest=org.freedesktop.FileManager1",
    "/org/freedesktop/FileManager1",
    "org.freedesktop.FileManager1.ShowItems",
)


class NoDesktopError(AntifakeError):
    status = 503
    code = "no_desktop"


def open_file(path: Path) -> None:
    """Opens a file. Raises NoDesktopError. The caller sees to it that this runs no program."""
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606 - a picture, by its name and its bytes
    elif not _has_run([_opener(), str(path)]):
        raise NoDesktopError(_("No program could be started that opens this file."))


def show_in_folder(path: Path) -> None:
    """Shows a file selected in its folder, or only the folder. Raises NoDesktopError."""
    if sys.platform == "win32":
        # It needs its own quotes, and its exit status means nothing.
        subprocess.run(f'explorer /select,"{path}"', check=False)  # noqa: S603
        return
    if sys.platform == "darwin":
        commands = [["open", "-R", str(path)]]
    else:
        # A comma would end an item of the list, so it is escaped, too.
        address = f"file://{quote(os.fsencode(path))}"
        commands = [
            [*_SHOW, f"array:string:{address}", "string:"],
            [_opener(), str(path.parent)],
        ]
    if not any(map(_has_run, commands)):
        raise NoDesktopError(_("No file manager could be started that shows this folder."))


def _opener() -> str:
    return "open" if sys.platform == "darwin" else "xdg-open"


def _has_run(command: Sequence[str]) -> bool:
    """Whether a command has ended well. One that is still running then shows something."""
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        return process.wait(_PATIENCE_S) == 0
    except subprocess.TimeoutExpired:
        return True
