"""What users and programs do in a folder, and which files the watcher hands over."""

import os
import shutil
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from kit.watching import PICTURE, QUIET_S, settings, stepped

from antifake.daemon.config.settings import Folder

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


# New files.


def test_a_new_picture_is_handed_over_once(sink, root):
    with stepped(sink, root) as watched:
        (root / "a.png").write_bytes(PICTURE)
        watched.handed(root / "a.png")
        watched.nothing_more(root)
    assert sink.handed[0].size == len(PICTURE)


def test_existing_files_are_found_and_known_ones_not_handed_over_again(sink, root):
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "a.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.handed(root / "deep" / "er" / "a.png")
    (root / "b.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.handed(root / "deep" / "er" / "a.png", root / "b.png")
        watched.watcher.rescan()
        watched.nothing_more(root)


def test_a_file_is_handed_over_only_after_a_slow_writer_is_done(sink, root):
    with stepped(sink, root) as watched, (root / "a.png").open("wb") as file:
        for _ in range(12):
            file.write(PICTURE)
            file.flush()
            watched.step()
        file.close()
        watched.handed(root / "a.png")
    assert sink.handed[0].size == 12 * len(PICTURE)


def test_a_file_that_is_appended_to_three_times_is_handed_over_once(sink, root):
    with stepped(sink, root) as watched:
        for _ in range(3):
            with (root / "a.png").open("ab") as file:
                file.write(PICTURE)
        watched.handed(root / "a.png")
        watched.nothing_more(root)
    assert sink.handed[0].size == 3 * len(PICTURE)


def test_a_download_of_chromium(sink, root):
    with stepped(sink, root) as watched:
        hidden, half = root / ".org.chromium.Chromium.xyz", root / "Unconfirmed 1.crdownload"
        hidden.write_bytes(PICTURE[:4])
        hidden.rename(half)
        (root / "a.png").touch()
        with half.open("ab") as file:
            file.write(PICTURE[4:])
        watched.let_pass(3 * QUIET_S)  # the server is slow
        half.rename(root / "a.png")
        watched.handed(root / "a.png")
        watched.nothing_more(root)
    assert sink.handed[0].size == len(PICTURE)


def test_a_download_of_firefox_and_an_aborted_one(sink, root):
    with stepped(sink, root) as watched:
        (root / "random.png").touch()
        (root / "random.png").unlink()
        for name in ("a", "broken off"):
            (root / f"{name}.png").touch()
            (root / f"{name}.xyz.png.part").write_bytes(PICTURE)
        watched.let_pass(3 * QUIET_S)  # the server is slow
        (root / "a.xyz.png.part").rename(root / "a.png")
        watched.handed(root / "a.png")
        watched.nothing_more(root)


def test_a_file_that_is_empty_first_and_filled_later(sink, root):
    with stepped(sink, root) as watched:
        (root / "a.png").touch()
        watched.nothing_more(root)
        (root / "a.png").write_bytes(PICTURE)
        watched.until(lambda: str(root / "a.png") in sink.paths())


def test_a_changed_or_replaced_picture_is_handed_over_again(sink, root):
    with stepped(sink, root) as watched:
        (root / "a.png").write_bytes(PICTURE)
        watched.handed(root / "a.png")
        (root / "a.png.tmp").write_bytes(PICTURE + b"new")
        (root / "a.png.tmp").replace(root / "a.png")
        watched.handed(root / "a.png", root / "a.png")
        with (root / "a.png").open("ab") as file:
            file.write(b"more")
        watched.handed(*[root / "a.png"] * 3)
        watched.nothing_more(root)


def test_moved_in_unpacked_and_linked_files_and_whole_folders(sink, root, outside):
    (outside / "in.png").write_bytes(PICTURE)
    (outside / "folder" / "b").mkdir(parents=True)
    (outside / "folder" / "b" / "c.png").write_bytes(PICTURE)
    (outside / "hard.png").write_bytes(PICTURE)
    with zipfile.ZipFile(outside / "a.zip", "w") as archive:
        for n in range(20):
            archive.writestr(f"zip/{n % 4}/{n}.png", PICTURE)
    with stepped(sink, root) as watched:
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
        watched.handed(root / "in.png", folder, root / "hard.png", at_once, *unpacked)
        watched.nothing_more(root)


def test_names_that_are_not_valid_text(sink, root):
    strange = [root / os.fsdecode(b"\xff\xfe.png"), root / "two\nlines.png", root / "<b>.png"]
    with stepped(sink, root) as watched:
        for path in strange:
            path.write_bytes(PICTURE)
        watched.handed(*strange)
        assert set(map(str, strange)) == sink.ledger()
        strange[0].unlink()
        watched.until(lambda: sink.gone_paths == [str(strange[0])])
        watched.watcher.rescan()
        watched.nothing_more(root)


def test_links_pipes_folders_and_other_files_are_never_handed_over(sink, root, outside):
    (outside / "a.png").write_bytes(PICTURE)
    (outside / "more").mkdir()
    (outside / "more" / "b.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
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
        watched.nothing_more(root)
        watched.watcher.rescan()
        watched.nothing_more(root)


def test_excluded_files_are_never_handed_over_by_events_or_walks(sink, root):
    (root / "private").mkdir()
    (root / "private" / "before.png").write_bytes(PICTURE)
    folder = Folder(root, exclude=("private/**", "*.gif"))
    with stepped(sink, folder) as watched:
        (root / "private" / "a.png").write_bytes(PICTURE)
        (root / "private" / "b").mkdir()
        (root / "private" / "b" / "c.png").write_bytes(PICTURE)
        (root / "a.gif").write_bytes(PICTURE)
        watched.nothing_more(root)
        (root / "private" / "b").rename(root / "public")
        watched.until(lambda: str(root / "public" / "c.png") in sink.paths())
        (root / "public").rename(root / "private" / "b")
        watched.watcher.rescan()
        watched.nothing_more(root)


def test_a_folder_that_is_not_recursive(sink, root):
    (root / "in").mkdir()
    with stepped(sink, Folder(root, recursive=False)) as watched:
        (root / "in" / "a.png").write_bytes(PICTURE)
        watched.watcher.rescan()
        watched.nothing_more(root)


# Removed files.


def test_a_moved_file_is_handed_over_before_its_old_name_is_forgotten(sink, root):
    (root / "a.png").write_bytes(PICTURE)
    order = []
    with stepped(sink, root) as watched:
        watched.handed(root / "a.png")
        found, gone = sink.found, sink.gone
        sink.found = lambda stamp: order.append(stamp.path) or found(stamp)
        sink.gone = lambda paths: order.extend(paths) or gone(paths)
        (root / "a.png").rename(root / "b.png")
        watched.until(lambda: len(order) == 2)
    assert order == [str(root / "b.png"), str(root / "a.png")]


def test_files_that_are_deleted_or_moved_out_are_forgotten(sink, root, outside):
    for name in ("a", "b", "c"):
        (root / name).mkdir()
        (root / name / f"{name}.png").write_bytes(PICTURE)
    (root / "d.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.until(lambda: len(sink.handed) == 4)
        shutil.rmtree(root / "a")
        (root / "b").rename(outside / "b")
        (root / "d.png").unlink()
        watched.until(lambda: sink.ledger() == {str(root / "c" / "c.png")})
        (root / "c").rename(root / "C")
        watched.until(lambda: sink.ledger() == {str(root / "C" / "c.png")})


def test_files_removed_while_the_watcher_was_off_are_forgotten_too(sink, root):
    for name in ("a.png", "b.png"):
        (root / name).write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.until(lambda: len(sink.handed) == 2)
    (root / "a.png").unlink()
    with stepped(sink, root) as watched:
        watched.until(lambda: sink.ledger() == {str(root / "b.png")})


def test_a_drive_that_was_pulled_out_does_not_empty_the_ledger(sink, root, tmp_path):
    for n in range(5):
        (root / f"{n}.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.until(lambda: len(sink.handed) == 5)
        root.rename(tmp_path / "pulled out")
        watched.until(lambda: "is not there" in watched.problem)
        root.mkdir()  # the mount point
        watched.until(lambda: not watched.problem)
        watched.watcher.rescan()
        watched.until(lambda: watched.tree.is_watching)
        watched.let_pass(6 * QUIET_S)
        root.rmdir()
        (tmp_path / "pulled out").rename(root)
        watched.until(lambda: watched.observer is not None)
        watched.nothing_more(root)
    assert sink.gone_paths == []
    assert len(sink.ledger()) == 6


def test_an_empty_folder_may_be_a_lost_drive_until_there_is_something_in_it(sink, root):
    (root / "a.png").write_bytes(PICTURE)
    with stepped(sink, root) as watched:
        watched.handed(root / "a.png")
    (root / "a.png").unlink()
    with stepped(sink, root) as watched:
        watched.let_pass(10)
        assert sink.ledger() == {str(root / "a.png")}
        (root / "b.txt").touch()
        watched.until(lambda: sink.ledger() == set())


# The folder itself.


def test_a_folder_that_is_not_there_yet_is_watched_once_it_is(sink, root):
    later = root / "later"
    with stepped(sink, later) as watched:
        state = watched.until(
            lambda: watched.watcher.state()[0].problem and watched.watcher.state()[0]
        )
        assert state.problem == f"The folder {later} is not there; it is watched as soon as it is."
        later.write_text("a file")
        watched.until(lambda: watched.problem == f"{later} is not a folder.")
        later.unlink()
        later.mkdir()
        (later / "a.png").write_bytes(PICTURE)
        watched.handed(later / "a.png")
        watched.until(lambda: not watched.problem)


def test_a_folder_that_is_replaced_by_another_of_its_name(sink, root, tmp_path):
    with stepped(sink, root) as watched:
        first = watched.observer
        root.rename(tmp_path / "old")
        root.mkdir()
        (tmp_path / "old" / "not here.png").write_bytes(PICTURE)
        watched.until(lambda: watched.observer not in (None, first))
        (root / "a.png").write_bytes(PICTURE)
        watched.handed(root / "a.png")
        watched.nothing_more(root)


def test_a_link_to_a_folder_is_watched_where_it_leads_to_and_when_it_leads_elsewhere(
    sink, root, outside, tmp_path
):
    link = tmp_path / "Downloads"
    link.symlink_to(root)
    with stepped(sink, link) as watched:
        (link / "a.png").write_bytes(PICTURE)
        watched.handed(root / "a.png")
        link.unlink()
        link.symlink_to(outside)
        watched.until(lambda: watched.tree.tree.root == str(outside))
        (outside / "b.png").write_bytes(PICTURE)
        watched.handed(root / "a.png", outside / "b.png")
        assert watched.watcher.state()[0].folder == Folder(link)


def test_folders_in_one_another_hand_over_each_file_once(sink, root):
    (root / "in").mkdir()
    folders = [Folder(root, exclude=("in/*.gif",)), Folder(root / "in"), Folder(root)]
    with stepped(sink, *folders) as watched:
        (root / "in" / "a.png").write_bytes(PICTURE)
        (root / "in" / "b.gif").write_bytes(PICTURE)
        (root / "c.png").write_bytes(PICTURE)
        watched.handed(root / "in" / "a.png", root / "in" / "b.gif", root / "c.png")
        watched.nothing_more(root)
        assert len(watched.watcher.trees) == 1
        assert [state.folder for state in watched.watcher.state()] == folders


def test_a_folder_without_events_is_walked_regularly(sink, root):
    with stepped(sink, Folder(root, polling=True)) as watched:
        assert watched.observer is None
        assert watched.watcher.state()[0].polling
        assert not watched.problem
        (root / "in").mkdir()
        (root / "in" / "a.png").write_bytes(PICTURE)
        watched.handed(root / "in" / "a.png")
        (root / "b.png").write_bytes(PICTURE)
        (root / "in" / "a.png").unlink()
        watched.until(lambda: sink.ledger() == {str(root / "b.png")})
        assert len(sink.handed) == 2


# Settings.


def test_during_a_pause_nothing_is_handed_over_and_afterwards_everything(sink, root):
    later = NOW + timedelta(hours=1)
    at = {"now": NOW}
    paused = {"paused_until": later, "clock": lambda: at["now"]}
    (root / "a.png").write_bytes(PICTURE)
    with stepped(sink, root, **paused) as watched:
        watched.let_pass(10)  # without events only a walk could have found it
        assert sink.asked == 0
        assert watched.watcher.state()[0].pending == 0
        at["now"] = later
        watched.handed(root / "a.png")
        watched.watcher.apply(settings(root, paused_until=later + timedelta(hours=1)))
        (root / "b.png").write_bytes(PICTURE)
        watched.let_pass(10)
        assert sink.asked == 1
        watched.watcher.apply(settings(root))
        watched.handed(root / "a.png", root / "b.png")


def test_new_settings_need_no_restart(sink, root, outside):
    with stepped(sink, root) as watched:
        (outside / "a.png").write_bytes(PICTURE)
        watched.watcher.apply(settings(root, outside))
        watched.handed(outside / "a.png")
        kept = next(tree for tree in watched.watcher.trees if tree.tree.root == str(root))
        watched.watcher.apply(settings(Folder(root, exclude=("b*",))))
        assert watched.watcher.trees == [kept]
        (outside / "c.png").write_bytes(PICTURE)
        (root / "b.png").write_bytes(PICTURE)
        watched.nothing_more(root)
        watched.watcher.apply(settings(root))
        watched.until(lambda: str(root / "b.png") in sink.paths())
        assert str(outside / "c.png") not in sink.paths()
        watched.watcher.apply(settings())
        assert watched.watcher.state() == []


def test_a_changed_depth_or_polling_of_a_folder_takes_effect_at_once(sink, root):
    (root / "in").mkdir()
    (root / "in" / "a.png").write_bytes(PICTURE)
    with stepped(sink, Folder(root, recursive=False)) as watched:
        watched.nothing_more(root)
        watched.watcher.apply(settings(root))
        watched.until(lambda: str(root / "in" / "a.png") in sink.paths())
        watched.watcher.apply(settings(Folder(root, polling=True)))
        watched.until(lambda: watched.watcher.state()[0].polling and watched.observer is None)
