"""Does to a daemon and its children, at random, what befalls programs, and starts it again."""

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from kit.processes import children
from kit.running import Running

MODEL, DECODER, EVIDENCE = "worker.model_child", "core.decoder", "core.evidence"


class Faults(threading.Thread):
    """A supervisor of a daemon that is its worst enemy, too. The faults end with `end`."""

    def __init__(self, root: Path, seed: int, pauses_s: tuple[float, float]) -> None:
        """`pauses_s`: the shortest and the longest pause between two faults."""
        super().__init__(name="faults", daemon=True)
        self.root = root
        self.running = _started(root)
        self.running.ready(60)
        self.is_up = threading.Event()
        self.is_up.set()
        self.done: Counter[str] = Counter()
        self.starts = 1
        self.error: Exception | None = None
        self._random = random.Random(seed)  # noqa: S311
        self._pauses_s = pauses_s
        self._ends = threading.Event()

    def end(self) -> None:
        """Ends the faults. The daemon stays, and runs."""
        self._ends.set()
        self.join()
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        try:
            while not self._ends.wait(self._random.uniform(*self._pauses_s)):
                self._fault()
        except Exception as error:  # noqa: BLE001 - `end` raises it
            self.error = error

    def _fault(self) -> None:
        act = self._random.choices(*zip(*_FAULTS, strict=True))[0]
        if act(self):
            self.done[act.__name__] += 1

    # --- The faults ---------------------------------------------------------------------------

    def kill_daemon(self) -> bool:
        return self._restarted(signal.SIGKILL)

    def stop_daemon(self) -> bool:
        return self._restarted(signal.SIGTERM)

    def kill_model(self) -> bool:
        return self._signalled(MODEL, signal.SIGKILL)

    def kill_decoder(self) -> bool:
        return self._signalled(DECODER, signal.SIGKILL)

    def kill_evidence(self) -> bool:
        return self._signalled(EVIDENCE, signal.SIGKILL)

    def pause_child(self) -> bool:
        """Stops a child for a while, as a computer that sleeps or swaps does."""
        found = children(self.running.process.pid)
        if not found:
            return False
        child = self._random.choice(found)
        try:
            child.suspend()
            self._ends.wait(self._random.uniform(0.1, 2.0))
        except psutil.NoSuchProcess:
            return False
        finally:
            with suppress(psutil.NoSuchProcess):
                child.resume()
        return True

    def _restarted(self, number: signal.Signals) -> bool:
        self.is_up.clear()
        # Its children end by themselves when it is gone.
        try:
            self.running.stop(number, 30)
        except subprocess.TimeoutExpired as error:
            self.running.stop(signal.SIGABRT)  # which makes it say what it was doing
            raise AssertionError(f"it did not stop: {self.running.said[-20_000:]}") from error
        time.sleep(self._random.uniform(0, 0.5))
        self.running = _started(self.root)
        self.running.ready(60)
        self.starts += 1
        self.is_up.set()
        return True

    def _signalled(self, module: str, number: signal.Signals) -> bool:
        found = [one for one in children(self.running.process.pid) if _runs(one, module)]
        for child in found:
            with suppress(psutil.NoSuchProcess):
                child.send_signal(number)
        return bool(found)


def _started(root: Path) -> Running:
    return Running(root, PYTHONFAULTHANDLER="1")


def _runs(child: psutil.Process, module: str) -> bool:
    try:
        return any(module in word for word in child.cmdline())
    except psutil.Error:
        return False


_FAULTS: list[tuple[Callable[[Faults], bool], float]] = [
    (Faults.kill_daemon, 3),
    (Faults.stop_daemon, 1),
    (Faults.kill_model, 2),
    (Faults.kill_decoder, 3),
    (Faults.kill_evidence, 2),
    (Faults.pause_child, 2),
]
