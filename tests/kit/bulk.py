"""Scans by Ray as a person starts them, each in its own process, and what their folder holds."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from kit.command_line import process
from kit.pace import within
from kit.processes import has_ended
from kit.waiting import eventually

SCAN_S = 240.0
"""Two cores start Ray in 10 s, and each of its processes in 2."""


class RayScan:
    """A scan that runs. Whatever it has started is ended with it."""

    def __init__(self, *arguments: object, **env: str) -> None:
        self._command = subprocess.Popen(
            process("scan", "--engine", "ray", *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # One thread a model: on a busy machine more are slower.
            env=os.environ | {"OMP_NUM_THREADS": "1"} | env,
        )

    def ended(self, code: int | None = 0) -> str:
        """Waits for its end. Returns what it said. Fails if its exit code is not `code`."""
        _stdout, said = self._command.communicate(timeout=within(SCAN_S))
        assert code is None or self._command.returncode == code, said
        return said

    @property
    def is_running(self) -> bool:
        return self._command.poll() is None

    def memory(self) -> int:
        """Returns the resident bytes of the command's own process; 0 once it has ended."""
        with suppress(psutil.NoSuchProcess):
            return int(psutil.Process(self._command.pid).memory_info().rss)
        return 0

    def started(self) -> list[psutil.Process]:
        """Returns all processes below it."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._command.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """Kills it without a warning, and waits until all that it started has ended."""
        below = self.started()
        self._command.send_signal(signal.SIGKILL)
        self._command.communicate(timeout=within(60))
        eventually(lambda: all(map(has_ended, below)), within_s=60)

    def close(self) -> None:
        for one in [*self.started(), psutil.Process(self._command.pid)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()


@contextmanager
def ray_scan(*arguments: object, **env: str) -> Iterator[RayScan]:
    scan = RayScan(*arguments, **env)
    try:
        yield scan
    finally:
        if scan.is_running:
            scan.close()


def finished(out: Path) -> set[int]:
    """Returns the ids that a scan has acknowledged."""
    from pyarrow import parquet

    found: set[int] = set()
    for file in (out / "_checkpoint").glob("*.parquet"):
        if not file.name.endswith(".pending.parquet"):
            with suppress(FileNotFoundError):
                found.update(parquet.read_table(file)["id"].to_pylist())
    return found


def ids_in(out: Path) -> list[int]:
    """Returns the ids of all rows, in no order."""
    from pyarrow import parquet

    files = (out / "rows").glob("*.parquet")
    return [one for file in files for one in parquet.read_table(file)["id"].to_pylist()]


def rows_in(text: str) -> dict[str, dict[str, Any]]:
    """Returns rows by their path, without what differs from run to run."""
    rows = [json.loads(line) for line in text.splitlines()]
    by_path = {row["path"]: row for row in rows}
    assert len(by_path) == len(rows)
    for row in rows:
        del row["ms"]
    return by_path
