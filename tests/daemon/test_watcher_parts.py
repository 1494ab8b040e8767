"""The watcher's pure parts: which files are accepted, when one is complete, and mounts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antifake.daemon.config import Folder
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.watcher.mounts import file_system_of, lacks_events
from antifake.daemon.watcher.patterns import PatternFilter
from antifake.daemon.watcher.stability import StabilityTracker, StableFile
from antifake.daemon.watcher.tree import trees_of


def pattern_filter(include=(), exclude=(), recursive=True):
    folder = Folder(Path("/x"), tuple(include), tuple(exclude), recursive=recursive)
    return PatternFilter.of(folder)


def accepts(path, **about):
    return pattern_filter(**about).accepts(path.split("/"))


# Which files.


@pytest.mark.parametrize(
    ("path", "is_accepted"),
    [
        ("a.png", True),
        ("A.JPEG", True),
        ("deep/er/a.HeIc", True),
        ("two\nlines.png", True),
        ("\udcff.png", True),
        ("a.txt", False),
        ("a.pjpeg", True),
        ("a.jpg_large", True),
        ("a.jpg?w=600", True),
        ("png", True),
        ("Makefile.am", False),
        ("a.png.crdownload", False),
        ("a.png.PART", False),
        ("a.partial", False),
        ("a.png.tmp", False),
        ("a.png.download", False),
        ("a.png.opdownload", False),
        (".a.png", False),
        (".thumbnails/a.png", False),
        ("deep/.git/a/a.png", False),
        ("a.png.download/a.png", False),
        ("a.part/a.png", True),
    ],
)
def test_pictures_are_recognised_by_name_and_partial_and_hidden_files_skipped(path, is_accepted):
    assert accepts(path) == is_accepted


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("*.png", ["a.png", "b/a.png"], ["a.jpg", "a.png/b.jpg"]),
        ("IMG_??.jpg", ["IMG_01.jpg", "b/IMG_02.jpg"], ["IMG_1.jpg"]),
        ("[ab].png", ["a.png"], ["c.png"]),
        ("b/*.png", ["b/a.png"], ["a.png", "b/c/a.png", "c/b/a.png"]),
        ("b/**", ["b/a.png", "b/c/d/a.png"], ["a.png", "c/b/a.png"]),
        ("b/", ["b/a.png", "b/c/a.png"], ["a.png"]),
        ("b/**/a.png", ["b/a.png", "b/c/d/a.png"], ["a.png", "b/c.png"]),
        ("**/b/*", ["b/a.png", "c/d/b/a.png"], ["a.png", "b/c/a.png"]),
        ("**", ["a.png", "b/a.png"], []),
        ("**/**/*.png", ["a.png", "b/a.png"], ["a.jpg"]),
        ("./a.png", ["a.png"], ["b/a.png"]),
        ("*.{png,gif}", ["a.png", "b/a.gif"], ["a.jpg"]),
        ("**/*.{arw,png}", ["a.png", "b/c/a.arw"], ["a.jpg"]),
        ("{b,c/**}/a.{p{n,u}g,gif}", ["b/a.png", "c/d/a.pug", "c/a.gif"], ["a.png", "b/a.pg"]),
        ("{b}.png", ["{b}.png"], ["b.png"]),
        ("[{]b,c}.png", ["{b,c}.png"], ["b.png"]),
    ],
)
def test_a_pattern_means_the_same_for_including_and_excluding(pattern, fits, fits_not):
    for path in fits:
        assert accepts(path, include=[pattern])
        assert not accepts(path, exclude=[pattern])
    for path in fits_not:
        assert not accepts(path, include=[pattern])


@pytest.mark.parametrize(
    ("path", "is_sure"), [("a.png", True), ("b/a.jpg_large", False), ("a", False)]
)
def test_the_first_bytes_decide_only_where_the_name_says_nothing(path, is_sure):
    assert pattern_filter().is_sure(path.split("/")) == is_sure
    assert pattern_filter(include=["*"]).is_sure(path.split("/"))


def test_exclude_overrides_include_and_covers_everything_below():
    assert not accepts("b/a.png", include=["*.png"], exclude=["b/**"])
    assert not accepts("c/b/d/a.png", exclude=["b"])
    assert not accepts("b/c/a.png", exclude=["b/*"])
    assert accepts("bb/a.png", exclude=["b"])
    assert not pattern_filter(exclude=["b/**"]).enters(["b"])
    assert not pattern_filter(exclude=["b"]).enters(["c", "b", "d"])
    assert pattern_filter(exclude=["b/*.png"]).enters(["b"])


def test_other_files_are_accepted_only_if_a_pattern_names_them():
    assert not accepts("a.psd")
    assert accepts("a.psd", include=["*.psd"])
    assert not accepts("a.psd.part", include=["*"])
    assert not accepts(".a.psd", include=["*"])


def test_a_folder_that_is_not_recursive_has_only_its_own_files():
    assert accepts("a.png", recursive=False)
    assert not accepts("b/a.png", recursive=False)
    assert not accepts("b/a.png", include=["b/*"], recursive=False)


names = st.lists(st.sampled_from(["a", "b.png", ".c", "d.part", "e"]), min_size=1, max_size=5)
patterns = st.lists(
    st.lists(st.sampled_from(["a", "b.png", "*", "**", "?", "e"]), min_size=1, max_size=4).map(
        "/".join
    ),
    max_size=3,
)


@given(names, patterns, patterns)
def test_no_accepted_file_is_in_a_folder_that_is_not_entered(path, include, exclude):
    one = pattern_filter(include, exclude)
    if one.accepts(path):
        assert all(one.enters(path[:n]) for n in range(len(path)))


# Folders and mounts.


def test_folders_in_one_another_make_one_tree_and_each_may_accept_a_file(tmp_path):
    inner, link = tmp_path / "in" / ".hidden", tmp_path / "link"
    inner.mkdir(parents=True)
    link.symlink_to(tmp_path / "in")
    folders = [
        Folder(inner),
        Folder(tmp_path, exclude=("in/**",)),
        Folder(link, include=("*.psd",)),
        Folder(tmp_path, include=("*.x",), recursive=False),
    ]
    (tree,) = trees_of(folders)
    assert tree.root == str(tmp_path)
    assert tree.is_recursive
    assert tree.accepts(f"{inner}/a.png")
    assert tree.accepts(f"{tmp_path}/in/a.psd")
    assert tree.accepts(f"{tmp_path}/a.x")
    assert not tree.accepts(f"{tmp_path}/in/a.png")
    assert not tree.accepts(f"{tmp_path}/b/a.x")
    assert tree.enters(f"{tmp_path}/in")
    assert not tree.accepts(f"{tmp_path}2/a.png")


def test_below_a_folder_that_is_not_recursive_another_one_is_its_own_tree(tmp_path):
    folders = [Folder(tmp_path, recursive=False), Folder(tmp_path / "b"), Folder(tmp_path / "bb")]
    roots = [tree.root for tree in trees_of(folders)]
    assert roots == [str(tmp_path), str(tmp_path / "b"), str(tmp_path / "bb")]


MOUNTS = rb"""22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
25 22 0:22 / /proc rw - proc proc rw
31 22 0:27 / /mnt/nas rw,relatime shared:14 master:2 - nfs4 nas:/x rw,vers=4.2
32 22 0:28 / /mnt/my\040pictures rw - cifs //nas/x rw
33 22 0:29 / /home/me/cloud rw - fuse.sshfs me@host: rw
34 33 0:30 / /home/me/cloud/local rw - ext4 /dev/sdb1 rw
35 22 0:31 / /media/twice rw - ext4 /dev/sdc1 rw
36 35 0:32 / /media/twice rw - vfat /dev/sdd1 rw
37 22 0:33 / /media/\377 rw - 9p host rw
a line that nobody understands
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/deep/er", "nfs4"),
        ("/mnt/nas2", "ext4"),
        ("/mnt/my pictures/x", "cifs"),
        ("/home/me/cloud/x", "fuse.sshfs"),
        ("/home/me/cloud/local/x", "ext4"),
        ("/media/twice", "vfat"),
        ("/media/\udcff/x", "9p"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_innermost_mount(folder, kind):
    assert file_system_of(folder, MOUNTS) == kind


def test_the_disk_of_the_tests_reports_changes(tmp_path):
    assert not lacks_events(str(tmp_path))
    assert file_system_of("/", b"") == ""


# Completeness.

QUIET = 0.5


def stamp(n=1, path="/a.png"):
    return Stamp(path, n, n, "1-1")


def test_a_file_is_complete_when_two_looks_some_time_apart_are_equal():
    waiting = StabilityTracker(QUIET)
    waiting.changed("/a.png", 0)
    assert waiting.due(0.4) == []
    assert waiting.due(0.5) == ["/a.png"]
    assert waiting.seen("/a.png", stamp(1), 0.5) is None
    assert waiting.due(0.9) == []
    assert waiting.seen("/a.png", stamp(2), 1.0) is None
    assert waiting.seen("/a.png", stamp(2), 1.5) == StableFile("/a.png", stamp(2), is_fresh=True)
    assert len(waiting) == 0
    assert waiting.next_due() is None


def test_a_change_restarts_the_wait_and_a_walk_does_not():
    waiting = StabilityTracker(QUIET)
    waiting.changed("/a.png", 0)
    waiting.seen("/a.png", stamp(), 0.5)
    for n in range(10):
        waiting.came_upon("/a.png", 0.5 + n / 20)
    assert waiting.seen("/a.png", stamp(), 1.0)
    waiting.came_upon("/a.png", 2)
    waiting.seen("/a.png", stamp(), 2)
    waiting.changed("/a.png", 2.4)
    assert waiting.seen("/a.png", stamp(), 2.9) is None
    assert waiting.seen("/a.png", stamp(), 3.4).is_fresh


def test_a_missing_file_needs_two_looks_too():
    waiting = StabilityTracker(QUIET)
    waiting.came_upon("/a.png", 0)
    assert waiting.seen("/a.png", None, 0) is None
    assert waiting.seen("/a.png", stamp(), 0.5) is None
    assert waiting.seen("/a.png", None, 1.0) is None
    assert waiting.seen("/a.png", None, 1.5) == StableFile("/a.png", None, is_fresh=False)
    assert waiting.seen("/b.png", None, 1.5) is None


happenings = st.lists(
    st.tuples(
        st.sampled_from(["write", "write unseen", "event", "walk", "look"]),
        st.floats(0, 2 * QUIET, width=16),
    ),
    max_size=60,
)


@given(happenings)
def test_a_settled_file_was_unchanged_and_quiet_for_long_enough(what):
    waiting, now, version, at_looks = StabilityTracker(QUIET), 0.0, 0, []
    for happened, later in what:
        now += later
        if happened.startswith("write"):
            version += 1
        if happened in ("write", "event"):
            waiting.changed("/a.png", now)
            at_looks = []
        elif happened == "walk":
            waiting.came_upon("/a.png", now)
        elif happened == "look" and "/a.png" in waiting.due(now):
            at_looks.append((now, version))
            settled = waiting.seen("/a.png", stamp(version), now)
            if settled:
                assert settled.stamp == stamp(version)
                same = [at for at, seen in at_looks if seen == version]
                assert same[-1] - same[0] >= QUIET
                at_looks = []


@given(happenings)
def test_a_quiet_file_is_settled_however_many_walks_there_are(what):
    waiting, now = StabilityTracker(QUIET), 0.0
    for happened, later in what:
        now += later
        if happened in ("write", "event"):
            waiting.changed("/a.png", now)
        else:
            waiting.came_upon("/a.png", now)
    waiting.came_upon("/a.png", now)
    settled = None
    for n in range(12):
        waiting.came_upon("/a.png", now + n * QUIET / 4)
        if waiting.due(now + n * QUIET / 4):
            settled = settled or waiting.seen("/a.png", stamp(), now + n * QUIET / 4)
    assert settled
