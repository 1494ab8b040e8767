"""An entry in the Run key of the user's registry: Windows reads it when the user logs in.

Not a service, because services have no screen for a tray. Follows the documentation; it has not
been run on Windows.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import PureWindowsPath

from antifake.core.i18n import _

from .entry import AutostartError, Program, Status, problem_of

_KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"
_LONGEST = 260
"""The longest command, in characters, that Windows reads there."""
_VALUE = re.compile(r"^\s+\S+\s+REG_SZ\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class RunKey:
    program: Program

    def on(self) -> None:
        command = self.command()
        if len(command) > _LONGEST:
            raise AutostartError(
                _("Windows starts no command this long: {command}", command=command)
            )
        home = self.program.home
        if home and _run("query", r"HKCU\Environment", "/v", "ANTIFAKE_HOME").returncode != 0:
            # A Run entry holds a command only, no environment.
            raise AutostartError(
                _(
                    "Windows would start antifake without your ANTIFAKE_HOME: keep it for your "
                    'account first, with `setx ANTIFAKE_HOME "{home}"`.',
                    home=home,
                )
            )
        self._reg("add", _KEY, "/v", self.program.name, "/t", "REG_SZ", "/d", command)

    def off(self) -> None:
        if self._entry() is not None:
            self._reg("delete", _KEY, "/v", self.program.name)

    def status(self) -> Status:
        entry = self._entry()
        problem = problem_of(_words(entry), self._without_console()) if entry else None
        where = rf"{_KEY}\{self.program.name}"
        return Status(self.program.name, "Run key", entry is not None, where, problem)

    def command(self) -> str:
        return subprocess.list2cmdline(self._without_console().command)

    def _without_console(self) -> Program:
        """Returns the program run by pythonw.exe, which opens no console window."""
        python, *rest = self.program.command
        path = PureWindowsPath(python)
        if path.name.lower() == "python.exe":
            python = str(path.with_name("pythonw.exe"))
        return Program(self.program.name, self.program.what, (python, *rest), self.program.home)

    def _entry(self) -> str | None:
        done = _run("query", _KEY, "/v", self.program.name)
        found = _VALUE.search(done.stdout) if done.returncode == 0 else None
        return found[1].strip() if found else None

    def _reg(self, *words: str) -> None:
        done = _run(*words, "/f")
        if done.returncode != 0:
            raise AutostartError(_("The registry refused: {error}", error=done.stderr.strip()))


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603
            ["reg", *words],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AutostartError(_("The registry does not answer: {error}.", error=error)) from error


def _words(command: str) -> list[str]:
    """Undoes `list2cmdline`. None of our arguments ends in a backslash."""
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', command)]
