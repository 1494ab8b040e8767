"""The tray as a process of its own, as `antifake tray` starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from kit.display import OF_A_SESSION, process
from kit.pace import within

from antifake.core.catalog import Home
from antifake.daemon.places import Places

PROGRAM = """
import sys
from antifake.core.errors import AntifakeError
from antifake.daemon.places import places
from antifake.daemon.tray import run
try:
    run(places(), lambda sentence: print(sentence, flush=True), panel_within_s=1)
except AntifakeError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def places_in(root: Path) -> Places:
    """Returns the places of a home with everything in one folder, which is made."""
    root.mkdir(exist_ok=True)
    return Places(Home(root), root / "config.toml", root, root / "run", root / "logs")


def session_with(bus: str) -> dict[str, str]:
    """Returns the environment of a session with this bus, and without a screen of X11."""
    kept = {key: value for key, value in os.environ.items() if key not in OF_A_SESSION}
    return {**kept, "DBUS_SESSION_BUS_ADDRESS": bus}


class Tray:
    """The process, and the addresses that its browser was asked to open."""

    def __init__(self, env: Mapping[str, str], home: Path, gi: Path | None = None) -> None:
        """`gi` is a folder that the process imports GTK for Python from."""
        self.opened = home / "opened"
        browser = home / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" >> "{self.opened}"\n')
        browser.chmod(0o700)
        self.env = {**env, "ANTIFAKE_HOME": str(home), "BROWSER": str(browser)}
        self.said = ""
        """What it has printed, once it has ended."""
        if gi:
            self.env["PYTHONPATH"] = str(gi)

    @contextmanager
    def running(self) -> Iterator[Self]:
        command = [sys.executable, "-c", PROGRAM]
        pipe, into_it = subprocess.PIPE, subprocess.STDOUT
        with process(command, env=self.env, stdout=pipe, stderr=into_it) as self.process:
            try:
                yield self
            finally:
                self.process.terminate()
                self.said = self.process.communicate(timeout=within(30))[0].decode()
                print(self.said)

    def ended(self) -> tuple[int, str]:
        """Runs it to its end. Returns the exit code and the output."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=self.env,
            capture_output=True,
            timeout=within(30),
            check=False,
        )
        return done.returncode, done.stderr.decode()

    def addresses(self) -> list[str]:
        return self.opened.read_text().split() if self.opened.exists() else []
