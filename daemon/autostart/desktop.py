"""A desktop entry in the XDG autostart folder: for sessions without systemd, and for programs that
need a screen."""

import configparser
import re
from dataclasses import dataclass
from pathlib import Path

from antifake.core.files import write_atomically
from antifake.core.i18n import _

from .entry import Program, Status, problem_of, remove, single_line

_ENTRY = """\
[Desktop Entry]
Type=Application
Version=1.0
Name={name}
Comment={what}
TryExec={program}
Exec={command}
Terminal=false
NoDisplay=true
X-GNOME-Autostart-enabled=true
"""
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


@dataclass(frozen=True)
class DesktopEntry:
    program: Program
    config_home: Path

    @property
    def path(self) -> Path:
        return self.config_home / "autostart" / f"{self.program.name}.desktop"

    def on(self) -> None:
        write_atomically(self.path, self.text().encode())

    def off(self) -> None:
        remove(self.path, self.config_home)

    def status(self) -> Status:
        is_on, problem = self._look()
        return Status(self.program.name, "XDG autostart", is_on, str(self.path), problem)

    def text(self) -> str:
        return _ENTRY.format(
            name=self.program.name,
            what=self.program.what,
            program=string_value(single_line(self.program.command[0])),
            command=exec_line(self.program),
        )

    def _look(self) -> tuple[bool, str | None]:
        if not self.path.exists():
            return False, None
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(self.path.read_text("utf-8"))
            entry = parser["Desktop Entry"]
            command = _unquoted(entry["Exec"])
        except (OSError, UnicodeDecodeError, configparser.Error, KeyError):
            return True, _("Its file cannot be read.")
        is_off = entry.get("Hidden") == "true" or entry.get("X-GNOME-Autostart-enabled") == "false"
        if command[:1] == ["env"]:
            command = [word for n, word in enumerate(command) if n > 1]
        return not is_off, problem_of(command, self.program)


def exec_line(program: Program) -> str:
    """Returns the value of Exec that runs a program, in its ANTIFAKE_HOME."""
    before = ("env", f"ANTIFAKE_HOME={program.home}") if program.home else ()
    return " ".join(map(_quoted, (*before, *program.command)))


def string_value(text: str) -> str:
    """Escapes a value of type "string" of the Desktop Entry Specification."""
    return text.replace("\\", "\\\\")


def _quoted(text: str) -> str:
    """Quotes one argument of Exec, then escapes it, since Exec itself is a string."""
    inner = re.sub(r'(["`$\\])', r"\\\1", single_line(text)).replace("%", "%%")
    return string_value(f'"{inner}"')


def _unquoted(line: str) -> list[str]:
    line = line.replace("\\\\", "\\")
    words = (
        re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
        for found in _WORD.finditer(line)
    )
    return [word.replace("%%", "%") for word in words]
