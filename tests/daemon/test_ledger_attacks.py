"""Files that pose as others: a verdict belongs to bytes that were looked at, never to a stamp."""

import hashlib
import os
import shutil
import sys
import threading
from itertools import count
from pathlib import Path

import pytest
from kit.daemon import running_daemon
from kit.pictures import png
from kit.waiting import eventually
from sqlalchemy import event, text

from antifake.daemon.config import Folder
from antifake.daemon.store import existing, history, ledger
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.watcher.tree import trees_of
from antifake.daemon.watcher.walk import BATCH, reconcile

pytestmark = pytest.mark.attack
has_ctime = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows tells the time of creation instead"
)

SEEDS = count(500)


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("posing"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


@pytest.fixture
def picture(daemon, tmp_path) -> Path:
    """A picture that was judged."""
    path = tmp_path / "a.png"
    path.write_bytes(png(next(SEEDS)))
    assert daemon.intake.found(stamp(path))
    judged_as_it_is(daemon, path)
    return path


def stamp(path: Path) -> Stamp:
    return Stamp.of(str(path), path.lstat())


def other_bytes(path: Path) -> bytes:
    """Returns another picture of the same length."""
    data = png(next(SEEDS))
    size = path.stat().st_size
    while len(data) > size:
        data = png(next(SEEDS))
    return data + bytes(size - len(data))


def known(daemon, path: Path):
    with daemon.service.store.reading() as session:
        return ledger.known(session, str(path))


def judged_as_it_is(daemon, path: Path) -> None:
    """Waits until the ledger has the bytes that the file has now, and the time of now."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def look() -> bool:
        noted = known(daemon, path)
        return noted and noted.sha256 == sha256 and noted.check_id and noted.stamp == stamp(path)

    eventually(look)


def is_unknown(daemon, path: Path) -> bool:
    return bool(list(daemon.intake.unknown([stamp(path)])))


def n_checks(daemon) -> int:
    with daemon.service.store.reading() as session:
        return history.count(session)


def in_place(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)


def copied_over(path: Path, data: bytes) -> None:
    """As cp -p and rsync --inplace --times do it."""
    source = path.with_suffix(".source")
    source.write_bytes(data)
    shutil.copystat(path, source)
    in_place(path, data)
    shutil.copystat(source, path)


def written_and_dated_back(path: Path, data: bytes) -> None:
    info = path.stat()
    in_place(path, data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@has_ctime
@pytest.mark.parametrize("change", [copied_over, written_and_dated_back])
def test_a_change_in_place_is_seen_though_size_and_time_are_the_same(daemon, picture, change):
    before = stamp(picture)
    change(picture, other_bytes(picture))
    assert stamp(picture).is_alike(before), "the attack itself does not work"
    assert is_unknown(daemon, picture)
    assert daemon.intake.found(stamp(picture))
    judged_as_it_is(daemon, picture)


def test_a_new_file_with_the_inode_size_and_time_of_a_deleted_one_is_judged_itself(daemon, picture):
    deleted = known(daemon, picture)
    new = picture.with_name("new.png")
    written_and_dated_back(picture, other_bytes(picture))
    picture.rename(new)  # as if a new file got the inode, which no test can have the disk do
    assert stamp(new).identity == deleted.stamp.identity
    assert daemon.intake.found(stamp(new))
    judged_as_it_is(daemon, new)
    assert known(daemon, new).check_id != deleted.check_id


def test_a_second_name_for_a_changed_file_does_not_take_its_old_verdict(daemon, picture):
    old = known(daemon, picture)
    written_and_dated_back(picture, other_bytes(picture))
    second = picture.with_name("second.png")
    second.hardlink_to(picture)
    assert daemon.intake.found(stamp(second))
    judged_as_it_is(daemon, second)
    assert known(daemon, second).check_id != old.check_id


def test_a_link_in_the_place_of_a_moved_file_takes_no_verdict(daemon, picture, tmp_path):
    """The name is another file's when its bytes are compared, and the sink was told of this one."""
    moved = picture.with_name("moved.png")
    picture.rename(moved)
    told = stamp(moved)
    elsewhere = tmp_path / "elsewhere.png"
    moved.rename(elsewhere)
    moved.symlink_to(elsewhere)
    assert daemon.intake.found(told)
    eventually(lambda: not daemon.service.status.is_busy)
    assert known(daemon, moved) is None


@has_ctime
@pytest.mark.parametrize(
    "touch", [lambda path: path.chmod(0o600), lambda path: path.with_name("l").hardlink_to(path)]
)
def test_new_permissions_or_another_name_cost_no_judgement(daemon, picture, touch):
    before, n_before = known(daemon, picture), n_checks(daemon)
    touch(picture)
    assert is_unknown(daemon, picture)
    assert daemon.intake.found(stamp(picture))
    after = known(daemon, picture)  # written by the sink, without the queue
    assert (after.check_id, after.stamp) == (before.check_id, stamp(picture))
    assert not is_unknown(daemon, picture)
    assert n_checks(daemon) == n_before


def test_a_moved_picture_keeps_its_verdict_without_being_judged(daemon, picture):
    before, n_before = known(daemon, picture), n_checks(daemon)
    moved = picture.with_name("moved.png")
    picture.rename(moved)
    assert daemon.intake.found(stamp(moved))
    assert known(daemon, moved).check_id == before.check_id
    assert n_checks(daemon) == n_before


@has_ctime
def test_files_noted_by_an_older_version_are_believed_once_and_watched_from_then_on(
    daemon, picture
):
    with daemon.service.store.writing() as session:
        session.execute(text("UPDATE files SET ctime_ns = NULL"))
    assert not is_unknown(daemon, picture)
    assert known(daemon, picture).stamp.ctime_ns == picture.stat().st_ctime_ns
    written_and_dated_back(picture, other_bytes(picture))
    assert is_unknown(daemon, picture)


@has_ctime
def test_new_permissions_of_many_waiting_files_cost_one_transaction_for_each_part(daemon, tmp_path):
    """They are as many as there are parts of a walk, not as there are files."""
    n_files, writes = 1_500, []
    paths = [tmp_path / f"{n}.png" for n in range(n_files)]
    for path in paths:
        path.write_bytes(b"waits")
    with daemon.service.store.writing() as session:
        existing.enter(session, str(tmp_path), map(stamp, paths))
    for path in paths:
        path.chmod(0o600)
    (tree,) = trees_of([Folder(tmp_path)])
    engine = daemon.service.store.database.engine
    eventually(lambda: not daemon.service.status.is_busy)

    def begin(connection):
        if connection.get_execution_options().get("writes"):
            writes.append(threading.current_thread())

    event.listen(engine, "begin", begin)
    try:
        found = [
            path
            for some in reconcile(tree, str(tmp_path), daemon.intake, lambda: False)
            for path in some
        ]
    finally:
        event.remove(engine, "begin", begin)
    assert found == []
    assert writes.count(threading.current_thread()) == -(-n_files // BATCH)
    assert all(known(daemon, path).stamp == stamp(path) for path in paths[:: n_files // 10])


@has_ctime
def test_a_file_that_could_not_be_read_is_judged_once_it_can(daemon, tmp_path):
    """Only its permissions change: neither its size nor its time."""
    path = tmp_path / "shut.png"
    path.write_bytes(png(next(SEEDS)))
    with daemon.service.store.writing() as session:
        ledger.note(session, stamp(path))  # as after an answer "cannot be read"
    path.chmod(0o640)
    assert is_unknown(daemon, path)
    assert daemon.intake.found(stamp(path))
    judged_as_it_is(daemon, path)
