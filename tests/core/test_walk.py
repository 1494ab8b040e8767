"""Which files a scan takes."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from antifake.core.errors import UsageError
from antifake.core.first_bytes import is_kept_elsewhere
from antifake.core.walk import FileFilter, pictures


def test_folders_deeper_than_pythons_stack_are_walked(tmp_path):
    depth = 1500
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("a.png", os.O_CREAT, dir_fd=here))
    os.close(here)
    try:
        assert len(list(pictures(tmp_path, FileFilter(recursive=True)))) == 1
    finally:
        # Python's own rmtree, which pytest would use, does not get so deep.
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def names(folder, **about):
    return sorted(path.name for path in pictures(folder, FileFilter(**about)))


def photo(path):
    path.parent.mkdir(exist_ok=True)
    Image.effect_noise((99, 99), 50).save(path, "PNG")


def test_where_the_name_says_nothing_the_first_bytes_do(tmp_path):
    for name in ("a.png", "tw.jpg_large", "b.jpe", "c.pjpeg", "d", "e.jpg!600", "f.1", "g.orig"):
        photo(tmp_path / name)
    found = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "a.png")
    photo(tmp_path / "h.mp4")
    for name in ("README", "BMW", "i_1", "j.png_"):
        (tmp_path / name).write_text("BM, and no picture")
    (tmp_path / "empty").touch()
    (tmp_path / "broken link").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "fifo")
    others = []
    taken = pictures(tmp_path, FileFilter(), lambda: others.append(1))
    assert sorted(path.name for path in taken) == sorted([*found, "link"])
    assert len(others) == 8
    assert names(tmp_path, include=("README",)) == ["README"]


def test_a_file_that_is_kept_in_a_cloud_is_left_there():
    for info in (
        SimpleNamespace(st_file_attributes=0x400000),
        SimpleNamespace(st_file_attributes=0x1020),
        SimpleNamespace(st_flags=0x40000020),
    ):
        assert is_kept_elsewhere(info)
    assert not is_kept_elsewhere(SimpleNamespace(st_file_attributes=0x20, st_flags=0x20))
    assert not is_kept_elsewhere(Path(__file__).stat())


def test_a_pattern_means_the_same_as_for_a_watched_folder(tmp_path):
    for name in ("a.png", "b.gif", "c.jpg", "in/d.png", "in/e.jpg"):
        photo(tmp_path / name)
    assert names(tmp_path, exclude=("*.{png,jpg}",)) == ["b.gif"]
    assert names(tmp_path, recursive=True, exclude=("in/**",)) == ["a.png", "b.gif", "c.jpg"]
    assert names(tmp_path, recursive=True, include=("in/*.{png,gif}",)) == ["d.png"]
    assert names(tmp_path, recursive=True, include=("**/[d-z].*",)) == ["d.png", "e.jpg"]


@pytest.mark.parametrize(
    "pattern", ["{a,b}" * 11, "{" * 99, "{a,b}" * 5000, "{" + "a," * 1001 + "}"]
)
def test_a_pattern_that_stands_for_too_many_is_refused(tmp_path, pattern):
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match="stands for too many others"):
        names(tmp_path, exclude=(pattern,))


def test_a_folder_that_cannot_be_read_stops_nothing(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").touch()
    walk = pictures(tmp_path, FileFilter(recursive=True))
    first = next(walk)
    # The walk knows all three folders already; one of the other two goes before it is entered.
    gone, left = sorted({"a", "b", "c"} - {first.stem})
    shutil.rmtree(tmp_path / gone)
    assert [path.stem for path in walk] == [left]


def test_what_is_not_a_folder_is_not_walked(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        list(pictures(tmp_path / "a.png", FileFilter()))
