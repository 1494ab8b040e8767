"""A unit of the user's systemd: restarted after a crash, stopped with the session."""

import configparser
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from antifake.core.files import write_atomically
from antifake.core.i18n import _

from .entry import AutostartError, Program, Status, problem_of, remove, single_line

_UNIT = """\
[Unit]
Description={what}
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=simple
ExecStart={command}
{environment}Restart=on-failure
RestartSec=3
# 5: a daemon runs already; 2: the settings are wrong. Trying again does not help.
RestartPreventExitStatus=2 5
TimeoutStopSec=20
KillMode=mixed
UMask=0077
NoNewPrivileges=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictSUIDSGID=true
LockPersonality=true
MemoryHigh=6G

[Install]
WantedBy=default.target
"""
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


def works() -> bool:
    """Returns whether systemd answers for this user."""
    try:
        return _systemctl("show-environment").returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass(frozen=True)
class SystemdUnit:
    program: Program
    config_home: Path

    @property
    def path(self) -> Path:
        return self.config_home / "systemd" / "user" / f"{self.program.name}.service"

    def on(self) -> None:
        write_atomically(self.path, self.text().encode())
        self._do("daemon-reload")
        self._do("enable", self.path.name)

    def off(self) -> None:
        if self.path.exists():
            self._do("disable", self.path.name)
        remove(self.path, self.config_home)
        self._do("daemon-reload")

    def status(self) -> Status:
        return Status(self.program.name, "systemd", self._is_on(), str(self.path), self._problem())

    def text(self) -> str:
        home = self.program.home
        line = f"Environment={_quoted(f'ANTIFAKE_HOME={home}')}\n" if home else ""
        # systemd expands a dollar sign in arguments, but not in the path of the program.
        first, *rest = map(_quoted, self.program.command)
        command = " ".join([first, *(one.replace("$", "$$") for one in rest)])
        return _UNIT.format(what=self.program.what, command=command, environment=line)

    def _is_on(self) -> bool:
        if not self.path.exists():
            return False
        try:
            return _systemctl("is-enabled", self.path.name).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    def _problem(self) -> str | None:
        if not self.path.exists():
            return None
        unit = configparser.RawConfigParser(strict=False)
        try:
            unit.read_string(self.path.read_text("utf-8"))
            line = unit.get("Service", "ExecStart")
        except (OSError, UnicodeDecodeError, configparser.Error):
            return _("Its file cannot be read.")
        return problem_of(_unquoted(line), self.program)

    def _do(self, *words: str) -> None:
        try:
            done = _systemctl(*words)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AutostartError(_("systemctl does not answer: {error}.", error=error)) from error
        if done.returncode != 0:
            why = done.stderr.strip() or _("it ended with {code}", code=done.returncode)
            raise AutostartError(
                _("`systemctl --user {command}` failed: {why}", command=words[0], why=why)
            )


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        ["systemctl", "--user", *words],  # noqa: S607  # its path differs between systems
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def _quoted(text: str) -> str:
    """Quotes one word: see systemd.syntax(7), and systemd.unit(5) for the specifiers."""
    escaped = single_line(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _unquoted(line: str) -> list[str]:
    words = [
        re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
        for found in _WORD.finditer(line)
    ]
    words = [word.replace("%%", "%") for word in words]
    return [*words[:1], *(word.replace("$$", "$") for word in words[1:])]
