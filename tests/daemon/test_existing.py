"""What lay in a folder before it was watched: it is counted, and checked only on request."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from kit.axe import axe
from kit.daemon import Asked, daemon_of, running_daemon, tiny_home_in
from kit.pace import within
from kit.page_desk import desk_at, shoot
from kit.pages import World
from kit.pictures import png
from kit.running import place_of
from kit.waiting import eventually
from playwright.sync_api import expect

from antifake.daemon.config import Config, Folder
from antifake.daemon.config.settings import Watch
from antifake.daemon.service import ExistingFiles, Intake
from antifake.daemon.service.existing import AHEAD
from antifake.daemon.store import existing, ledger, open_store
from antifake.daemon.store.jobs import Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.store.opening import OURS, Migrations

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND_NS = 10**9
SEEDS = count(6_000_000)


def add_pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"\x89PNG of some kind")


def stamp(path: Path) -> Stamp:
    return Stamp.of(str(path), path.lstat())


class Older:
    """The files of folders, over a real history. The test is the queue and the clock."""

    def __init__(self, store, *folders: Folder) -> None:
        self.store, self.queued, self.has_room = store, [], True
        self.files = ExistingFiles(store, self.now, self.take, lambda: None, lambda: None)
        self.config = Config(watch=Watch(folders=folders))
        self.files.open(self.config)

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)

    def take(self, found: Stamp, priority: Priority) -> bool:
        assert priority == Priority.BATCH
        if self.has_room:
            self.queued.append(Path(found.path).name)
        return self.has_room

    def judge(self, folder: Path, *names: str) -> None:
        """Notes files as judged, as the worker does."""
        with self.store.writing() as session:
            for name in names:
                ledger.note(session, stamp(folder / name))

    def unknown(self, folder: Path) -> set[str]:
        """The names of those files that the watcher would hand over."""
        intake = Intake(self.store, lambda _: True, lambda: NOW, lambda: True)
        stamps = map(stamp, folder.iterdir())
        return {Path(one.path).name for one in intake.unknown(stamps)}

    def progress(self, folder: Path):
        return self.files.progress()[str(folder)]


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "log" / "app.db", datetime.now(UTC)) as made:
        yield made


# --- The rules, step by step ------------------------------------------------------------------


def test_what_is_there_is_counted_and_not_handed_over_but_later_files_are(store, root):
    add_pictures(root, "a.png", "b.JPG")
    (root / "below").mkdir()
    add_pictures(root / "below", "c.webp")
    for name in ("notes.txt", "film.mp4", ".hidden.png", ".DS_Store"):
        add_pictures(root, name)
    (root / "empty.png").touch()
    older = Older(store, Folder(root))
    assert older.files.ready(older.config.watch).folders == ()
    older.files.step(0)
    assert older.files.ready(older.config.watch) == older.config.watch
    found = older.progress(root)
    assert (found.state, found.total, found.done, found.others) == ("counted", 3, 0, 2)
    assert found.summary == "3 pictures were there already."
    assert "2 other files were passed over" in found.passed_over
    assert older.unknown(root / "below") == set()
    add_pictures(root, "new.png")
    (root / "a.png").write_bytes(b"another picture")
    assert older.unknown(root) >= {"new.png", "a.png"}
    assert "b.JPG" not in older.unknown(root)


def test_a_file_that_comes_while_the_count_is_under_way_is_new(store, root):
    add_pictures(root, "old.png")
    older = Older(store, Folder(root))
    # Moved and unpacked files keep their old time of change.
    eventually(lambda: _is_later(root / "new.png", "old.png"))
    os.utime(root / "new.png", ns=(SECOND_NS, SECOND_NS))
    older.files.step(0)
    assert older.unknown(root) == {"new.png"}


def _is_later(path: Path, other: str) -> bool:
    """Makes a file. The clock of the file system moves in steps of some milliseconds."""
    path.unlink(missing_ok=True)
    add_pictures(path.parent, path.name)
    now = datetime.now(UTC).timestamp() * SECOND_NS
    return now - (path.parent / other).stat().st_ctime_ns > SECOND_NS / 20


def test_they_are_queued_a_few_at_a_time_and_the_time_left_follows_from_the_rate(store, root):
    names = [f"{n:03}.png" for n in range(3 * AHEAD)]
    add_pictures(root, *names)
    older = Older(store)
    older.files.expect(Folder(root), "check")
    older.config = Config(watch=Watch(folders=(Folder(root),)))
    older.files.open(older.config)
    older.files.step(0.0)
    assert older.queued[:AHEAD] == names[:AHEAD]
    assert older.progress(root).left_s is None
    older.judge(root, *names[:AHEAD])
    older.files.step(60.0)
    found = older.progress(root)
    assert (found.state, found.done, found.total) == ("checking", AHEAD, 3 * AHEAD)
    assert found.left_s == pytest.approx(120)
    assert found.summary.endswith(f"{AHEAD} of {3 * AHEAD}, about 2 minutes left.")
    older.judge(root, *names)
    older.files.step(70.0)
    assert (older.progress(root).state, older.progress(root).left_s) == ("done", None)
    assert older.queued == names[: 2 * AHEAD]


def test_a_pause_lasts_over_a_restart(store, root):
    add_pictures(root, *(f"{n:03}.png" for n in range(AHEAD + 4)))
    older = Older(store, Folder(root))
    older.files.step(0)
    older.files.act(str(root), "check")
    older.files.step(1)
    older.files.act(str(root), "pause")
    older.judge(root, "000.png")
    queued = len(older.queued)
    older.files.step(2)
    assert len(older.queued) == queued
    again = Older(store, Folder(root))
    again.files.step(0)
    assert (again.queued, again.progress(root).state) == ([], "paused")
    again.files.act(str(root), "check")
    again.files.step(1)
    assert "000.png" not in again.queued
    assert "001.png" in again.queued


def test_left_out_files_stay_left_out_after_a_restart(store, root):
    add_pictures(root, "a.png")
    older = Older(store, Folder(root))
    older.files.step(0)
    older.files.act(str(root), "leave")
    again = Older(store, Folder(root))
    again.files.step(0)
    assert (again.queued, again.unknown(root)) == ([], set())
    assert again.progress(root).summary == "1 picture was there already and is left out."


def test_a_full_queue_is_tried_again(store, root):
    add_pictures(root, "a.png")
    older = Older(store, Folder(root))
    older.files.step(0)
    older.files.act(str(root), "check")
    older.has_room = False
    older.files.step(1)
    older.has_room = True
    older.files.step(2)
    assert older.queued == ["a.png"]


def test_a_file_that_is_gone_or_changed_does_not_hold_the_others_up(store, root):
    add_pictures(root, "changed.png", "gone.png", "there.png")
    older = Older(store, Folder(root))
    older.files.step(0)
    older.files.act(str(root), "check")
    (root / "changed.png").write_bytes(b"another picture")
    (root / "gone.png").unlink()
    older.files.step(1)
    assert older.queued == ["there.png"]
    assert older.unknown(root) == {"changed.png"}
    older.judge(root, "there.png")
    older.files.step(2)
    assert older.progress(root).state == "done"


def test_a_drive_that_was_pulled_out_keeps_its_count(store, root):
    add_pictures(root, "a.png")
    older = Older(store, Folder(root))
    older.files.step(0)
    older.files.act(str(root), "check")
    root.rename(root.with_name("away"))
    root.mkdir()  # an empty mount point
    older.files.step(1)
    assert (older.queued, older.progress(root).state) == ([], "checking")
    root.rmdir()
    root.with_name("away").rename(root)
    older.files.step(2)
    assert older.queued == ["a.png"]


def test_a_folder_that_is_not_there_yet_is_counted_when_it_comes(store, root):
    add_pictures(root, "a.png")
    root.rename(root.with_name("away"))
    older = Older(store, Folder(root))
    assert older.files.step(0) == 1.0
    assert older.progress(root).state == "counting"
    root.with_name("away").rename(root)
    older.files.step(1)
    assert older.progress(root).total == 1


def test_what_another_folder_watches_is_its_own(store, root):
    (root / "in").mkdir()
    older = Older(store, Folder(root / "in"))
    older.files.step(0)
    add_pictures(root / "in", "missed.png")
    add_pictures(root, "old.png")
    older.files.apply(Config(watch=Watch(folders=(Folder(root / "in"), Folder(root)))))
    older.files.step(1)
    assert older.progress(root).total == 1
    assert older.unknown(root / "in") == {"missed.png"}


def test_a_folder_that_is_removed_and_added_again_is_counted_again(store, root):
    add_pictures(root, "old.png", "judged.png")
    older = Older(store, Folder(root))
    older.files.step(0)
    older.judge(root, "judged.png")
    older.files.apply(Config())
    assert older.files.progress() == {}
    add_pictures(root, "meanwhile.png")
    older.files.apply(older.config)
    older.files.step(1)
    assert older.progress(root).total == 2
    assert older.unknown(root) == set()


def test_a_waiting_file_that_is_moved_out_of_its_folder_is_new_there(store, tmp_path, root):
    add_pictures(root, "a.png", "b.png")
    older = Older(store, Folder(root))
    older.files.step(0)
    taken = []
    intake = Intake(store, lambda found: not taken.append(found.path), lambda: NOW, lambda: True)
    (root / "a.png").rename(root / "renamed.png")
    assert intake.found(stamp(root / "renamed.png"))
    assert taken == []
    (root / "b.png").rename(tmp_path / "b.png")
    assert intake.found(stamp(tmp_path / "b.png"))
    assert taken == [str(tmp_path / "b.png")]


def test_folders_from_before_this_version_lose_nothing_that_came_meanwhile(tmp_path, root):
    add_pictures(root, "known.png", "missed.png")
    now, path = datetime.now(UTC), tmp_path / "log" / "app.db"
    with open_store(path, now, migrations=Migrations(OURS.folder, "0003")) as store:
        one = stamp(root / "known.png")
        row = {"path": one.path, "size": one.size, "mtime": one.mtime_ns, "identity": one.identity}
        with store.writing() as session:
            session.connection().exec_driver_sql(
                "INSERT INTO files (path, size, mtime_ns, identity) "
                "VALUES (:path, :size, :mtime, :identity)",
                row,
            )
    with open_store(path, now + timedelta(days=1)) as store:
        older = Older(store, Folder(root))
        assert older.files.ready(older.config.watch) == older.config.watch
        assert older.unknown(root) == {"missed.png"}
        with store.reading() as session:
            assert [one.folder for one in existing.everything(session)] == [str(root)]


# --- A whole daemon -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory) -> Iterator[Asked]:
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as made:
        made.wait_for_model()
        yield made


@pytest.fixture
def full(daemon, tmp_path) -> Iterator[Path]:
    """A folder with three pictures and a text, which is not watched yet, and not afterwards."""
    folder = tmp_path / "Downloads"
    folder.mkdir()
    for n in range(3):
        (folder / f"old{n}.png").write_bytes(png(next(SEEDS)))
    (folder / "notes.txt").write_text("no picture")
    yield folder
    if any(one.path == folder for one in daemon.service.config.watch.folders):
        daemon.service.settings.unwatch(folder)


def before(daemon: Asked, folder: Path) -> dict:
    folders = daemon.get("/watches").json["folders"]
    return next(one["existing"] for one in folders if one["path"] == str(folder))


def checked(daemon: Asked, folder: Path) -> set[str]:
    found = daemon.get(f"/checks?folder={folder}&limit=500").json["checks"]
    return {Path(one["path"]).name for one in found}


def test_only_new_files_are_checked_until_the_user_asks_for_the_others(daemon, full):
    assert daemon.post("/watches", {"path": str(full)}).status == 201
    eventually(lambda: before(daemon, full)["state"] == "counted")
    assert (before(daemon, full)["total"], before(daemon, full)["others"]) == (3, 1)
    (full / "new.png").write_bytes(png(7_000_001))
    eventually(lambda: checked(daemon, full) == {"new.png"}, 30)
    daemon.post("/watches:rescan")
    (full / "newer.png").write_bytes(png(7_000_002))
    eventually(lambda: checked(daemon, full) == {"new.png", "newer.png"}, 30)
    asked = {"path": str(full), "action": "check"}
    assert daemon.post("/watches:existing", asked).status == 204
    eventually(lambda: before(daemon, full)["state"] == "done", 30)
    assert len(checked(daemon, full)) == 5
    assert before(daemon, full)["done"] == 3


def test_the_api_can_check_or_leave_them_from_the_start(daemon, full):
    assert daemon.post("/watches", {"path": str(full), "existing": "leave"}).status == 201
    eventually(lambda: before(daemon, full)["state"] == "left")
    daemon.service.settings.unwatch(full)
    assert daemon.post("/watches", {"path": str(full), "existing": "check"}).status == 201
    eventually(lambda: before(daemon, full)["state"] == "done", 30)
    assert len(checked(daemon, full)) == 3
    for body in ({"path": "/nowhere", "action": "check"}, {"path": str(full), "action": "x"}):
        assert daemon.post("/watches:existing", body).status in (404, 422)


def test_they_are_not_checked_after_a_restart_either(tiny_source, tmp_path):
    home, folder = tiny_home_in(tmp_path / "home", tiny_source), tmp_path / "Downloads"
    folder.mkdir()
    (folder / "old.png").write_bytes(png(1))
    settings = f"[[watch.folders]]\npath = {json.dumps(str(folder))}\n"
    with daemon_of(home, tmp_path, settings) as daemon:
        eventually(lambda: before(daemon, folder)["state"] == "counted")
    (folder / "missed.png").write_bytes(png(2))
    with daemon_of(home, tmp_path, settings) as daemon:
        eventually(lambda: checked(daemon, folder) == {"missed.png"}, 60)
        daemon.post("/watches:rescan")
        (folder / "new.png").write_bytes(png(3))
        eventually(lambda: checked(daemon, folder) == {"missed.png", "new.png"}, 60)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "There is no folder"),
        ("old0.png", "is a file, not a folder"),
        ("../../relative", "is not the whole path of a folder"),
    ],
)
def test_every_door_refuses_what_is_no_folder_in_the_same_words(daemon, full, name, sentence):
    path = name if name.startswith(".") else str(full / name)
    by_api = daemon.post("/watches", {"path": path})
    assert by_api.status == 422
    assert sentence in by_api.json["detail"]
    by_settings = daemon.send("PATCH", "/settings", {"watch.folders": [{"path": path}]})
    assert by_settings.status == 422
    assert "whole path of a folder" in (said := by_settings.json["detail"]) or sentence in said
    assert all(one.path != Path(path) for one in daemon.service.config.watch.folders)


def test_the_page_asks_and_shows_how_far_it_is(daemon, full, chromium):
    url = f"http://127.0.0.1:{daemon.port}"
    world = World(daemon.service.store, daemon.service, daemon.access, [], None, None)
    with desk_at(world, url, chromium) as desk:
        page = desk.open("/folders")
        page.get_by_label("Its whole path").fill(str(full / "none"))
        page.get_by_role("button", name="Watch it").click()
        expect(page.get_by_role("alert")).to_contain_text("There is no folder")
        page.get_by_label("Its whole path").fill(str(full))
        page.get_by_role("button", name="Watch it").click()
        # The paths that are shown lose their middle where they are long.
        remove = page.locator(f"[data-body*='{full.parent.name}']")
        card = page.locator("#folders li", has=remove)
        expect(card).to_contain_text("3 pictures were there already. Check them, too?")
        expect(card).to_contain_text("1 other file was passed over")
        assert axe(page) == []
        shoot(page, "folders-existing")
        daemon.wait_for_model()
        with daemon.model_paused():
            card.get_by_role("button", name="Yes, check them").click()
            expect(card).to_contain_text("Checking the pictures that were there already: 0 of 3")
            expect(card.get_by_role("progressbar")).to_be_visible()
            card.get_by_role("button", name="Pause").click()
            expect(card).to_contain_text("Paused at 0 of the 3 pictures")
            assert axe(page) == []
            shoot(page, "folders-paused")
            card.get_by_role("button", name="Go on").click()
        eventually(lambda: before(daemon, full)["state"] == "done", 30)
        expect(card.get_by_role("progressbar")).to_have_count(0)


# --- The command line ---------------------------------------------------------------------------


def add(root: Path, *words: str, answer: str | None = None) -> str:
    """Runs `antifake watch add` without a daemon. `answer`: what the user types on a terminal."""
    command = [sys.executable, "-m", "antifake.daemon", "watch", "add", *words]
    near, far = pty.openpty()
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if answer is None else far,
            stderr=subprocess.PIPE,
            env=os.environ | {"ANTIFAKE_HOME": str(root)},
            text=True,
        ) as process:
            if answer is not None:
                os.write(near, f"{answer}\n".encode())
            said = process.stderr.read()
            assert process.wait(within(120)) == 0, said
    finally:
        os.close(near)
        os.close(far)
    return said


def state_in(root: Path, folder: Path) -> str:
    with (
        open_store(place_of(root).database, datetime.now(UTC)) as store,
        store.reading() as session,
    ):
        (found,) = existing.everything(session)
    assert found.folder == str(folder)
    return found.state


@pytest.mark.parametrize(
    ("how", "state", "said"),
    [
        (("--check-existing", None), "checking", "will be checked, as soon as the daemon runs"),
        (
            ("--no-check-existing", None),
            "left",
            "will not be checked. To check them, too: antifake",
        ),
        ((None, None), "counted", "will not be checked. To check them, too: antifake"),
        ((None, "y"), "checking", "Check the 2 pictures that are there already, too? [y/N]"),
        ((None, "n"), "left", "Check the 2 pictures that are there already, too? [y/N]"),
    ],
)
def test_the_command_asks_on_a_terminal_and_takes_an_option(tmp_path, root, how, state, said):
    option, answer = how
    add_pictures(root, "a.png", "b.png", "notes.txt")
    words = [str(root), *([option] if option else [])]
    told = add(tmp_path / "home", *words, answer=answer)
    assert said in told
    assert "1 other file was passed over: its name is not that of a picture." in told
    assert state_in(tmp_path / "home", root) == state
