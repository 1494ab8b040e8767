"""Failures: events are lost, the limits of the system are reached, the sink takes no files."""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.watching import PICTURE, QUIET_S, stepped

from antifake.daemon.config.settings import Folder
from antifake.daemon.watcher.scanner import BACKLOG

# Events are lost.


@contextmanager
def reading_nothing(observer):
    """The thread that reads from the kernel is blocked at its first event."""
    *_, reader = observer.threads()
    go_on, handle = threading.Event(), reader.handle_event

    def handle_later(event):
        go_on.wait()
        handle(event)

    reader.handle_event = handle_later
    try:
        yield
    finally:
        go_on.set()


@pytest.mark.attack
def test_a_full_queue_in_the_kernel_loses_no_file(sink, root):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    file = root / "a.txt"
    with stepped(sink, root) as watched:
        first = watched.observer
        with reading_nothing(first):
            for _ in range(most // 3 + 1000):  # each is three events
                file.touch()
                file.unlink()
            (root / "in").mkdir()
            (root / "in" / "a.png").write_bytes(PICTURE)
        watched.until(lambda: first.trouble.overflows)
        watched.handed(root / "in" / "a.png")
        renewed = watched.until_renewed(first)
        (root / "in" / "b.png").write_bytes(PICTURE)
        watched.handed(root / "in" / "a.png", root / "in" / "b.png")
        assert renewed.is_alive()


@pytest.mark.attack
@pytest.mark.parametrize("which", ["observer", "emitter", "reader"])
def test_watchdogs_threads_are_replaced_when_they_end(sink, root, which):
    with stepped(sink, root) as watched:
        first = watched.observer
        observer, emitter, reader = first.threads()
        {"observer": observer, "emitter": emitter, "reader": reader}[which].stop()
        watched.until_renewed(first)
        (root / "a.png").write_bytes(PICTURE)
        watched.handed(root / "a.png")


def test_a_folder_that_was_made_in_one_that_is_just_being_moved_is_not_lost(sink, root):
    (root / "a").mkdir()
    with stepped(sink, root) as watched:
        first = watched.observer
        (root / "a").rename(root / "b")
        watched.until_renewed(first)
        (root / "b" / "a.png").write_bytes(PICTURE)
        watched.handed(root / "b" / "a.png")


# The computer's limits.

LIMITED = r"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from kit.watching import NotingSink, stepped
from antifake.daemon.store import open_store

database, root = Path(sys.argv[1]), Path(sys.argv[2])
limits = Path("/proc/sys/user")

def watch(name):
    picture = root / "deep" / "er" / name
    sink = NotingSink(store)
    with stepped(sink, root) as watched:
        watched.until(lambda: watched.problem and watched.watcher.state()[0].polling)
        print(watched.problem)
        picture.write_bytes(b"\x89PNG and some more")
        watched.handed(picture)

with open_store(database, datetime.now(UTC)) as store:
    instances = (limits / "max_inotify_instances").read_text()
    (limits / "max_inotify_instances").write_text("0")
    watch("without an observer.png")
    (limits / "max_inotify_instances").write_text(instances)
    (limits / "max_inotify_watches").write_text("1")
    watch("with an observer of only one folder.png")
"""
"""Watches with a limit of the kernel that is too low."""


def may_have_own_limits():
    """Returns whether a process can have a user namespace with its own limits."""
    unshare = shutil.which("unshare")
    return unshare and subprocess.run([unshare, "-Ur", "true"], check=False).returncode == 0


@pytest.mark.skipif(not may_have_own_limits(), reason="no user namespaces here")
def test_at_the_limit_of_the_computer_the_folder_is_walked_and_the_user_told(root, tmp_path):
    (root / "deep" / "er").mkdir(parents=True)
    told = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", LIMITED, tmp_path / "app.db", root],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(told) == 2
    assert all("can watch no more folders" in line for line in told)
    assert all("max_user_watches" in line for line in told)


# The sink takes no files.


def test_a_full_sink_is_asked_again_but_not_too_often(sink, root):
    sink.is_full = True
    for n in range(30):
        (root / f"{n}.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.until(lambda: sink.asked)
        sink.asked = 0
        watched.let_pass(20)
        assert 8 <= sink.asked <= 14  # soon at first, then every two seconds
        assert watched.watcher.state()[0].pending == 30
        sink.is_full = False
        watched.until(lambda: len(sink.handed) == 30)
        assert len(set(sink.paths())) == 30
        watched.until(lambda: watched.watcher.state()[0].pending == 0)


def test_new_files_come_before_those_that_a_walk_found(sink, root):
    sink.is_full = True
    for n in range(30):
        (root / f"{n}.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.until(lambda: sink.asked)
        (root / "fresh.png").write_bytes(PICTURE)
        watched.until(lambda: watched.watcher.state()[0].pending == 31)
        watched.let_pass(3 * QUIET_S)
        sink.is_full = False
        watched.until(lambda: len(sink.handed) == 31)
    assert str(root / "fresh.png") in sink.paths()[:2]


def test_a_file_that_was_taken_is_not_asked_about_until_it_changes_or_a_walk_comes(sink, root):
    sink.is_slow = True
    with stepped(sink, root) as watched:
        (root / "a.png").write_bytes(PICTURE)
        watched.handed(root / "a.png")
        with (root / "a.png").open("ab"):
            pass
        watched.nothing_more(root)
        watched.watcher.rescan()
        watched.until(lambda: sink.paths().count(str(root / "a.png")) == 2)


@pytest.mark.attack
def test_only_a_few_files_are_kept_waiting_however_many_there_are(sink, root):
    for n in range(3 * BACKLOG):
        (root / f"{n}.png").write_bytes(PICTURE)
    sink.is_full = sink.is_slow = True
    with stepped(sink, Folder(root, polling=True)) as watched:
        for _ in range(50):
            watched.step()
            assert watched.watcher.state()[0].pending <= 1.5 * BACKLOG
        sink.is_full = False
        watched.until(lambda: len(sink.handed) == 3 * BACKLOG)
    assert len(set(sink.paths())) == 3 * BACKLOG
