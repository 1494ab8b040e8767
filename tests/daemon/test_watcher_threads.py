"""The watcher as the daemon runs it: a thread for each tree, and the real clock."""

import threading
import time
from contextlib import contextmanager

from kit.pace import within
from kit.waiting import eventually
from kit.watching import PICTURE, QUIET_S, is_watching, settings

from antifake.daemon.config.settings import Folder
from antifake.daemon.watcher import Watcher


@contextmanager
def watching(sink, *folders):
    with Watcher(sink, settings(*folders)) as watcher:
        eventually(lambda: is_watching(watcher))
        yield watcher


def test_a_new_picture_is_handed_over_soon(sink, root):
    with watching(sink, root):
        began = time.monotonic()
        (root / "a.png").write_bytes(PICTURE)
        eventually(lambda: sink.paths() == [str(root / "a.png")])
        assert time.monotonic() - began < within(2 * QUIET_S + 1)


def test_new_settings_need_no_restart(sink, root, tmp_path):
    (tmp_path / "other").mkdir()
    with watching(sink, root) as watcher:
        watcher.apply(settings(root, tmp_path / "other"))
        (tmp_path / "other" / "a.png").write_bytes(PICTURE)
        eventually(lambda: sink.paths() == [str(tmp_path / "other" / "a.png")])


def test_a_sink_that_fails_loses_nothing(sink, root):
    with watching(sink, root) as watcher:
        sink.error = OSError("the disk is full")
        (root / "a.png").write_bytes(PICTURE)
        eventually(lambda: sink.failed)
        eventually(lambda: watcher.state()[0].pending)
        assert sink.handed == []
        sink.error = None
        eventually(lambda: sink.paths() == [str(root / "a.png")])


def test_a_sink_that_fails_in_the_middle_of_a_walk_loses_nothing(sink, root):
    (root / "a.png").write_bytes(PICTURE)
    sink.error = OSError("the disk is full")
    with Watcher(sink, settings(root)):
        eventually(lambda: sink.failed)
        sink.error = None
        eventually(lambda: sink.paths() == [str(root / "a.png")])


def test_the_watcher_ends_at_once_and_leaves_no_thread(sink, root, tmp_path):
    (tmp_path / "other").mkdir()
    before = set(threading.enumerate())
    with watching(sink, root, tmp_path / "other"):
        began = time.monotonic()
    assert time.monotonic() - began < within(2)
    eventually(lambda: set(threading.enumerate()) <= before)


def test_the_watcher_ends_at_once_even_under_load(sink, root):
    sink.is_full = True
    for n in range(500):
        (root / f"{n}.png").write_bytes(PICTURE)
    with watching(sink, root):
        eventually(lambda: sink.asked)
        began = time.monotonic()
    assert time.monotonic() - began < within(2)


def test_an_idle_watcher_sleeps(sink, root):
    (root / "a.png").write_bytes(PICTURE)
    watcher = Watcher(sink, settings(Folder(root, polling=True)))
    (tree,) = watcher.trees
    for n in range(5):
        watcher.step(100 + n * QUIET_S)
    watcher.close()
    assert sink.paths() == [str(root / "a.png")]
    assert tree.step(103.5) >= 0.5
