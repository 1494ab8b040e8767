"""Who else could change our files: every folder and link that leads to them is judged."""

import os
import stat
import sys
from pathlib import Path

import pytest
from kit.other_user import ANOTHER, folder_for_all, give_away

from antifake.core.private_files import (
    NotPrivateError,
    keeps_no_rights,
    make_private,
    objection_to,
    objection_to_file,
    secure,
)

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions"),
]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "ours"
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text("")
    (folder / "config.toml").chmod(0o600)
    return folder / "config.toml"


def test_a_file_of_ours_is_fine(file):
    assert objection_to(file) is None
    file.chmod(0o644)
    assert objection_to(file) is None


def test_a_file_of_another_user_is_not_used(file, monkeypatch):
    give_away(file, monkeypatch)
    assert "belongs to another user of this computer" in objection_to_file(file).sentence


@pytest.mark.parametrize("open_to", [0o602, 0o666])
def test_a_file_that_others_can_write_is_not_used(file, open_to):
    file.chmod(open_to)
    objection = objection_to(file)
    assert objection.sentence.startswith(f"Others on this computer can change {file}")
    assert f"chmod go-w {file}" in objection.fix


def test_the_own_group_of_a_user_is_nobody_else(file, monkeypatch):
    import grp
    import pwd

    file.chmod(0o664)
    us = pwd.getpwuid(os.geteuid()).pw_name

    def group(*members, name=us):
        monkeypatch.setattr(
            grp, "getgrgid", lambda gid: grp.struct_group((name, "x", gid, list(members)))
        )

    group()
    assert objection_to_file(file) is None
    group(us)
    assert objection_to_file(file) is None
    group("another", us)
    assert objection_to_file(file) is not None
    group(name="users")
    assert objection_to_file(file) is not None


def test_a_folder_above_that_others_can_write_is_refused_unless_it_is_sticky(file):
    file.parent.chmod(0o777)
    assert f"{file.parent} and replace what is in it" in objection_to(file).sentence
    file.parent.chmod(0o1777)
    assert objection_to(file) is None


def test_a_folder_above_of_another_user_is_refused(file, monkeypatch):
    give_away(file.parent, monkeypatch)
    found = objection_to(file)
    assert "belongs to another user of this computer" in found.sentence
    assert "ANTIFAKE_HOME" in found.fix


@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_link_is_followed_and_all_that_leads_to_its_end_is_judged(file, tmp_path, is_absolute):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "middle").symlink_to(file.parent)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "open" / "middle" if is_absolute else Path("open/../open/middle"))
    assert objection_to(link / "config.toml") is None
    (tmp_path / "open").chmod(0o777)
    assert str(tmp_path / "open") in objection_to(link / "config.toml").sentence


def test_links_in_a_circle_and_what_is_missing_come_to_an_end(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert objection_to(tmp_path / "a" / "config.toml") is None
    assert objection_to(tmp_path / "none" / "config.toml") is None


def test_our_own_folders_are_closed_in_silence(tmp_path):
    folder = tmp_path / "home"
    for before, after in ((0o777, 0o700), (0o775, 0o700), (0o755, 0o700), (0o500, 0o500)):
        make_private(folder)
        folder.chmod(before)
        secure(tmp_path, [folder, tmp_path / "none"])
        assert mode(folder) == after


def test_a_folder_of_another_user_stays_as_it_is_and_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o777)
    give_away(folder, monkeypatch)
    with pytest.raises(NotPrivateError, match="belongs to another user"):
        secure(folder, [])
    assert mode(folder) == 0o777


def test_folders_are_made_for_us_alone_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        make_private(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    for folder in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"):
        assert mode(folder) == 0o700
    make_private(tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists"):
        make_private(tmp_path / "file")


def test_a_drive_without_rights_is_told_by_what_a_new_file_gets(file, monkeypatch):
    assert not keeps_no_rights(file)
    file.parent.chmod(0o777)
    assert not keeps_no_rights(file.parent)
    # As vfat does it. Mounting one needs root and a loop device.
    real = os.fstat
    monkeypatch.setattr(
        os, "fstat", lambda fd: os.stat_result((real(fd).st_mode | 0o777, *real(fd)[1:]))
    )
    file.chmod(0o777)
    assert objection_to(file) is None


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user"
)
def test_another_user_cannot_swap_a_file_in_a_folder_that_was_open():
    import subprocess

    def swap(folder):
        return subprocess.run(
            ["/bin/mv", "-f", folder / "evil", folder / "config.toml"],
            user=ANOTHER,
            group=ANOTHER,
            extra_groups=[],
            capture_output=True,
            check=False,
        ).returncode

    with folder_for_all() as top:
        folder = top / "home"
        folder.mkdir()
        folder.chmod(0o777)
        for name in ("config.toml", "evil"):
            (folder / name).write_text(name)
        (folder / "evil").chmod(0o666)
        assert swap(folder) == 0, "as long as it is open, the attack works"
        (folder / "evil").write_text("again")
        secure(folder, [])
        assert swap(folder) != 0
        assert (folder / "config.toml").read_text() == "evil"
