"""The daemon in bad conditions: killed child processes, full disks, a lost history."""

import errno
import os
import signal
import sqlite3
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kit.pace import within
from kit.pictures import png
from kit.processes import children, kill_children
from kit.running import post, running
from kit.waiting import eventually

from antifake.daemon.config import Folder, add_folder
from antifake.daemon.store import Store, StoreDamagedError, mend, open_store
from antifake.daemon.store.checks import Finding, add

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc, and deletes open files")


@pytest.fixture
def folder(tiny_home, tmp_path) -> Path:
    """A watched folder of the home with the tiny model."""
    path = tmp_path / "Downloads"
    path.mkdir()
    add_folder(tiny_home.root / "config.toml", Folder(path=path))
    return path


def rows(root: Path) -> list[tuple[str, str, str]]:
    """Returns the rows of the history, read without the daemon."""
    connection = sqlite3.connect(root / "history.db", timeout=10)
    try:
        return connection.execute("SELECT path, label, error FROM checks").fetchall()
    finally:
        connection.close()


def all_judged(root: Path, n: int) -> bool:
    found = rows(root)
    return len(found) == n and all(label for _, label, _ in found)


@linux
@pytest.mark.parametrize("kills", [2, pytest.param(8, marks=pytest.mark.soak)])
def test_kills_while_the_model_loads_are_not_blamed_on_a_picture(tiny_home, folder, kills):
    for kill in range(kills):
        with running(tiny_home.root) as daemon:
            daemon.ready()
            for child in children(daemon.process.pid):
                child.suspend()  # so the model is loading until the kill
            for number in range(6) if kill == 0 else ():
                (folder / f"{number}.png").write_bytes(png(number))
            eventually(lambda: jobs_of(tiny_home.root) == 6)
            daemon.stop(signal.SIGKILL)
    with running(tiny_home.root) as daemon:
        daemon.ready()
        eventually(lambda: all_judged(tiny_home.root, 6), 60)


def jobs_of(root: Path) -> int:
    connection = sqlite3.connect(root / "history.db", timeout=10)
    try:
        return connection.execute("SELECT count(*) FROM jobs").fetchone()[0]
    finally:
        connection.close()


@pytest.mark.attack
@linux
@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.soak)])
def test_repeated_kills_of_the_model_cost_time_but_no_picture(tiny_home, folder, kills):
    with running(tiny_home.root) as daemon:
        daemon.ready()
        for number in range(6):
            (folder / f"{number}.png").write_bytes(png(number))
        for _ in range(kills):
            eventually(lambda: kill_children(daemon.process.pid))
        eventually(lambda: all_judged(tiny_home.root, 6), 90)


@pytest.mark.attack
@linux
def test_a_history_deleted_while_open_is_written_again_in_full(tmp_path):
    place = tmp_path / "history.db"
    with open_store(place, now()) as store:
        with store.writing() as session:
            add(session, Finding(source="api", path="/a.png"), now())
        assert mend(store, now()) == ()
        for path in tmp_path.glob("history.db*"):
            path.unlink()
        assert "removed" in mend(store, now())[0]
        with store.writing() as session:
            add(session, Finding(source="api", path="/b.png"), now())
    assert sorted(path for path, *_ in rows(tmp_path)) == ["/a.png", "/b.png"]


def test_a_history_damaged_while_open_is_put_aside_and_a_new_one_is_begun(tmp_path):
    place = tmp_path / "history.db"
    with open_store(place, now()) as store:
        with store.writing() as session:
            add(session, Finding(source="api", path="/a.png"), now())
        spoil(store, place)
        with pytest.raises(StoreDamagedError), store.writing() as session:
            add(session, Finding(source="api", path="/b.png"), now())
        assert "damaged" in mend(store, now())[0]
        with store.writing() as session:
            add(session, Finding(source="api", path="/c.png"), now())
    assert [path for path, *_ in rows(tmp_path)] == ["/c.png"]
    assert list(tmp_path.glob("history.damaged-*"))


def spoil(store: Store, place: Path) -> None:
    """Damages the file. Closes it first, or the write-ahead log would still be sound."""
    store.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    store.database.close()
    place.write_bytes(b"nonsense" * 5000)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.attack
@linux
def test_on_a_disk_that_refuses_writes_a_verdict_is_given_and_the_user_is_told(tiny_home):
    spool = tiny_home.root / "run" / "spool"
    with running(tiny_home.root) as daemon:
        asked = daemon.ready()
        assert post(asked, png(1))["is_stored"]
        spool.rename(spool.with_name("away"))
        spool.symlink_to("/proc")  # root can write anything else
        answers: list[bool] = []
        threads = [
            threading.Thread(target=lambda n=n: answers.append(post(asked, png(n))["is_stored"]))
            for n in range(2, 6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(within(60))
        assert answers == [True] * 4, "only the bytes could not be kept: the history can be written"
        [notice] = asked.get("/state")["notices"]
        assert os.strerror(errno.ENOENT) in notice
        spool.unlink()
        spool.with_name("away").rename(spool)
        eventually(lambda: not asked.get("/state")["notices"], 25)
        assert post(asked, png(9))["is_stored"]
