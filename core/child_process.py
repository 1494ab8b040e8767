"""Child processes that do what a parent must survive: how they start, and what ends them.

A child ends when its parent closes the pipes or is gone, and when a Deadline passes. One that is
stopped, as by SIGSTOP, notices no closed pipe: Linux kills it when its parent is gone.
"""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Self

PATIENCE = 6.0
"""How many seconds of the clock a child has for each second of computing.

On a busy computer it gets a processor for a part of the time only: a sixth, where five others that
never rest share each processor with it. Beyond that nobody waits for a picture any more. A child
that hangs, as on a dead network disk, computes nothing, and only the clock ends it.
"""


@dataclass(frozen=True)
class TimeLimit:
    """How long a child may take for one thing."""

    clock_s: float
    cpu_s: float | None = None
    """Processor seconds of all its threads together, however busy the computer is. None: any."""

    @classmethod
    def of_computing(cls, cpu_s: float) -> Self:
        """Returns a limit of computing, with a longer one of the clock beside it."""
        return cls(PATIENCE * cpu_s, cpu_s)


_END_WITH_PARENT = f"from {__package__}.resource_limits import end_with; end_with"
_LOOK_S = 0.02
_END_WITHIN_S = 5.0


def start(
    code: str,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: int = subprocess.PIPE,
    stderr: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Starts Python on some code, with pipes to its stdin and stdout. Raises OSError.

    SIGINT and SIGTERM, which go to all processes of a command, do nothing to it from its first
    moment on: the parent handles them, and ends it.
    """
    program, more = _interpreter()
    # Where nobody reads its stderr, warnings are not even made.
    quiet = ["-W", "ignore"] if stderr == subprocess.DEVNULL else []
    # -c, as -m would import a module twice. Not -I, which hides packages installed for one user.
    # -P: files in the current folder must not shadow modules.
    command = [program, "-P", *quiet, "-c", f"{_END_WITH_PARENT}({os.getpid()})\n{code}"]

    def popen() -> subprocess.Popen[bytes]:
        with _blocked_signals():
            return subprocess.Popen(  # noqa: S603
                command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=folder,
                env={**(os.environ if environment is None else environment), **more},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    return _starter.run(popen)


class _Starter:
    """A thread that starts all children, and lasts as long as this process.

    Linux kills a child when the *thread* that started it ends (see resource_limits.end_with).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._wanted: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    def run(self, popen: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Returns what `popen` returns, and raises what it raises."""
        if sys.platform != "linux":
            return popen()
        with self._lock:
            if self._pid != os.getpid():  # at first, and in a process that was forked off
                self._pid, self._wanted = os.getpid(), SimpleQueue()
                threading.Thread(
                    target=_serve, args=(self._wanted,), name="child-starter", daemon=True
                ).start()
        started: Future[subprocess.Popen[bytes]] = Future()
        self._wanted.put((popen, started))
        return started.result()


def _serve(wanted: SimpleQueue[tuple[Callable[[], Any], Future[Any]]]) -> None:
    while True:
        popen, started = wanted.get()
        try:
            started.set_result(popen())
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            started.set_exception(error)
        del popen, started  # a child that nobody holds any more must lose its pipes


_starter = _Starter()


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Blocks signals in this thread. What it starts inherits that; this process gets them later.

    On Windows a child without a window gets no Ctrl-C.
    """
    if sys.platform == "win32":
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _interpreter() -> tuple[str, dict[str, str]]:
    """Returns the program and what its environment needs besides.

    On Windows the python.exe of a virtual environment starts the real one as a child of its own,
    whose time could not be counted. multiprocessing avoids it in the same way.
    """
    if sys.platform == "win32" and sys.prefix != sys.base_prefix:
        program = getattr(sys, "_base_executable", sys.executable)
        return program, {"__PYVENV_LAUNCHER__": sys.executable}
    return sys.executable, {}


def end(process: subprocess.Popen[bytes]) -> None:
    """Kills a child and closes the pipes to it."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # unsent bytes are dropped
            if pipe is not None:
                pipe.close()
    with suppress(subprocess.TimeoutExpired):  # it hangs in a driver or on a dead network disk
        process.wait(_END_WITHIN_S)


class Deadline:
    """Kills a process that exceeds a limit in the block; a pending read then sees the end of file.

    It uses a thread, as select() does not work with pipes on Windows. It looks from outside, as a
    process that a hostile picture has taken over can lift limits of its own.
    """

    def __init__(self, limit: TimeLimit, process: subprocess.Popen[bytes]) -> None:
        self.passed: Literal["clock", "cpu"] | None = None
        """The limit that it was killed for."""
        self.was_stopped = False
        """Whether it had been stopped, as by SIGSTOP, when it was killed: it was not to blame."""
        self._limit, self._process = limit, process
        self._has_ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="deadline", daemon=True)

    @property
    def is_past(self) -> bool:
        return self.passed is not None

    def __enter__(self) -> Self:
        if self._limit.cpu_s is not None:
            self._computed_before_s = _computed_s(self._process.pid)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self._watcher.join()  # otherwise it could still kill the process during the next block

    def _watch(self) -> None:
        ends = time.monotonic() + self._limit.clock_s
        while not self._has_ended.wait(self._look_within_s(ends)):
            if self._cpu_left_s() <= 0:
                self._kill("cpu")
                return
            if time.monotonic() >= ends:
                self._kill("clock")
                return

    def _look_within_s(self, ends: float) -> float:
        """Returns how long nothing can pass: in a second it computes a second on each processor."""
        soonest = max(_LOOK_S, self._cpu_left_s() / (os.cpu_count() or 1))
        return max(0.0, min(soonest, ends - time.monotonic()))

    def _cpu_left_s(self) -> float:
        if self._limit.cpu_s is None:
            return math.inf
        return self._limit.cpu_s - (_computed_s(self._process.pid) - self._computed_before_s)

    def _kill(self, passed: Literal["clock", "cpu"]) -> None:
        self.was_stopped = _is_stopped(self._process.pid)
        self.passed = passed
        self._process.kill()


def _is_stopped(pid: int) -> bool:
    import psutil  # noqa: PLC0415 - as below

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _computed_s(pid: int) -> float:
    """Returns the processor seconds that a process has used; 0 if it has ended."""
    import psutil  # noqa: PLC0415 - slow to import, and children do not need it

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system
