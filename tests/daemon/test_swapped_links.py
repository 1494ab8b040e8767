"""A folder is swapped for a link again and again, between look and open: it leads nowhere."""

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from kit.daemon import running_daemon
from kit.pictures import png
from kit.waiting import eventually
from sqlalchemy import text

from antifake.core.errors import UnreadableImageError
from antifake.core.files import PlainFile
from antifake.core.images import read_file
from antifake.daemon.service.file_hashes import hash_of
from antifake.daemon.store import ledger
from antifake.daemon.store.ledger import Stamp

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(os.name == "nt", reason="making links takes an administrator there"),
]

SWAPS = 1_000
PAUSE_S = 0.0005
"""Between two swaps, so that a daemon in this process gets its turn."""
INSIDE, OUTSIDE = png(1), png(2)
SEEDS = count(2_000)


@pytest.fixture
def place(tmp_path) -> Path:
    """A watched folder, with a picture in a folder in it."""
    place = tmp_path / "watched"
    (place / "sub").mkdir(parents=True)
    (place / "sub" / "a.png").write_bytes(INSIDE)
    return place


@pytest.fixture
def outside(tmp_path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.png").write_bytes(OUTSIDE)
    return outside


class Swapper:
    """Swaps the folder for a link to another one and back."""

    def __init__(self, folder: Path, outside: Path, pause_s: float) -> None:
        self.n_swaps = 0
        self._pause_s = pause_s
        self._folder, self._outside = folder, outside
        self._stop = threading.Event()

    def run(self) -> None:
        away = self._folder.with_name("away")
        while not self._stop.is_set():
            self._folder.rename(away)
            self._folder.symlink_to(self._outside)
            time.sleep(self._pause_s)
            self._folder.unlink()
            away.rename(self._folder)
            time.sleep(self._pause_s)
            self.n_swaps += 1

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def swapping(folder: Path, outside: Path, pause_s: float = 0.0) -> Iterator[Swapper]:
    swapper = Swapper(folder, outside, pause_s)
    thread = threading.Thread(target=swapper.run)
    thread.start()
    try:
        yield swapper
    finally:
        swapper.stop()
        thread.join()


def read(file) -> bytes | None:
    try:
        return read_file(file)
    except UnreadableImageError:
        return None


def test_a_folder_that_is_swapped_a_thousand_times_never_leads_outside(place, outside):
    path = place / "sub" / "a.png"
    stamp = Stamp.of(str(path), path.lstat())
    plain: Counter[bytes | None] = Counter()
    followed: Counter[bytes | None] = Counter()
    hashes: Counter[str | None] = Counter()
    with swapping(path.parent, outside) as swapper:
        while swapper.n_swaps < SWAPS or not (followed[OUTSIDE] and plain[INSIDE] and plain[None]):
            plain[read(PlainFile(path))] += 1
            followed[read(path)] += 1
            hashes[hash_of(stamp)] += 1
    assert set(plain) <= {INSIDE, None}
    assert set(hashes) <= {hashlib.sha256(INSIDE).hexdigest(), None}


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("swapped"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


def hashes_of_history(daemon) -> set[str]:
    with daemon.service.store.reading() as session:
        found = session.scalars(text("SELECT sha256 FROM checks WHERE sha256 IS NOT NULL"))
        return {bytes(sha256).hex() for sha256 in found}


def test_a_watched_folder_that_is_swapped_has_no_picture_of_elsewhere_judged(
    daemon, place, outside
):
    """Every file is another one, as known bytes are not judged again."""
    n_files = 30
    secret = {hashlib.sha256(write(outside / f"{n}.png")).hexdigest() for n in range(n_files)}
    own = {hashlib.sha256(write(place / "sub" / f"{n}.png")).hexdigest() for n in range(n_files)}
    daemon.post("/watches", {"path": str(place), "existing": "check"})
    with swapping(place / "sub", outside, PAUSE_S) as swapper:
        n = 0
        while swapper.n_swaps < SWAPS or hashes_of_history(daemon).isdisjoint(own):
            path = place / "sub" / f"{n % n_files}.png"
            n += 1
            try:
                stamp = Stamp.of(str(path), path.lstat())
            except OSError:
                continue
            daemon.intake.found(stamp)
    eventually(lambda: not daemon.service.status.is_busy)
    assert hashes_of_history(daemon).isdisjoint(secret)
    with daemon.service.store.reading() as session:
        for path in ledger.paths_in(session, str(place)):
            assert ledger.known(session, path).sha256 not in secret


def write(path: Path) -> bytes:
    path.write_bytes(data := png(next(SEEDS)))
    return data


def test_a_page_shows_the_picture_that_was_judged_or_none(daemon, place, outside):
    path = place / "sub" / "a.png"
    reply = daemon.check(INSIDE, path=str(path))
    daemon.post("/watches", {"path": str(place), "existing": "leave"})
    found: Counter[bytes | None] = Counter()
    with swapping(path.parent, outside) as swapper:
        while swapper.n_swaps < SWAPS or not (found[INSIDE] and found[None]):
            found[daemon.service.original(reply.json["id"]).data] += 1
    assert set(found) == {INSIDE, None}
