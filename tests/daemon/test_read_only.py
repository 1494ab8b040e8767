"""A history, a home or a drive that is read-only, before the start or while antifake runs."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from kit.command_line import antifake, process
from kit.daemon import daemon_of, tiny_home_in
from kit.full_disk import small_disk
from kit.pace import within
from kit.pictures import png
from kit.running import place_of
from kit.waiting import eventually

from antifake.daemon.store import StoreError, checks, history, open_store
from antifake.daemon.store.checks import Finding

pytestmark = pytest.mark.attack
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root may write any file; without these rights the modes of files count for it, too."""
OPEN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import text
from antifake.daemon.store import StoreError, open_store
try:
    with open_store(Path(sys.argv[1]), datetime.now(UTC)) as store, store.writing() as session:
        session.execute(text("DELETE FROM checks"))
except StoreError as error:
    print(error)
"""
FINDING = Finding(source="cli", label="real", p_fake=0.1, sha256="0" * 64)


@contextmanager
def unchangeable(*files):
    """Makes files read-only for those, too, who have them open. Skips where that cannot be done."""
    if shutil.which("chattr") is None or os.geteuid() != 0:
        pytest.skip("only root may make an open file unchangeable")
    words = [str(file) for file in files]
    if subprocess.run(["chattr", "+i", *words], capture_output=True, check=False).returncode != 0:
        pytest.skip("no file can be made unchangeable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *words], check=True)


def started_with(path):
    with open_store(path, NOW) as store, store.writing() as session:
        checks.add(session, FINDING, NOW)


def count(store):
    with store.reading() as session:
        return history.count(session)


def test_a_history_on_a_read_only_drive_is_refused_and_can_be_opened_later(tmp_path):
    with small_disk(tmp_path / "disk", 4) as disk:
        path = disk.folder / "history.db"
        started_with(path)
        before = disk.files()
        with disk.read_only(), pytest.raises(StoreError, match="cannot be used") as refused:
            open_store(path, NOW)
        assert str(path) in str(refused.value)
        assert disk.files() == before
        with open_store(path, NOW) as store:
            assert count(store) == 1


def test_with_a_read_only_home_pictures_are_judged_and_the_rest_is_a_sentence(
    tiny_source, tmp_path, monkeypatch
):
    picture = tmp_path / "a.png"
    picture.write_bytes(png(1))
    with small_disk(tmp_path / "disk", 16) as disk:
        home = tiny_home_in(disk.folder / "home", tiny_source)
        where = place_of(home.root)
        where.make()
        started_with(where.database)
        monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
        before = disk.files()
        with disk.read_only():
            assert "real" in antifake("check", picture).output
            assert "cannot be used" in antifake("history", code=1).output
            for words in (("doctor",), ("config", "set", "history.keep_days", "9")):
                assert "Read-only file system" in antifake(*words, code=1).output
            done = subprocess.run(
                process("daemon", "run"),
                capture_output=True,
                text=True,
                check=False,
                timeout=within(60),
            )
            assert done.returncode != 0
            assert "Traceback" not in done.stderr
            assert "Read-only file system" in done.stderr
            assert disk.files() == before


@pytest.fixture(scope="module")
def home(tiny_source, tmp_path_factory):
    return tiny_home_in(tmp_path_factory.mktemp("home"), tiny_source)


def test_a_history_that_becomes_read_only_costs_no_verdict(home, tmp_path):
    with daemon_of(home, tmp_path) as daemon:
        daemon.wait_for_model()
        first = daemon.check(png(1)).json["id"]
        database = daemon.places.database
        with unchangeable(database, database.with_name(f"{database.name}-wal")):
            assert daemon.check(png(2)).json["label"]
            assert daemon.check(png(3)).json["label"]
            assert daemon.get(f"/checks/{first}").status == 200
            reply = daemon.send("PUT", f"/checks/{first}/label", {"label": "fake"})
            assert (reply.status, reply.code) == (503, "store")
            assert "cannot be used" in daemon.get("/state").json["notices"][0]
            assert daemon.get("/state").json["mode"] == "attention"
            health = daemon.get("/health")
            assert (health.status, health.json["ready"]) == (200, False)
            assert daemon.get("/checks").status == 200
        eventually(lambda: len(daemon.get("/checks").json["checks"]) == 3, 30)
        eventually(lambda: daemon.get("/state").json["mode"] != "attention", 30)
        assert daemon.get("/health").json["ready"]
        assert not list(database.parent.glob("*.damaged-*"))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="only Linux drops rights like this")
def test_a_history_with_mode_0444_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "history.db"
    started_with(path)
    path.chmod(0o444)
    done = subprocess.run(
        [
            *(WITHOUT_ROOTS_RIGHTS if os.geteuid() == 0 else ()),
            sys.executable,
            "-c",
            OPEN,
            str(path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "it, its folder or its drive is read-only" in done.stdout
    path.chmod(0o600)
    with open_store(path, NOW) as store:
        assert count(store) == 1
