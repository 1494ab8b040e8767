"""Which files a scanner finds, and when a delivery hands them over. The times are given."""

import os
import threading
from datetime import UTC, datetime

import pytest
from kit.watching import PICTURE, QUIET_S, NotingSink
from PIL import Image
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedNoWriteEvent,
    FileCreatedEvent,
    FileOpenedEvent,
)

from antifake.daemon.config import Folder
from antifake.daemon.store import open_store
from antifake.daemon.watcher import delivery, scanner
from antifake.daemon.watcher.delivery import MAX_GONE, Delivery
from antifake.daemon.watcher.event_buffer import MAX_PATHS, EventBuffer
from antifake.daemon.watcher.roots import Root
from antifake.daemon.watcher.scanner import BACKLOG, MAX_FOLDERS, POLL_S, Scanner
from antifake.daemon.watcher.tree import trees_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
START = 1000.0


class Parts:
    """A scanner and a delivery of one tree, with no observer and no thread."""

    def __init__(self, sink, folder):
        (tree,) = trees_of([Folder(folder)])
        self.sink = sink
        self.is_halted = False
        self.wakeup = threading.Event()
        self.events = EventBuffer(self.wakeup)
        self.root = Root(tree.root)
        self.root.refresh()
        self.delivery = Delivery(tree, self.root, sink, QUIET_S, lambda: self.is_halted)
        self.scanner = Scanner(tree, self.root, self.events, self.delivery, lambda: self.is_halted)

    def make_ready(self, *paths):
        """Makes the files complete. The sink has not taken the first of them at START."""
        self.sink.is_full = True
        for path in paths:
            self.delivery.changed(str(path), START - 10)
        self.delivery.step(START - 5)
        self.delivery.step(START)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Makes each step do all pending work, however slow the machine is."""
    for module in (scanner, delivery):
        monkeypatch.setattr(module, "TURN_S", 600)


@pytest.fixture
def parts(tmp_path, root):
    with open_store(tmp_path / "log" / "app.db", NOW) as store:
        yield Parts(NotingSink(store), root)


def picture(folder, name):
    (folder / name).write_bytes(PICTURE)
    return folder / name


# What the scanner finds.


def test_a_file_that_an_event_names_is_pending_if_its_folder_accepts_it(parts, root):
    for name in ("a.png", "a.txt", ".a.png"):
        parts.events.dispatch(FileCreatedEvent(str(root / name)))
    assert parts.wakeup.is_set()
    assert not parts.scanner.take_events(START)
    assert parts.delivery.pending() == [str(root / "a.png")]


def photo(path):
    Image.effect_noise((99, 99), 50).save(path, "JPEG")
    return path


def test_where_the_name_says_nothing_the_first_bytes_do(parts, root):
    named = [photo(root / name) for name in ("tw.jpg_large", "IMG_1", "a.jpg.1", "b.orig")]
    for name in ("README", "notes_2", "x.7"):
        (root / name).write_text("BM, and no picture")
    (root / "empty").touch()
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to(named[0])
    photo(root / "film.mp4")
    parts.scanner.step(START, is_polling=False)
    found = set(map(str, named))
    assert set(parts.delivery.pending()) == found
    for at in (START, START + 10, START + 20):
        parts.delivery.step(at)
    assert set(parts.sink.paths()) == found


def test_an_event_about_such_a_file_counts_as_soon_as_it_has_its_first_bytes(parts, root):
    (root / "log").write_text("a line")
    (root / "photo").touch()
    for name in ("log", "photo", "gone"):
        parts.events.dispatch(FileCreatedEvent(str(root / name)))
    parts.scanner.take_events(START)
    assert set(parts.delivery.pending()) == {str(root / "photo"), str(root / "gone")}
    photo(root / "photo")
    (root / "gone").write_text("something else after all")
    for at in (START + 10, START + 20):
        parts.delivery.step(at)
    assert parts.sink.paths() == [str(root / "photo")]


def test_reading_a_file_does_not_make_it_pending(parts, root):
    parts.events.dispatch(FileOpenedEvent(str(root / "a.png")))
    parts.events.dispatch(FileClosedNoWriteEvent(str(root / "a.png")))
    parts.scanner.take_events(START)
    assert not parts.wakeup.is_set()
    assert parts.delivery.pending() == []


def test_a_walk_finds_what_no_event_named_and_then_rests(parts, root):
    path = picture(root, "a.png")
    assert parts.scanner.next_at(is_polling=False) == 0
    parts.scanner.step(START, is_polling=False)
    assert parts.delivery.pending() == [str(path)]
    assert parts.scanner.next_at(is_polling=False) == float("inf")
    assert parts.scanner.next_at(is_polling=True) >= START + POLL_S


def test_without_events_the_next_walk_begins_after_the_rest(parts, root):
    parts.scanner.step(START, is_polling=True)
    path = picture(root, "a.png")
    at = parts.scanner.next_at(is_polling=True)
    parts.scanner.step(at - 0.1, is_polling=True)
    parts.scanner.step(at, is_polling=False)
    assert parts.delivery.pending() == []
    parts.scanner.step(at, is_polling=True)
    assert parts.delivery.pending() == [str(path)]


def test_a_folder_that_appeared_is_walked_and_the_others_are_not(parts, root):
    parts.scanner.step(START, is_polling=False)
    (root / "new").mkdir()
    new = picture(root / "new", "a.png")
    picture(root, "without an event.png")
    parts.events.dispatch(DirCreatedEvent(str(root / "new")))
    parts.scanner.take_events(START)
    parts.scanner.step(START, is_polling=False)
    assert parts.delivery.pending() == [str(new)]


def test_a_renamed_folder_is_reported_as_the_observer_may_have_lost_it(parts, root):
    parts.events.dispatch(DirMovedEvent(str(root / "a"), str(root / "b")))
    assert parts.scanner.take_events(START)


@pytest.mark.parametrize(
    ("kind", "count"), [(DirCreatedEvent, MAX_FOLDERS), (FileCreatedEvent, MAX_PATHS)]
)
def test_after_too_many_events_the_whole_tree_is_walked(parts, root, kind, count):
    parts.scanner.step(START, is_polling=False)
    for n in range(count):
        parts.events.dispatch(kind(str(root / f"{n}.txt")))
    parts.scanner.take_events(START)
    assert not parts.scanner.is_rescan_due
    for n in range(count + 1):
        parts.events.dispatch(kind(str(root / f"{n}.txt")))
    parts.scanner.take_events(START)
    assert parts.scanner.is_rescan_due


def test_events_stay_in_the_buffer_while_far_too_many_files_are_pending(parts, root):
    for n in range(2 * BACKLOG + 1):
        parts.delivery.changed(str(root / f"{n}.png"), START)
    parts.events.dispatch(FileCreatedEvent(str(root / "late.png")))
    parts.scanner.take_events(START)
    assert str(root / "late.png") not in parts.delivery.pending()
    parts.delivery.discard()
    parts.scanner.take_events(START)
    assert parts.delivery.pending() == [str(root / "late.png")]


def test_a_failed_walk_begins_again(parts, root):
    path = picture(root, "a.png")
    parts.sink.error = OSError("the disk is full")
    with pytest.raises(OSError, match="full"):
        parts.scanner.step(START, is_polling=False)
    parts.scanner.restart_walk()
    parts.sink.error = None
    parts.scanner.step(START, is_polling=False)
    assert parts.delivery.pending() == [str(path)]


def test_a_halted_scanner_walks_nothing(parts, root):
    picture(root, "a.png")
    parts.is_halted = True
    parts.scanner.step(START, is_polling=False)
    assert parts.delivery.pending() == []
    assert parts.scanner.is_rescan_due


# When the delivery hands it over.


def test_a_full_sink_is_asked_after_longer_and_longer_pauses(parts, root):
    parts.make_ready(picture(root, "a.png"), picture(root, "b.png"))
    times = []
    for _ in range(7):
        asked, at = parts.sink.asked, parts.delivery.next_at()
        parts.delivery.step(at - 0.01)
        assert parts.sink.asked == asked
        parts.delivery.step(at)
        assert parts.sink.asked == asked + 1
        times.append(at - START)
    assert times == pytest.approx([0.1, 0.3, 0.7, 1.5, 3.1, 5.1, 7.1])
    parts.sink.is_full = False
    parts.delivery.step(START + 10)
    assert sorted(parts.sink.paths()) == [str(root / "a.png"), str(root / "b.png")]


def test_a_file_that_just_changed_comes_before_what_a_walk_found(parts, root):
    found, fresh = picture(root, "found.png"), picture(root, "fresh.png")
    parts.sink.is_full = True
    parts.delivery.came_upon(str(found), START)
    parts.delivery.changed(str(fresh), START)
    for n in range(4):
        parts.delivery.step(START + n)
    parts.sink.is_full = False
    parts.delivery.step(START + 10)
    assert parts.sink.paths() == [str(fresh), str(found)]


def test_a_file_taken_but_not_yet_recorded_is_offered_again_only_on_request(parts, root):
    path = str(picture(root, "a.png"))
    parts.sink.is_slow = True
    for n in range(3):
        parts.delivery.changed(path, START + 10 * n)
        for seconds in (1, 2, 3):
            parts.delivery.step(START + 10 * n + seconds)
    assert parts.sink.paths() == [path]
    parts.delivery.offer_again()
    parts.delivery.changed(path, START + 40)
    for seconds in (41, 42, 43):
        parts.delivery.step(START + seconds)
    assert parts.sink.paths() == [path, path]


def test_while_the_ledger_cannot_be_read_files_stay_pending(parts, root):
    path = str(picture(root, "a.png"))
    parts.delivery.changed(path, START)
    parts.delivery.step(START + 1)
    parts.sink.error = OSError("the disk is full")
    with pytest.raises(OSError, match="full"):
        parts.delivery.step(START + 2)
    assert parts.delivery.pending() == [path]
    parts.sink.error = None
    for seconds in (3, 4, 5):
        parts.delivery.step(START + seconds)
    assert parts.sink.paths() == [path]


def test_a_file_that_changes_before_it_is_handed_over_waits_again(parts, root):
    path = picture(root, "a.png")
    parts.make_ready(path)
    path.write_bytes(PICTURE + b"more")
    parts.sink.is_full = False
    parts.delivery.step(START + QUIET_S)
    assert parts.sink.handed == []
    for n in range(2, 5):
        parts.delivery.step(START + n * QUIET_S)
    assert [stamp.size for stamp in parts.sink.handed] == [len(PICTURE + b"more")]


def test_a_file_that_the_sink_fails_at_does_not_hold_up_the_others(parts, root):
    bad, *good = (picture(root, name) for name in ("a.png", "b.png", "c.png"))
    parts.make_ready(bad, *good)
    parts.sink.is_full = False
    found = parts.sink.found

    def fail(stamp):
        if stamp.path == str(bad):
            raise OSError("the disk is full")
        return found(stamp)

    parts.sink.found = fail
    for n in range(1, 5):
        parts.delivery.step(START + n)
    assert parts.sink.paths() == [str(path) for path in good]
    parts.sink.found = found
    parts.delivery.step(START + 10)
    assert parts.sink.paths()[-1] == str(bad)


def test_a_file_is_not_forgotten_while_its_new_name_may_be_waiting(parts, root):
    parts.make_ready(picture(root, "b.png"))
    parts.delivery.changed(str(root / "a.png"), START)
    for n in range(1, 5):
        parts.delivery.step(START + n)
    assert parts.sink.gone_paths == []
    assert parts.delivery.pending() == [str(root / "b.png")]
    parts.sink.is_full = False
    parts.delivery.step(START + 20)
    assert parts.sink.paths() == [str(root / "b.png")]
    assert parts.sink.gone_paths == [str(root / "a.png")]


def test_very_many_missing_files_are_forgotten_though_others_wait(parts, root):
    parts.make_ready(picture(root, "b.png"))
    for n in range(MAX_GONE):
        parts.delivery.came_upon(str(root / f"{n}.png"), START)
    parts.delivery.step(START)
    parts.delivery.step(START + QUIET_S)
    assert len(parts.sink.gone_paths) == MAX_GONE


def test_files_on_a_drive_that_is_gone_are_not_forgotten(parts, root, tmp_path):
    parts.delivery.came_upon(str(root / "a.png"), START)
    parts.delivery.step(START)
    root.rename(tmp_path / "pulled out")
    parts.delivery.step(START + QUIET_S)
    assert parts.sink.gone_paths == []
    assert parts.delivery.backlog() == 0
