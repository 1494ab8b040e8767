"""The process that learns: main() of antifake.trainer.personal, at a low priority.

It writes lines of JSON, {"stage", "done", "total"}, and at last maybe {"error"}.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import psutil

from antifake.core import child_process
from antifake.core.errors import AntifakeError
from antifake.core.files import write_atomically
from antifake.core.i18n import _
from antifake.daemon.redaction import without_paths

log = logging.getLogger(__name__)

MODULE = "antifake.trainer.personal.__main__"
LONGEST_LINE = 65_536
NICE = 10
"""A tenth of a processor that others want, so that it comes to an end on a busy computer, too."""
_END_WITHIN_S = 5.0


class TrainerProcess:
    """One run of the trainer. Thread-safe."""

    def __init__(self, request: Path, note: Path) -> None:
        """Starts it. `note` gets its process id, for `end_left_over`. Raises AntifakeError."""
        self._lock = threading.Lock()
        self._note = note
        self.is_suspended = False
        try:
            self._process = child_process.start(
                "import sys\n"
                "from pathlib import Path\n"
                f"from {MODULE} import main\n"
                f"sys.exit(main(Path({str(request)!a})))",
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise AntifakeError(
                _("The training cannot be started: {why}.", why=error.strerror or error)
            ) from error
        self._stderr = threading.Thread(target=self._log_stderr, name="trainer-stderr", daemon=True)
        self._stderr.start()
        with suppress(psutil.Error):  # it has ended already
            self._watched = psutil.Process(self._process.pid)
            about = {"pid": self._process.pid, "created": self._watched.create_time()}
            write_atomically(note, json.dumps(about).encode())
            _lower_priority(self._watched)

    @property
    def pid(self) -> int:
        return self._process.pid

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yields what it says, until it ends. Lines that are no messages are left out."""
        pipe = cast(IO[bytes], self._process.stdout)
        while line := pipe.readline(LONGEST_LINE):
            with suppress(ValueError, RecursionError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found

    def suspend(self, *, wanted: bool) -> bool:
        """Stops it for a while, or lets it go on. Returns whether that changed anything."""
        with self._lock:
            if wanted == self.is_suspended or self._process.poll() is not None:
                return False
            with suppress(psutil.Error):
                if wanted:
                    self._watched.suspend()
                else:
                    self._watched.resume()
                self.is_suspended = wanted
                return True
            return False

    def kill(self) -> None:
        with suppress(OSError):
            self._process.kill()

    def wait(self) -> int:
        """Returns its exit code, once its output has ended."""
        try:
            code = self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:  # it has closed its output and goes on
            self._process.kill()
            code = self._process.wait()
        self._stderr.join(_END_WITHIN_S)
        with suppress(OSError):
            cast(IO[bytes], self._process.stdout).close()
        self._note.unlink(missing_ok=True)
        return code

    def _log_stderr(self) -> None:
        with cast(IO[bytes], self._process.stderr) as pipe:
            while raw := pipe.readline(4096):
                log.warning("trainer: %s", without_paths(raw.decode("utf-8", "replace").rstrip()))


def _lower_priority(process: psutil.Process) -> None:
    """Lets everything else on this computer go first."""
    with suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.IDLE_PRIORITY_CLASS)
        else:
            process.nice(NICE)
        if sys.platform == "linux":
            process.ionice(psutil.IOPRIO_CLASS_IDLE)


def end_left_over(note: Path) -> bool:
    """Ends the trainer of a daemon that was killed. Returns whether there was one.

    A suspended process does not notice that its daemon is gone.
    """
    try:
        about = json.loads(note.read_bytes())
        process = psutil.Process(int(about["pid"]))
        # Another process may have got the number since.
        is_ours = bool(process.create_time() == about["created"])
        if is_ours:
            process.kill()
            process.wait(_END_WITHIN_S)
    except (OSError, ValueError, TypeError, LookupError, psutil.Error):
        is_ours = False
    note.unlink(missing_ok=True)
    return is_ours
