"""What the daemon costs beside the model: `make bench`, or python -m tests.bench.daemon alone."""

import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # kit, as pytest has it

import psutil
from kit.pictures import picture, png, saved
from kit.processes import children, resident
from kit.running import Running, post, running
from kit.waiting import eventually

from antifake.core.catalog import Home
from antifake.core.detector import load_detector
from antifake.core.images import decode
from antifake.core.samples import photographs
from antifake.daemon.client import Client, DaemonError
from antifake.daemon.config import put
from antifake.daemon.store import checks, open_store
from antifake.daemon.store.checks import Finding

from .measure import by_turns, process, row, seconds

ROWS = 100_000


def measure(home: Home, data: bytes) -> None:
    """Every figure of a daemon with `mini`, and of a log of a hundred thousand rows."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "models").mkdir()
        (root / "models" / "mini").symlink_to((home.models / "mini").absolute())
        put(root / "config.toml", "worker.idle_minutes", 0.1)
        with running(root) as daemon:
            asked = daemon.ready()
            eventually(lambda: asked.get("/state")["model"]["phase"] == "ready", 60)
            round_trip(home, asked, data)
            under_load(asked)
            asleep(daemon, asked)
        long_history(root)


def fresh(seed: int) -> Iterator[bytes]:
    """Photographs that nobody has seen: the log must not know the answer."""
    image = picture(seed, 640)
    for number in range(10**6):
        image.putpixel((number % 640, number // 640), (number % 256, 7, 9))
        yield saved(image, "JPEG", quality=90)


def round_trip(home: Home, asked: Client, data: bytes) -> None:
    detector, _ = load_detector(home, "mini")
    new, same = fresh(1), fresh(1)
    detector.judge([decode(data).crop])
    post(asked, data)
    there, here, known, health = by_turns(
        lambda: post(asked, next(new)),
        lambda: detector.judge([decode(next(same)).crop]),
        lambda: post(asked, data),
        lambda: asked.get("/health"),
        runs=40,
        rest_s=0.02,
    )
    row("one picture through the API", there, "the same in one process", here)
    print(f"{'  of which is not the model':<44}{1000 * (there - here):>9.1f} ms   (aim <= 10)")
    row("an answer from the log", known, "one that asks nothing (health)", health, "aim <= 5 ms")


def under_load(asked: Client) -> None:
    """480 clients that never finish their request, and twelve that want a picture checked."""
    new = [png(10_000 + number, 256) for number in range(12 * 4)]
    with ExitStack() as half_open, ThreadPoolExecutor(12) as pool:
        for _ in range(480):
            one = half_open.enter_context(socket.create_connection(("127.0.0.1", asked.port)))
            one.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: 127")
        busy = [pool.submit(lenient, asked, data) for data in new]
        times = []
        while not all(one.done() for one in busy):
            times.append(seconds(lambda: asked.get("/health")))
            time.sleep(0.01)
    worst = sorted(times)[int(0.99 * len(times))]
    what = "health, 480 half-open + 12 checking, median"
    print(f"{what:<44}{1000 * statistics.median(times):>9.1f} ms   99 %: {1000 * worst:.0f} ms"
          f", worst {1000 * max(times):.0f} ms of {len(times)} (aim < 100)")  # fmt: skip


def lenient(asked: Client, data: bytes) -> None:
    with suppress(DaemonError):
        post(asked, data)


def asleep(daemon: Running, asked: Client) -> None:
    """Idle: memory and processor; then the first verdict."""
    eventually(lambda: asked.get("/state")["model"]["phase"] == "asleep", 90)
    time.sleep(35)
    pid = daemon.process.pid
    used = processor_s(pid)
    time.sleep(20)
    share = (processor_s(pid) - used) / 20
    print(f"{'idle: memory of the daemon':<44}{resident(pid) / 1e6:>9.0f} MB   processor "
          f"{100 * share:.2f} %, {len(children(pid))} children (aim < 150 MB, 0 %)")  # fmt: skip
    new = fresh(2)
    times, torch = [], []
    for _ in range(3):
        torch.append(seconds(process("-c", "import torch")))
        times.append(seconds(lambda: post(asked, next(new))))
        eventually(lambda: asked.get("/state")["model"]["phase"] == "asleep", 90)
    row("first verdict after idle", statistics.median(times), "import torch",
        statistics.median(torch), "aim <= 2.5")  # fmt: skip


def processor_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def long_history(root: Path) -> None:
    """A page of a long history, through the API."""
    now = datetime.now(UTC)
    model = Finding(source="watch", label="real", p_fake=0.1, model="m@1", prompt="p@1", ms=50.0)
    with open_store(root / "history.db", now) as store:
        for start in range(0, ROWS, 5000):
            with store.writing() as session:
                for number in range(start, start + 5000):
                    at = now - timedelta(seconds=number)
                    name = f"/home/anna/Pictures/{number:08d}.jpg"
                    checks.add(session, replace(model, sha256=f"{number:064x}", path=name), at)
    with running(root) as daemon:
        asked = daemon.ready()
        cursor = asked.get("/checks", limit="50")["next"]
        for _ in range(200):
            cursor = asked.get("/checks", limit="500", cursor=cursor)["next"] or cursor
        first, deep, search, health = by_turns(
            lambda: asked.get("/checks", limit="50"),
            lambda: asked.get("/checks", limit="50", cursor=cursor),
            lambda: asked.get("/checks", limit="50", q="00099999"),
            lambda: asked.get("/health"),
            runs=15,
        )
    for what, took in (("first", first), ("last", deep), ("one found by name", search)):
        row(f"{ROWS:,} rows: page of 50, {what}", took, "health", health, "aim < 300 ms")


if __name__ == "__main__":
    measure(Home(Path(os.environ["ANTIFAKE_HOME"])), photographs()[0].read_bytes())
