"""The whole daemon in its own process, as a user starts it, and a client for it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kit.pace import within
from kit.waiting import eventually

from antifake.daemon import client
from antifake.daemon.client import Client, DaemonError
from antifake.daemon.places import Places, places


def place_of(root: Path) -> Places:
    """Returns the places of a home, as its daemon sees them."""
    former = os.environ.get("ANTIFAKE_HOME")
    os.environ["ANTIFAKE_HOME"] = str(root)
    try:
        return places()
    finally:
        if former is None:
            del os.environ["ANTIFAKE_HOME"]
        else:
            os.environ["ANTIFAKE_HOME"] = former


class Running:
    """A started daemon. Only this process is ended, by its id."""

    def __init__(self, root: Path, **env: str) -> None:
        self.root, self.places = root, place_of(root)
        self.places.make()
        self.log = root / "output.txt"
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "antifake.daemon", "daemon", "run"],
                env=os.environ | {"ANTIFAKE_HOME": str(root)} | env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    @property
    def port(self) -> int:
        """Returns what the daemon has announced."""
        return int(json.loads(self.places.running.read_bytes())["port"])

    def ready(self, within_s: float = 20) -> Client:
        def look() -> Client | None:
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon has ended: {self.said}")
            found = client.find(self.places)
            with suppress(DaemonError):
                return found if found and found.get("/health") else None
            return None

        return eventually(look, within_s)

    def stop(self, number: int = signal.SIGTERM, within_s: float = 15) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within(within_s))


@contextmanager
def running(root: Path, **env: str) -> Iterator[Running]:
    """Runs a daemon in that home. Kills it at the end if it is still running."""
    daemon = Running(root, **env)
    try:
        yield daemon
    finally:
        with suppress(subprocess.TimeoutExpired):
            daemon.stop()
        if daemon.process.poll() is None:
            daemon.stop(signal.SIGKILL)


def multipart(data: bytes, **fields: str) -> tuple[bytes, str]:
    """Returns a body of multipart/form-data with a file, and its content type."""
    line = "antifake-7f3a"
    parts = [
        f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="p"\r\n'
    parts += [f"{head}Content-Type: application/octet-stream\r\n\r\n".encode(), data, b"\r\n"]
    return b"".join([*parts, f"--{line}--\r\n".encode()]), f"multipart/form-data; boundary={line}"


def post(asked: Client, data: bytes, wait_s: int = 20, **fields: str) -> Any:
    """Sends a picture. Returns the answer of the API, or with `wait_s` the one when it is done.

    The daemon waits for 20 s at most, which a slow machine may exceed.
    """
    body, kind = multipart(data, **fields)
    found = asked.ask("POST", "/checks", body, kind, {"Prefer": f"wait={wait_s}"})
    end = time.monotonic() + within(30)
    while wait_s and found["state"] != "done" and time.monotonic() < end:
        found = asked.get(f"/checks/{found['id']}", wait="5")
    return found
