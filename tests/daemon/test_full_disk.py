"""A full disk: each place where antifake writes, on a small disk that really is full.

What is written is whole or not there, what was there stays, no temporary file is left over, the
person gets a sentence, and it works again once there is room.
"""

import json
import logging
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from conftest import tiny_prompt
from kit.command_line import antifake, process
from kit.daemon import daemon_of, tiny_home_in
from kit.full_disk import small_disk
from kit.pictures import png
from kit.running import place_of
from kit.waiting import eventually

from antifake.core.errors import AntifakeError
from antifake.core.files import write_atomically
from antifake.core.prepare import Source, prepare
from antifake.daemon import instance, logs
from antifake.daemon.config import put
from antifake.daemon.store import StorageFullError, checks, exchange, history, open_store
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.store.files import Backups
from antifake.daemon.worker import worker
from antifake.trainer.features import FeatureCache

pytestmark = pytest.mark.attack
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FULL = "The disk is full. Free some room, then try again."


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", 1) as disk:
        yield disk


# --- Files ------------------------------------------------------------------------------------


def any_file(folder, n):
    write_atomically(folder / "sub" / "any", str(n).encode() * 50_000)


def settings(folder, n):
    put(folder / "config.toml", "history.keep_days", n)


def prompt(folder, n):
    tiny_prompt(n, words=64).save(folder / "prompt.safetensors")


def running(folder, n):
    where = place_of(folder)
    where.make()
    instance.announce(where, n, "1.0", NOW)


def crop(folder, n):
    CropFiles(folder / "crops").write("a" * 64, str(n).encode() * 50_000)


@pytest.mark.parametrize("write", [any_file, settings, prompt, running, crop])
def test_a_file_is_replaced_as_a_whole_or_stays_as_it_was(disk, write):
    write(disk.folder, 1)
    before = disk.files()
    with disk.full(), pytest.raises((OSError, AntifakeError)) as refused:
        write(disk.folder, 2)
    assert "No space left" in str(refused.value)
    assert disk.files() == before
    write(disk.folder, 3)
    assert disk.files().keys() == before.keys()
    assert disk.files() != before


def test_features_that_find_no_room_are_computed_again(disk):
    cache = FeatureCache(disk.folder / "features")
    with disk.full():
        cache.put("ab12", torch.ones(100, 100))
        assert cache.get("ab12") is None
        assert disk.files() == {}
    cache.put("ab12", torch.ones(100, 100))
    assert cache.get("ab12") is not None


@pytest.mark.parametrize("room", [0, 100_000])
def test_a_bundle_that_finds_no_room_leaves_nothing(disk, tiny_source, room):
    dest = disk.folder / "models" / "tiny"
    with disk.full(but_bytes=room):
        with pytest.raises((OSError, AntifakeError)) as refused:
            prepare(SimpleSource(tiny_source), dest, dtype="fp32")
        assert re.search("No space left|are free", str(refused.value))
        assert disk.files() == {}
    assert list(dest.parent.iterdir()) == []
    assert prepare(SimpleSource(tiny_source), dest, dtype="fp32").folder == dest


class SimpleSource(Source):
    """One that says it is small, as if another program took the room meanwhile."""

    @property
    def bytes(self):
        return 1


def test_the_log_goes_on_once_there_is_room(disk, capfd):
    where = place_of(disk.folder)
    where.make()
    undo = logs.set_up(where, "info")
    said, sentence = logging.getLogger("antifake.test"), "x" * 4000
    try:
        said.info("before")
        with disk.full():
            for _ in range(10):
                said.info(sentence)
        said.info("after")
    finally:
        undo()
    assert "Traceback" not in capfd.readouterr().err
    lines = where.log.read_text().splitlines()
    assert lines[0].endswith("before")
    assert lines[-1].endswith("after")


# --- The history ------------------------------------------------------------------------------


def finding(n):
    return Finding(source="cli", label="real", p_fake=0.1, sha256=f"{n:064x}", path="x" * 3000)


def add(store, n):
    with store.writing() as session:
        for one in range(100):
            checks.add(session, finding(100 * n + one), NOW)


def count(store):
    with store.reading() as session:
        return history.count(session)


def test_the_history_keeps_what_it_has_and_takes_more_once_there_is_room(tmp_path):
    with small_disk(tmp_path / "disk", 4) as disk:
        with open_store(disk.folder / "history.db", NOW) as store:
            add(store, 0)
            with disk.full(), pytest.raises(StorageFullError, match="Nothing older is lost"):
                add(store, 1)
            assert count(store) == 100
            add(store, 1)
        with open_store(disk.folder / "history.db", NOW) as store:
            assert count(store) == 200


def test_an_import_keeps_what_was_written_before_the_disk_was_full(tmp_path):
    with small_disk(tmp_path / "disk", 4) as disk:
        rows = [
            json.dumps({"sha256": f"{n:064x}", "label": "real", "p_fake": 0.1, "path": "x" * 2000})
            for n in range(3000)
        ]
        with open_store(disk.folder / "history.db", NOW) as store:
            with pytest.raises(StorageFullError):
                exchange.import_rows(store, rows, "jsonl", NOW)
            kept = count(store)
            assert 0 < kept < 3000
            assert exchange.import_rows(store, rows[:kept], "jsonl", NOW).known == kept


@pytest.mark.parametrize("room", [0, 4096, 200_000])
def test_a_new_history_that_finds_no_room_can_be_opened_later(tmp_path, room):
    with small_disk(tmp_path / "disk", 4) as disk:
        with disk.full(but_bytes=room), pytest.raises((OSError, AntifakeError)):
            open_store(disk.folder / "history.db", NOW)
        with open_store(disk.folder / "history.db", NOW) as store:
            assert count(store) == 0


def test_a_backup_is_whole_or_not_there(disk, tmp_path):
    with open_store(tmp_path / "history.db", NOW) as store:
        add(store, 0)
    backups = Backups(tmp_path / "history.db", 7)
    (tmp_path / "backups").symlink_to(disk.folder)
    with disk.full():
        with pytest.raises(AntifakeError):
            backups.make(NOW)
        assert disk.files() == {}
    assert backups.make(NOW) in backups.all()


# --- The daemon -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tiny_source, tmp_path_factory):
    return tiny_home_in(tmp_path_factory.mktemp("home"), tiny_source)


def test_the_daemon_says_that_the_disk_is_full_and_goes_on(home, tmp_path):
    with (
        small_disk(tmp_path / "disk", 12) as disk,
        daemon_of(home, disk.folder) as daemon,
    ):
        daemon.wait_for_model()
        config = daemon.places.config.read_bytes()
        about = {"Content_Type": "application/x-ndjson"}
        rows = [
            json.dumps({"sha256": f"{n:064x}", "label": "real", "p_fake": 0.1, "page": "x" * 9000})
            for n in range(300)
        ]
        large, small = "\n".join(rows), "\n".join(rows[:20])
        temporary = set(daemon.places.state.iterdir())
        with disk.full():
            for body in (large, large, small):  # the last one is in memory, but not its rows
                reply = daemon.ask("POST", "/history/import?form=jsonl", body, **about)
                assert (reply.status, reply.code) == (507, "storage_full")
                assert daemon.get("/health").status == 200
            reply = daemon.send("PATCH", "/settings", {"history.keep_days": 3})
            assert (reply.status, reply.code) == (507, "storage_full")
            assert daemon.check(png(1)).status == 201
            assert daemon.check(png(2), prefer="wait=20", path="/x.png").json["label"]
            assert daemon.get("/history/export?form=jsonl").status == 200
            assert set(daemon.places.state.iterdir()) == temporary
            assert list(daemon.places.spool.iterdir()) == []
            assert daemon.places.config.read_bytes() == config
        reply = daemon.ask("POST", "/history/import?form=jsonl", large, **about)
        assert reply.json["added"] + reply.json["known"] == 300
        assert daemon.send("PATCH", "/settings", {"history.keep_days": 3}).status == 200


def test_a_monitor_learns_that_the_disk_is_full_before_a_picture_comes(home, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "HOLD_S", 0.2)

    def is_ready():
        reply = daemon.get("/health")
        assert reply.status == 200
        return reply.json["ready"]

    with (
        small_disk(tmp_path / "disk", 12) as disk,
        daemon_of(home, disk.folder) as daemon,
    ):
        daemon.wait_for_model()
        daemon.upkeep.look_after()
        assert is_ready()
        with disk.full():
            daemon.upkeep.look_after()
            eventually(lambda: not is_ready())
            assert "No space left" in daemon.get("/state").json["notices"][0]
            assert daemon.check(png(3)).json["label"]
            assert not is_ready()
        eventually(is_ready, 30)


# --- Commands ---------------------------------------------------------------------------------


@pytest.fixture
def at_home(home, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
    with open_store(place_of(home.root).database, NOW) as store:
        if not count(store):
            add(store, 0)
        with store.reading() as session:
            return history.page(session).entries[0].check.id


COMMANDS = [
    ("history", "export", "{disk}/history.jsonl"),
    ("history", "export", "{disk}/history.csv"),
    ("report", "{check}", "-o", "{disk}/report.html"),
    ("report", "{check}", "-o", "{disk}/report.pdf"),
    ("learning", "export", "{disk}/pack"),
    ("prompt", "export", "first", "{disk}/first.safetensors"),
    ("scan", "{pictures}", "-o", "{disk}/scan.jsonl"),
    ("scan", "{pictures}", "-o", "{disk}/scan.csv"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_finds_no_room_says_so_and_leaves_nothing(disk, at_home, tmp_path, command):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png(1))
    names = {"disk": disk.folder, "check": at_home, "pictures": tmp_path / "pictures"}
    words = [word.format(**names) for word in command]
    with disk.full():
        done = antifake(*words, code=1)
        assert FULL in done.output
        assert not any(disk.files().values())
    antifake(*words, *(["--resume"] if "scan" in words and disk.files() else []))
    assert any(disk.files().values())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [("history", "--json"), ("history", "export", "-")])
@pytest.mark.usefixtures("at_home")
def test_output_that_finds_no_room_is_a_sentence(home, words):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            process(*words),
            env=os.environ | {"ANTIFAKE_HOME": str(home.root)},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.stderr.decode().strip() == FULL
    assert done.returncode == 1
