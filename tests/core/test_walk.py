"""Which files a scan takes."""

import os
import shutil
import subprocess

import pytest

from antifake.core.errors import UsageError
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
