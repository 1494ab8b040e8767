"""Measures the daemon beside the bare model: `make bench`, or python -m tests.bench.daemon."""

import hashlib
import itertools
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for kit, as pytest does

import psutil
from kit.pictures import picture, png, saved
from kit.processes import children, resident
from kit.running import Running, post, running
from kit.waiting import eventually

from antifake.core.catalog import Home
from antifake.core.detector import load_detector
from antifake.core.images import decode
from antifake.core.samples import photographs
from antifake.daemon.client import Client, DaemonError, LearningClient
from antifake.daemon.config import put
from antifake.daemon.store import open_store
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.ids import new_number
from antifake.daemon.store.tables import CheckRow, table_of

from .measure import by_turns, process, row, seconds

ROWS = 1_000_000
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def measure(home: Home, data: bytes) -> None:
    """Measures a daemon with `mini`, and a history of a million rows."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "models").mkdir()
        (root / "models" / "mini").symlink_to((home.models / "mini").absolute())
        put(root / "config.toml", "worker.idle_minutes", 0.1)
        with running(root) as daemon:
            asked = daemon.ready()
            eventually(lambda: asked.get("/state")["model"]["phase"] == "ready", 60)
            round_trip(home, asked, data)
            together(asked)
            under_load(asked, daemon.port)
            while_training(asked)
            asleep(daemon, asked)
        long_history(root)


def fresh(seed: int) -> Iterator[bytes]:
    """Yields new pictures, so that the history does not have the answer."""
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
    )
    row("one picture through the API", there, "the same in one process", here)
    print(f"{'  of which is not the model':<44}{1000 * (there - here):>9.1f} ms   (aim <= 10)")
    row("an answer from the log", known, "one that asks nothing (health)", health, "aim <= 5 ms")


def together(asked: Client, count: int = 24, clients: int = 12) -> None:
    """Measures pictures that wait at the same time and are judged as one batch."""
    new = fresh(3)
    with ThreadPoolExecutor(clients) as pool:
        alone, at_once = by_turns(
            lambda: [judged(asked, next(new)) for _ in range(count)],
            lambda: list(pool.map(partial(judged, asked), list(itertools.islice(new, count)))),
            runs=5,
        )
    row(
        f"{clients} clients at once, each picture",
        at_once / count,
        "one after the other",
        alone / count,
    )


def judged(asked: Client, data: bytes) -> None:
    """Asks again for a result, because only some requests may wait in the server."""
    found = post(asked, data)
    while found["state"] != "done":
        found = asked.get(f"/checks/{found['id']}", wait="20")


def under_load(asked: Client, port: int) -> None:
    """Measures twelve clients with a picture beside 480 that never finish their request."""
    new = [png(10_000 + number, 256) for number in range(12 * 4)]
    with ExitStack() as half_open, ThreadPoolExecutor(12) as pool:
        for _ in range(480):
            one = half_open.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: 127")
        busy = [pool.submit(lenient, asked, data) for data in new]
        times = []
        while not all(one.done() for one in busy):
            times.append(seconds(lambda: asked.get("/health")))
            time.sleep(0.01)
    worst = sorted(times)[int(0.99 * len(times))]
    what = "health, 480 half-open + 12 checking, median"
    print(
        f"{what:<44}{1000 * statistics.median(times):>9.1f} ms   99 %: {1000 * worst:.0f} ms"
        f", worst {1000 * max(times):.0f} ms of {len(times)} (aim < 100)"
    )


def while_training(asked: Client, runs: int = 40) -> None:
    """Measures pictures that come while antifake learns, and counts that none of them is lost."""
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "test"
    if not folder.is_dir():
        print("while learning: not measured, as ../shared/data/test is not here")
        return
    for kind in ("real", "fake"):
        for file in sorted((folder / kind).iterdir())[:20]:
            check = post(asked, file.read_bytes())
            asked.correct([check["id"]], kind, source="cli")
    new, known, learning = fresh(4), len(list(asked.history({}, 1000))), LearningClient(asked)
    idle = [_paced(lambda: post(asked, next(new))) for _ in range(runs)]
    number = learning.start("cli")["id"]
    eventually(lambda: (learning.state()["running"] or {}).get("stage") == "features", 60)
    busy = []
    while len(busy) < runs and learning.training(number)["state"] == "running":
        busy.append(_paced(lambda: post(asked, next(new))))
    row(
        "one picture while antifake learns",
        statistics.median(busy),
        "while it does not",
        statistics.median(idle),
        "aim < 2",
    )
    done = learning.wait(number, lambda *_: None)
    lost = known + len(idle) + len(busy) - len(list(asked.history({}, 1000)))
    print(f"{'  of which are lost':<44}{lost:>9}      {len(busy)} sent, training {done['state']}")


def _paced(work: Callable[[], object]) -> float:
    """Measures work after a pause in which a training goes on."""
    time.sleep(1.5)
    return seconds(work)


def lenient(asked: Client, data: bytes) -> None:
    with suppress(DaemonError):
        post(asked, data)


def asleep(daemon: Running, asked: Client) -> None:
    """Measures memory and processor while idle, and then the first verdict."""
    eventually(lambda: asked.get("/state")["model"]["phase"] == "asleep", 90)
    time.sleep(35)
    pid = daemon.process.pid
    used = processor_s(pid)
    time.sleep(20)
    share = (processor_s(pid) - used) / 20
    print(
        f"{'idle: memory of the daemon':<44}{resident(pid) / 1e6:>9.0f} MB   processor "
        f"{100 * share:.2f} %, {len(children(pid))} children (aim < 150 MB, 0 %)"
    )
    new = fresh(2)
    times, torch = [], []
    for _ in range(3):
        torch.append(seconds(process("-c", "import torch")))
        times.append(seconds(lambda: post(asked, next(new))))
        eventually(lambda: asked.get("/state")["model"]["phase"] == "asleep", 90)
    row(
        "first verdict after idle",
        statistics.median(times),
        "import torch",
        statistics.median(torch),
        "aim <= 2.5",
    )


def processor_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def long_history(root: Path) -> None:
    """Measures pages of a long history, in the API and in the web page."""
    fill(root / "history.db", ROWS)
    size = (root / "history.db").stat().st_size
    print(f"{f'{ROWS:,} rows: on the disk':<44}{size / ROWS:>9.0f} bytes a row (aim < 1000)")
    with running(root) as daemon:
        asked = daemon.ready()
        oldest = asked.get("/checks", limit="1", until=str(FIRST + ROWS // 100 * MINUTE))
        wanted = {
            "first": {},
            "oldest": {"cursor": oldest["checks"][0]["id"]},
            "one found by name": {"q": f"{ROWS - 7:08d}"},
            "none found by name": {"q": "nothing of the kind"},
            "AI-made": {"label": "fake"},
            "corrected": {"corrected": "true"},
            "of one folder": {"folder": "/home/anna/Pictures/7"},
        }
        looks = [
            lambda about=about: asked.get("/checks", limit="50", **about)
            for about in wanted.values()
        ]
        *took, health = by_turns(*looks, lambda: asked.get("/health"), runs=9)
    for what, seconds_ in zip(wanted, took, strict=True):
        row(f"{ROWS:,} rows: page of 50, {what}", seconds_, "health", health, "aim < 300 ms")


def fill(path: Path, rows: int) -> None:
    """Makes a history as of a watched folder with one photograph a minute."""
    with open_store(path, datetime.now(UTC)) as store:
        numbers = iter(range(rows))
        while some := [a_check(number) for number in itertools.islice(numbers, 10_000)]:
            with store.writing() as session:
                session.execute(table_of(CheckRow).insert(), some)
        store.database.run("PRAGMA wal_checkpoint(TRUNCATE)")


def a_check(number: int) -> dict[str, object]:
    path = f"/home/anna/Pictures/{number % 100}/IMG_{number:08d}.jpg"
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    found = Finding(
        source="watch",
        label=("real", "fake", "unsure")[number % 3],
        p_fake=0.1,
        path=path,
        model="mini@cfa69073",
        prompt="mini@0123abcd",
        sha256=digest,
        phash=int(digest[:16], 16),
        width=4032,
        height=3024,
        format="JPEG",
        ms=51.3,
    )
    name = {"id": new_number(FIRST + number * MINUTE), "name_key": f"img_{number:08d}.jpg"}
    return asdict(found) | name


if __name__ == "__main__":
    measure(Home(Path(os.environ["ANTIFAKE_HOME"])), photographs()[0].read_bytes())
