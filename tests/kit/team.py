"""Several computers with one history: real daemons that are killed, and who sends them pictures."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kit.daemon import free_port, tiny_home_in
from kit.pace import within
from kit.pictures import png
from kit.running import Running, post

from antifake.daemon import client
from antifake.daemon.client import Client, DaemonError

SENDERS = 3


class Computer:
    """Its daemon can be killed and started. Pictures are sent to it until it has taken them."""

    def __init__(self, root: Path, source: Path, database: str, first: int) -> None:
        self.root, self._next = root, iter(range(first, first + 10**6))
        tiny_home_in(root, source)
        (root / "config.toml").write_text(
            f"[server]\nport = {free_port()}\n[worker]\nqueue = 1000\n"
            f"[history]\ndatabase = {json.dumps(database)}\n"
        )
        (root / "config.toml").chmod(0o600)
        self.acknowledged: set[str] = set()
        """Ids of checks, given to who sent a picture."""
        self._uncertain: set[int] = set()
        self._lock = threading.Lock()
        self.daemon = Running(root)

    def ready(self) -> Client:
        return self.daemon.ready(30)

    def kill(self) -> None:
        self.daemon.stop(signal.SIGKILL)
        self.daemon = Running(self.root)

    @property
    def is_certain(self) -> bool:
        """Whether no picture was sent whose answer was lost and that is not taken yet."""
        return not self._uncertain

    def send(self, n: int) -> None:
        """Sends new pictures from several threads, each until it is acknowledged."""
        left = [next(self._next) for _ in range(n)]
        senders = [threading.Thread(target=self._send, args=[left]) for _ in range(SENDERS)]
        for one in senders:
            one.start()
        for one in senders:
            one.join()
        assert not left

    def _send(self, left: list[int]) -> None:
        end = time.monotonic() + within(120)
        while time.monotonic() < end:
            with self._lock:
                if not left:
                    return
                seed = left.pop()
            while not self._is_taken(seed):
                self._uncertain.add(seed)
                assert time.monotonic() < end
                time.sleep(0.05)
            self._uncertain.discard(seed)

    def _is_taken(self, seed: int) -> bool:
        with suppress(DaemonError, OSError):
            asked = client.find(self.daemon.places)
            if asked is not None:
                name = str(post(asked, png(seed, 64), wait_s=0)["id"])
                with self._lock:
                    self.acknowledged.add(name)
                return True
        return False

    def answer(self, name: str) -> dict[str, Any]:
        """Returns what its daemon says of a check, once that is done."""
        asked, end = self.ready(), time.monotonic() + within(60)
        found: dict[str, Any] = {}
        while found.get("state") != "done":
            assert time.monotonic() < end
            found = dict(asked.get(f"/checks/{name}", wait="5"))
        return found


@contextmanager
def computers(root: Path, source: Path, database: str, n: int) -> Iterator[list[Computer]]:
    """Runs the daemons of some computers with one history inside the block."""
    made: list[Computer] = []
    try:
        for number in range(n):
            made += [Computer(root / f"{number}", source, database, number * 10**6)]
        yield made
    finally:
        for one in made:
            one.daemon.stop(signal.SIGKILL)
