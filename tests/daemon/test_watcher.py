"""What people and programs do to a folder, and what of it the watcher hands over."""

import ctypes
import errno
import os
import shutil
import threading
import time
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kit.waiting import eventually

from antifake.daemon.config.settings import Folder, Watch
from antifake.daemon.store import ledger, open_store
from antifake.daemon.watcher import Watcher
from antifake.daemon.watcher.tree_watcher import BACKLOG

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUIET_S = 0.15
PICTURE = b"\x89PNG and some more"


class Desk:
    """Notes every file that is handed over, in a real log."""

    def __init__(self, store):
        self.store = store
        self.handed = []
        self.gone_paths = []
        self.asked = 0
        self.is_full = False
        self.is_slow = False
        """It takes files, but what comes of them is not noted yet."""
        self.error = None

    def unknown(self, stamps):
        if self.error:
            raise self.error
        with self.store.reading() as session:
            yield from ledger.unknown(session, stamps)

    def found(self, stamp):
        self.asked += 1
        if self.is_full:
            return False
        if not self.is_slow:
            with self.store.writing() as session:
                ledger.note(session, stamp)
        self.handed.append(stamp)
        return True

    def noted(self, folder):
        with self.store.reading() as session:
            yield from ledger.paths_in(session, folder)

    def gone(self, paths):
        with self.store.writing() as session:
            ledger.drop(session, paths)
        self.gone_paths += paths

    def paths(self):
        return [stamp.path for stamp in self.handed]

    def ledger(self):
        return set(self.noted("/"))


@pytest.fixture
def desk(tmp_path):
    with open_store(tmp_path / "log" / "app.db", NOW) as store:
        yield Desk(store)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def watch(*folders, **about):
    made = [one if isinstance(one, Folder) else Folder(one) for one in folders]
    return Watch(folders=tuple(made), quiet_s=QUIET_S, **about)


@contextmanager
def watching(desk, *folders, **about):
    with Watcher(desk, watch(*folders, **about)) as watcher:
        eventually(lambda: all(is_listening(patrol) for patrol in patrols(watcher)))
        yield watcher


def patrols(watcher):
    return list(watcher._patrols.values())


def is_listening(patrol):
    # Or cannot be, and says why.
    return (
        (patrol._ear is not None and not patrol._rescan.is_set())
        or any(patrol.problems.values())
        or (patrol._root is not None and patrol.is_polling)
    )


def handed(desk, *paths):
    """Exactly these, each once, in whatever order."""
    wanted = sorted(map(str, paths))
    eventually(lambda: len(desk.handed) >= len(wanted))
    assert sorted(desk.paths()) == wanted


def nothing_more(desk, root):
    """A picture that comes after everything else is handed over after everything else."""
    before = len(desk.handed)
    marker = root / f"marker{before}.png"
    marker.write_bytes(PICTURE)
    eventually(lambda: str(marker) in desk.paths())
    assert len(desk.handed) == before + 1


# What comes.


def test_a_new_picture_is_handed_over_once_and_soon(desk, root):
    with watching(desk, root):
        began = time.monotonic()
        (root / "a.png").write_bytes(PICTURE)
        handed(desk, root / "a.png")
        assert time.monotonic() - began < 2
        nothing_more(desk, root)
    assert desk.handed[0].size == len(PICTURE)


def test_what_was_there_before_is_found_and_what_is_known_is_not_handed_over_again(desk, root):
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "a.png").write_bytes(PICTURE)
    with watching(desk, root):
        handed(desk, root / "deep" / "er" / "a.png")
    (root / "b.png").write_bytes(PICTURE)
    with watching(desk, root) as watcher:
        handed(desk, root / "deep" / "er" / "a.png", root / "b.png")
        watcher.rescan()
        nothing_more(desk, root)


def test_a_slow_writer_is_waited_for(desk, root):
    with watching(desk, root), (root / "a.png").open("wb") as file:
        for _ in range(12):
            file.write(PICTURE)
            file.flush()
            time.sleep(QUIET_S / 3)
        file.close()
        handed(desk, root / "a.png")
    assert desk.handed[0].size == 12 * len(PICTURE)


def test_who_appends_three_times_closes_three_times_and_is_handed_over_once(desk, root):
    with watching(desk, root):
        for _ in range(3):
            with (root / "a.png").open("ab") as file:
                file.write(PICTURE)
        handed(desk, root / "a.png")
        nothing_more(desk, root)
    assert desk.handed[0].size == 3 * len(PICTURE)


def test_a_download_of_chromium(desk, root):
    with watching(desk, root):
        hidden, half = root / ".org.chromium.Chromium.xyz", root / "Unconfirmed 1.crdownload"
        hidden.write_bytes(PICTURE[:4])
        hidden.rename(half)
        (root / "a.png").touch()
        with half.open("ab") as file:
            file.write(PICTURE[4:])
        time.sleep(3 * QUIET_S)  # the server is slow
        half.rename(root / "a.png")
        handed(desk, root / "a.png")
        nothing_more(desk, root)
    assert desk.handed[0].size == len(PICTURE)


def test_a_download_of_firefox_and_one_that_was_broken_off(desk, root):
    with watching(desk, root):
        (root / "random.png").touch()
        (root / "random.png").unlink()
        for name in ("a", "broken off"):
            (root / f"{name}.png").touch()
            (root / f"{name}.xyz.png.part").write_bytes(PICTURE)
        time.sleep(3 * QUIET_S)  # the server is slow
        (root / "a.xyz.png.part").rename(root / "a.png")
        handed(desk, root / "a.png")
        nothing_more(desk, root)


def test_a_file_that_is_empty_first_and_filled_later(desk, root):
    with watching(desk, root):
        (root / "a.png").touch()
        nothing_more(desk, root)
        (root / "a.png").write_bytes(PICTURE)
        eventually(lambda: str(root / "a.png") in desk.paths())


def test_a_changed_or_replaced_picture_is_handed_over_again(desk, root):
    with watching(desk, root):
        (root / "a.png").write_bytes(PICTURE)
        handed(desk, root / "a.png")
        (root / "a.png.tmp").write_bytes(PICTURE + b"new")
        (root / "a.png.tmp").replace(root / "a.png")
        handed(desk, root / "a.png", root / "a.png")
        with (root / "a.png").open("ab") as file:
            file.write(b"more")
        handed(desk, *[root / "a.png"] * 3)
        nothing_more(desk, root)


def test_moved_in_unpacked_and_linked_files_and_whole_folders(desk, root, outside):
    (outside / "in.png").write_bytes(PICTURE)
    (outside / "folder" / "b").mkdir(parents=True)
    (outside / "folder" / "b" / "c.png").write_bytes(PICTURE)
    (outside / "hard.png").write_bytes(PICTURE)
    with zipfile.ZipFile(outside / "a.zip", "w") as archive:
        for n in range(20):
            archive.writestr(f"zip/{n % 4}/{n}.png", PICTURE)
    with watching(desk, root):
        (outside / "in.png").rename(root / "in.png")
        (outside / "folder").rename(root / "folder")
        os.link(outside / "hard.png", root / "hard.png")
        (root / "p" / "q").mkdir(parents=True)
        (root / "p" / "q" / "at once.png").write_bytes(PICTURE)
        with zipfile.ZipFile(outside / "a.zip") as archive:
            archive.extractall(root)
        unpacked = [root / "zip" / str(n % 4) / f"{n}.png" for n in range(20)]
        folder = root / "folder" / "b" / "c.png"
        at_once = root / "p" / "q" / "at once.png"
        handed(desk, root / "in.png", folder, root / "hard.png", at_once, *unpacked)
        nothing_more(desk, root)


def test_names_that_are_no_text(desk, root):
    strange = [root / os.fsdecode(b"\xff\xfe.png"), root / "two\nlines.png", root / "<b>.png"]
    with watching(desk, root) as watcher:
        for path in strange:
            path.write_bytes(PICTURE)
        handed(desk, *strange)
        assert set(map(str, strange)) == desk.ledger()
        strange[0].unlink()
        eventually(lambda: desk.gone_paths == [str(strange[0])])
        watcher.rescan()
        nothing_more(desk, root)


def test_links_pipes_folders_and_other_files_never_come(desk, root, outside):
    (outside / "a.png").write_bytes(PICTURE)
    (outside / "more").mkdir()
    (outside / "more" / "b.png").write_bytes(PICTURE)
    with watching(desk, root) as watcher:
        (root / "link.png").symlink_to(outside / "a.png")
        (root / "dangling.png").symlink_to(outside / "none.png")
        (root / "device.png").symlink_to("/dev/zero")
        (root / "folder").symlink_to(outside / "more")
        (root / "loop").symlink_to(root)
        (outside / "with links").mkdir()
        (outside / "with links" / "folder").symlink_to(outside / "more")
        (outside / "with links").rename(root / "with links")
        (root / "with links").rename(root / "renamed with links")
        os.mkfifo(root / "pipe.png")
        (root / "folder.png").mkdir()
        (root / "a.txt").write_bytes(PICTURE)
        nothing_more(desk, root)
        watcher.rescan()
        nothing_more(desk, root)


def test_what_is_excluded_never_comes_live_or_by_a_walk(desk, root):
    (root / "private").mkdir()
    (root / "private" / "before.png").write_bytes(PICTURE)
    folder = Folder(root, exclude=("private/**", "*.gif"))
    with watching(desk, folder) as watcher:
        (root / "private" / "a.png").write_bytes(PICTURE)
        (root / "private" / "b").mkdir()
        (root / "private" / "b" / "c.png").write_bytes(PICTURE)
        (root / "a.gif").write_bytes(PICTURE)
        nothing_more(desk, root)
        (root / "private" / "b").rename(root / "public")
        eventually(lambda: str(root / "public" / "c.png") in desk.paths())
        (root / "public").rename(root / "private" / "b")
        watcher.rescan()
        nothing_more(desk, root)


def test_a_folder_that_is_not_recursive(desk, root):
    (root / "in").mkdir()
    with watching(desk, Folder(root, recursive=False)) as watcher:
        (root / "in" / "a.png").write_bytes(PICTURE)
        watcher.rescan()
        nothing_more(desk, root)


# What goes.


def test_a_moved_file_is_handed_over_before_its_old_name_is_forgotten(desk, root):
    (root / "a.png").write_bytes(PICTURE)
    order = []
    with watching(desk, root):
        handed(desk, root / "a.png")
        found, gone = desk.found, desk.gone
        desk.found = lambda stamp: order.append(stamp.path) or found(stamp)
        desk.gone = lambda paths: order.extend(paths) or gone(paths)
        (root / "a.png").rename(root / "b.png")
        eventually(lambda: len(order) == 2)
    assert order == [str(root / "b.png"), str(root / "a.png")]


def test_what_is_deleted_or_moved_out_is_forgotten(desk, root, outside):
    for name in ("a", "b", "c"):
        (root / name).mkdir()
        (root / name / f"{name}.png").write_bytes(PICTURE)
    (root / "d.png").write_bytes(PICTURE)
    with watching(desk, root):
        eventually(lambda: len(desk.handed) == 4)
        shutil.rmtree(root / "a")
        (root / "b").rename(outside / "b")
        (root / "d.png").unlink()
        eventually(lambda: desk.ledger() == {str(root / "c" / "c.png")})
        (root / "c").rename(root / "C")
        eventually(lambda: desk.ledger() == {str(root / "C" / "c.png")})


def test_what_went_while_nobody_watched_is_forgotten_too(desk, root):
    for name in ("a.png", "b.png"):
        (root / name).write_bytes(PICTURE)
    with watching(desk, root):
        eventually(lambda: len(desk.handed) == 2)
    (root / "a.png").unlink()
    with watching(desk, root):
        eventually(lambda: desk.ledger() == {str(root / "b.png")})


def test_a_drive_that_was_pulled_out_does_not_empty_the_ledger(desk, root, tmp_path):
    for n in range(5):
        (root / f"{n}.png").write_bytes(PICTURE)
    with watching(desk, root) as watcher:
        eventually(lambda: len(desk.handed) == 5)
        root.rename(tmp_path / "pulled out")
        eventually(lambda: "is not there" in (watcher.state()[0].problem or ""))
        root.mkdir()  # where it was mounted
        eventually(lambda: watcher.state()[0].problem is None)
        watcher.rescan()
        eventually(lambda: not patrols(watcher)[0]._rescan.is_set())
        root.rmdir()
        (tmp_path / "pulled out").rename(root)
        eventually(lambda: patrols(watcher)[0]._ear is not None)
        nothing_more(desk, root)
    assert desk.gone_paths == []
    assert len(desk.ledger()) == 6


# The folder itself.


def test_a_folder_that_is_not_there_yet_is_watched_once_it_is(desk, root):
    later = root / "later"
    with watching(desk, later) as watcher:
        state = eventually(lambda: watcher.state()[0].problem and watcher.state()[0])
        assert state.problem == f"The folder {later} is not there; it is watched as soon as it is."
        later.write_text("a file")
        eventually(lambda: watcher.state()[0].problem == f"{later} is not a folder.")
        later.unlink()
        later.mkdir()
        (later / "a.png").write_bytes(PICTURE)
        handed(desk, later / "a.png")
        eventually(lambda: watcher.state()[0].problem is None)


def test_a_folder_that_is_replaced_by_another_of_its_name(desk, root, tmp_path):
    with watching(desk, root) as watcher:
        first = patrols(watcher)[0]._ear
        root.rename(tmp_path / "old")
        root.mkdir()
        (tmp_path / "old" / "not here.png").write_bytes(PICTURE)
        eventually(lambda: patrols(watcher)[0]._ear not in (None, first))
        (root / "a.png").write_bytes(PICTURE)
        handed(desk, root / "a.png")
        nothing_more(desk, root)


def test_a_link_to_a_folder_is_watched_where_it_leads_to_and_when_it_leads_elsewhere(
    desk, root, outside, tmp_path
):
    link = tmp_path / "Downloads"
    link.symlink_to(root)
    with watching(desk, link) as watcher:
        (link / "a.png").write_bytes(PICTURE)
        handed(desk, root / "a.png")
        link.unlink()
        link.symlink_to(outside)
        eventually(lambda: [patrol.ground.root for patrol in patrols(watcher)] == [str(outside)])
        (outside / "b.png").write_bytes(PICTURE)
        handed(desk, root / "a.png", outside / "b.png")
        assert watcher.state()[0].folder == Folder(link)


def test_folders_in_one_another_hand_over_each_file_once(desk, root):
    (root / "in").mkdir()
    folders = [Folder(root, exclude=("in/*.gif",)), Folder(root / "in"), Folder(root)]
    with watching(desk, *folders) as watcher:
        (root / "in" / "a.png").write_bytes(PICTURE)
        (root / "in" / "b.gif").write_bytes(PICTURE)
        (root / "c.png").write_bytes(PICTURE)
        handed(desk, root / "in" / "a.png", root / "in" / "b.gif", root / "c.png")
        nothing_more(desk, root)
        assert len(patrols(watcher)) == 1
        assert [state.folder for state in watcher.state()] == folders


def test_where_no_events_come_the_folder_is_walked_again_and_again(desk, root):
    with watching(desk, Folder(root, polling=True)) as watcher:
        assert patrols(watcher)[0]._ear is None
        assert watcher.state()[0].polling
        assert watcher.state()[0].problem is None
        (root / "in").mkdir()
        (root / "in" / "a.png").write_bytes(PICTURE)
        handed(desk, root / "in" / "a.png")
        (root / "b.png").write_bytes(PICTURE)
        (root / "in" / "a.png").unlink()
        eventually(lambda: desk.ledger() == {str(root / "b.png")})
        assert len(desk.handed) == 2


# Settings.


def test_a_pause_hands_over_nothing_and_its_end_finds_everything(desk, root):
    later = NOW + timedelta(hours=1)
    clock = {"now": NOW}
    with Watcher(desk, watch(root, paused_until=later), lambda: clock["now"]) as watcher:
        eventually(lambda: patrols(watcher)[0]._ear)
        (root / "a.png").write_bytes(PICTURE)
        time.sleep(4 * QUIET_S)
        assert desk.asked == 0
        assert watcher.state()[0].pending == 0
        clock["now"] = later
        handed(desk, root / "a.png")
        watcher.apply(watch(root, paused_until=later + timedelta(hours=1)))
        (root / "b.png").write_bytes(PICTURE)
        time.sleep(4 * QUIET_S)
        assert desk.asked == 1
        watcher.apply(watch(root))
        handed(desk, root / "a.png", root / "b.png")


def test_new_settings_need_no_new_start(desk, root, outside):
    with watching(desk, root) as watcher:
        (outside / "a.png").write_bytes(PICTURE)
        watcher.apply(watch(root, outside))
        handed(desk, outside / "a.png")
        kept = watcher._patrols[f"{root}\0True"]
        watcher.apply(watch(Folder(root, exclude=("b*",))))
        assert patrols(watcher) == [kept]
        (outside / "c.png").write_bytes(PICTURE)
        (root / "b.png").write_bytes(PICTURE)
        nothing_more(desk, root)
        watcher.apply(watch(root))
        eventually(lambda: str(root / "b.png") in desk.paths())
        assert str(outside / "c.png") not in desk.paths()
        watcher.apply(watch())
        assert watcher.state() == []


def test_another_extent_of_a_folder_is_another_ground(desk, root):
    (root / "in").mkdir()
    (root / "in" / "a.png").write_bytes(PICTURE)
    with watching(desk, Folder(root, recursive=False)) as watcher:
        nothing_more(desk, root)
        watcher.apply(watch(root))
        eventually(lambda: str(root / "in" / "a.png") in desk.paths())
        watcher.apply(watch(Folder(root, polling=True)))
        eventually(lambda: watcher.state()[0].polling and patrols(watcher)[0]._ear is None)


# Trouble.


def test_a_full_queue_in_the_kernel_loses_no_file(desk, root):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with watching(desk, root) as watcher:
        ear = patrols(watcher)[0]._ear
        with ear._others[0]._lock:  # it reads nothing now
            for n in range(most // 4):
                (root / f"{n}.txt").write_bytes(b"")
                (root / f"{n}.txt").rename(root / "x.txt")
                (root / "x.txt").unlink()
                (root / "in").mkdir()
                (root / "in").rmdir()
            (root / "in").mkdir()
            (root / "in" / "a.png").write_bytes(PICTURE)
        eventually(lambda: ear.trouble.overflows)
        handed(desk, root / "in" / "a.png")
        renewed = eventually(
            lambda: patrols(watcher)[0]._ear not in (None, ear) and patrols(watcher)[0]._ear
        )
        (root / "in" / "b.png").write_bytes(PICTURE)
        handed(desk, root / "in" / "a.png", root / "in" / "b.png")
        assert renewed.is_well()


@pytest.mark.parametrize("which", ["observer", "emitter", "reader"])
def test_watchdogs_threads_are_replaced_when_they_end(desk, root, which):
    with watching(desk, root) as watcher:
        ear = patrols(watcher)[0]._ear
        observer, emitter, reader = ear.threads()
        {"observer": observer, "emitter": emitter, "reader": reader}[which].stop()
        eventually(lambda: patrols(watcher)[0]._ear not in (None, ear))
        (root / "a.png").write_bytes(PICTURE)
        handed(desk, root / "a.png")


def test_a_folder_that_was_made_in_one_that_is_just_being_moved_is_not_lost(desk, root):
    (root / "a").mkdir()
    with watching(desk, root) as watcher:
        ear = patrols(watcher)[0]._ear
        (root / "a").rename(root / "b")
        eventually(lambda: patrols(watcher)[0]._ear not in (None, ear))
        (root / "b" / "a.png").write_bytes(PICTURE)
        handed(desk, root / "b" / "a.png")


@contextmanager
def no_more_observers():
    """All that the kernel gives to one user, taken."""
    libc = ctypes.CDLL(None, use_errno=True)
    taken = []
    try:
        while (one := libc.inotify_init()) != -1:
            taken.append(one)
        assert ctypes.get_errno() == errno.EMFILE
        yield
    finally:
        for one in taken:
            os.close(one)


def test_where_the_computer_watches_no_more_the_folder_is_walked_and_the_person_told(desk, root):
    with no_more_observers(), Watcher(desk, watch(root)) as watcher:
        state = eventually(lambda: watcher.state()[0].problem and watcher.state()[0])
        assert "can watch no more folders" in state.problem
        assert state.polling
        (root / "a.png").write_bytes(PICTURE)
        handed(desk, root / "a.png")


def test_where_some_folders_cannot_be_watched_the_person_is_told(desk, root):
    with watching(desk, root) as watcher:
        patrols(watcher)[0]._ear.trouble.is_short = True
        eventually(lambda: watcher.state()[0].polling)
        eventually(lambda: "max_user_watches" in (watcher.state()[0].problem or ""))


def test_a_full_desk_is_asked_again_but_not_pestered(desk, root):
    desk.is_full = True
    for n in range(30):
        (root / f"{n}.png").write_bytes(PICTURE)
    with watching(desk, root) as watcher:
        eventually(lambda: desk.asked >= 4)
        assert desk.asked < 12
        assert watcher.state()[0].pending == 30
        desk.is_full = False
        eventually(lambda: len(desk.handed) == 30)
        assert len(set(desk.paths())) == 30
        eventually(lambda: watcher.state()[0].pending == 0)


def test_fresh_files_come_before_what_a_walk_found(desk, root):
    desk.is_full = True
    for n in range(30):
        (root / f"{n}.png").write_bytes(PICTURE)
    with watching(desk, root) as watcher:
        eventually(lambda: desk.asked)
        (root / "fresh.png").write_bytes(PICTURE)
        eventually(lambda: patrols(watcher)[0]._ready)
        desk.is_full = False
        eventually(lambda: len(desk.handed) == 31)
    assert str(root / "fresh.png") in desk.paths()[:2]


def test_a_desk_that_fails_loses_nothing(desk, root):
    with watching(desk, root):
        desk.error = OSError("the disk is full")
        (root / "a.png").write_bytes(PICTURE)
        time.sleep(4 * QUIET_S)
        assert desk.handed == []
        desk.error = None
        handed(desk, root / "a.png")


def test_a_file_that_was_taken_is_not_asked_about_until_it_changes_or_a_walk_comes(desk, root):
    desk.is_slow = True
    with watching(desk, root) as watcher:
        (root / "a.png").write_bytes(PICTURE)
        handed(desk, root / "a.png")
        with (root / "a.png").open("ab"):
            pass
        nothing_more(desk, root)
        watcher.rescan()
        eventually(lambda: desk.paths().count(str(root / "a.png")) == 2)


# Threads, and none.


def test_it_ends_at_once_and_leaves_no_thread(desk, root, outside):
    before = set(threading.enumerate())
    with watching(desk, root, outside):
        began = time.monotonic()
    assert time.monotonic() - began < 2
    eventually(lambda: set(threading.enumerate()) == before)


def test_it_ends_at_once_in_the_middle_of_much_work(desk, root):
    desk.is_full = True
    for n in range(500):
        (root / f"{n}.png").write_bytes(PICTURE)
    with watching(desk, root):
        eventually(lambda: desk.asked)
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_without_threads_a_step_is_a_turn_of_everything_and_idle_is_idle(desk, root):
    (root / "a.png").write_bytes(PICTURE)
    watcher = Watcher(desk, watch(Folder(root, polling=True)))
    (patrol,) = patrols(watcher)
    for n in range(5):
        watcher.step(100 + n * QUIET_S)
    watcher.close()
    assert desk.paths() == [str(root / "a.png")]
    assert patrol.step(101.0) >= 0.5


def test_however_many_files_there_are_few_wait(desk, root):
    for n in range(3 * BACKLOG):
        (root / f"{n}.png").write_bytes(PICTURE)
    desk.is_full = True
    watcher = Watcher(desk, watch(Folder(root, polling=True)))
    now = 100.0
    for _ in range(50):
        watcher.step(now := now + QUIET_S)
        assert watcher.state()[0].pending <= 1.5 * BACKLOG
    desk.is_full = False
    while len(desk.handed) < 3 * BACKLOG and now < 1000:
        watcher.step(now := now + QUIET_S)
    watcher.close()
    assert len(set(desk.paths())) == len(desk.handed) == 3 * BACKLOG
