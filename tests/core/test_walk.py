"""Which files a scan takes."""

import os
import subprocess

import pytest

from antifake.core.errors import UsageError
from antifake.core.walk import FileFilter, done_before, path_digest, pictures


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
    (tmp_path / "a.png").touch()
    assert [path.name for path in pictures(tmp_path, FileFilter())] == ["a.png"]
    with pytest.raises(UsageError, match="is not a folder"):
        list(pictures(tmp_path / "a.png", FileFilter()))


def test_a_list_of_what_is_done_remembers_any_name(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text('{"path": "a\\udcff.png"}\n{"path": "b.png"}\n{"pa')
    assert done_before(out) == {path_digest("a\udcff.png"), path_digest("b.png")}
    assert out.read_text().count("\n") == 2
    assert not out.read_text().endswith("pa")
