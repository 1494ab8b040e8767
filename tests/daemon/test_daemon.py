"""The whole daemon: its process, the embedded model, real folders, HTTP, kills and damage."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kit.daemon import mini_home_in
from kit.pace import within
from kit.pictures import picture, png, saved
from kit.processes import children, resident
from kit.running import post, running
from kit.shared import shared_data
from kit.waiting import eventually

from antifake.core.samples import photographs
from antifake.daemon.client import DaemonError
from antifake.daemon.config import Folder, add_folder, put

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")

REFUSE_OTHERS = """
import sys
def look(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] != "127.0.0.1":
        open({told!r}, "a").write(f"{{args[1]}}\\n")
        raise OSError("this test has no network")
    # waitress "resolves" 0.0.0.0 even where it is given its socket; that asks nobody.
    if event == "socket.getaddrinfo" and args[0] not in (None, "127.0.0.1", "0.0.0.0"):
        open({told!r}, "a").write(f"{{args[0]}}\\n")
        raise OSError("this test has no network")
sys.addaudithook(look)
"""


@pytest.fixture
def home(mini_home, tmp_path) -> Path:
    """A fresh user's folder with the embedded model."""
    return mini_home_in(tmp_path / "home", mini_home).root


@pytest.fixture
def folder(home, tmp_path) -> Path:
    """A watched folder."""
    path = tmp_path / "Downloads"
    path.mkdir()
    add_folder(home / "config.toml", Folder(path=path))
    return path


def history(asked):
    return asked.get("/checks", limit="500")["checks"]


def rows(root: Path):
    """Returns rows of the database, read without the daemon."""
    connection = sqlite3.connect(root / "history.db")
    try:
        return connection.execute("SELECT path, label, error, code FROM checks").fetchall()
    finally:
        connection.close()


def test_a_file_saved_into_a_watched_folder_has_its_verdict_within_five_seconds(home, folder):
    with running(home) as daemon:
        asked = daemon.ready()
        eventually(lambda: asked.get("/state")["model"]["phase"] == "ready", 60)
        data = photographs()[0].read_bytes()
        (folder / "part.crdownload").write_bytes(data[: len(data) // 2])
        (folder / "part.crdownload").write_bytes(data)
        (folder / "part.crdownload").rename(folder / "china.jpg")
        [check] = eventually(lambda: history(asked), 5)
        assert check["path"] == str((folder / "china.jpg").resolve())
        assert (check["source"], check["label"]) == ("watch", "real")
        assert "likely real" in check["word"]
        again = post(asked, data, source="cli")
        assert again["id"] == check["id"]


def test_no_byte_leaves_the_computer(home, folder, tmp_path):
    told = tmp_path / "told.txt"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(REFUSE_OTHERS.format(told=str(told)))
    with running(home, PYTHONPATH=str(tmp_path / "site")) as daemon:
        asked = daemon.ready()
        (folder / "a.png").write_bytes(png(1))
        eventually(lambda: history(asked), 60)
        post(asked, png(2), page="https://example.org/x")
        asked.get("/stats")
        assert asked.get("/checks")["checks"]
    assert not told.exists(), told.read_text()
    done = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 9), 1)"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no network" in done.stderr
    assert told.exists(), "the look-out itself does not work"


def test_the_daemon_has_neither_torch_nor_much_memory_and_is_ready_before_its_model(home):
    put(home / "config.toml", "worker.idle_minutes", 0.1)
    with running(home) as daemon:
        asked = daemon.ready()
        assert post(asked, png(3))["state"] == "done"
        assert "torch" not in Path(f"/proc/{daemon.process.pid}/maps").read_text()
        # At most half a minute until the next look, after six seconds without a picture.
        eventually(lambda: asked.get("/state")["model"]["phase"] == "asleep", 60)
        eventually(lambda: not children(daemon.process.pid))
        assert resident(daemon.process.pid) < 150e6
        assert post(asked, png(4))["state"] == "done"


def test_a_second_daemon_names_the_first_one(home):
    with running(home) as first:
        first.ready()
        with running(home) as second:
            assert second.process.wait(within(20)) == 5
        said = f"process {first.process.pid} on port {first.port}"
        assert said in second.said


def test_if_the_port_is_taken_the_next_free_one_is_used(home):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        put(home / "config.toml", "server.port", taken)
        with running(home) as daemon:
            daemon.ready()
            assert taken < daemon.port <= taken + 20


def test_sigterm_under_load_ends_in_time_and_the_queue_continues_at_the_next_start(home, folder):
    with running(home) as daemon:
        asked = daemon.ready()
        for number in range(40):
            (folder / f"{number}.png").write_bytes(png(100 + number))
        eventually(lambda: history(asked), 60)
        with ThreadPoolExecutor(12) as pool:
            held = children(daemon.process.pid)
            for child in held:
                child.suspend()
            answers = [pool.submit(lenient, asked, png(200 + n)) for n in range(12)]
            eventually(lambda: asked.get("/state")["waiting"]["person"])
            for child in held:
                child.resume()
            assert daemon.stop(within_s=12) == 0
            assert all(one.result() is not None for one in answers)
    assert not (home / "run" / "running.json").exists()
    with running(home) as daemon:
        daemon.ready()
        eventually(lambda: by_file(home, folder) == 40, 60)
        daemon.stop()
    assert by_file(home, folder) == 40


def lenient(asked, data):
    """Returns the answer, or the message of a daemon that is stopping."""
    try:
        return post(asked, data)
    except DaemonError as error:
        return str(error)


def by_file(home, folder) -> int:
    """Returns the files of the folder that have a row. Asserts that none has two."""
    paths = [path for path, *_ in rows(home) if path and path.startswith(str(folder))]
    assert len(paths) == len(set(paths)), "judged twice"
    return len(paths)


@pytest.mark.attack
def test_repeated_kills_lose_no_picture_and_judge_none_twice(home, folder):
    with running(home) as daemon:
        daemon.ready()  # from now on, files in the folder are new
        daemon.stop()
    for number in range(60):
        (folder / f"{number}.png").write_bytes(png(300 + number))
    for kill in range(4):
        with running(home) as daemon:
            daemon.ready()
            wanted = 8 * (kill + 1)
            eventually(lambda: len(rows(home)) >= wanted, 60)  # noqa: B023 - at once
            before = set(rows(home))
            daemon.stop(signal.SIGKILL)
            assert before <= set(rows(home)), "something acknowledged is lost"
    with running(home) as daemon:
        daemon.ready()
        eventually(lambda: by_file(home, folder) == 60, 60)
        daemon.stop()
    assert by_file(home, folder) == 60
    assert not list((home / "run" / "spool").iterdir())


@pytest.mark.attack
@pytest.mark.parametrize("damage", ["zero", "garbage"])
def test_a_damaged_history_is_replaced_by_its_backup_and_the_user_is_told(home, damage):
    with running(home) as daemon:
        check = post(daemon.ready(), png(5))
        daemon.stop()
    from datetime import UTC, datetime

    from antifake.daemon.store import open_store

    with open_store(home / "history.db", datetime.now(UTC)) as store:
        assert store.back_up(datetime.now(UTC), even_if_not_due=True)
    database = home / "history.db"
    database.write_bytes(b"" if damage == "zero" else b"nonsense" * 5000)
    with running(home) as daemon:
        asked = daemon.ready()
        assert asked.get("/state")["mode"] == "attention"
        assert "damaged" in asked.get("/state")["notices"][0]
        assert [one["id"] for one in history(asked)] == [check["id"]]
        assert "damaged" in daemon.said
    assert list(home.glob("history.damaged-*")) or damage == "zero"


def test_a_history_of_a_newer_version_is_left_alone(home):
    with running(home) as daemon:
        post(daemon.ready(), png(6))
        daemon.stop()
    connection = sqlite3.connect(home / "history.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = (home / "history.db").read_bytes()
    with running(home) as daemon:
        assert daemon.process.wait(within(20)) == 1
        assert "newer antifake" in daemon.said
        assert "Traceback" not in daemon.said
    assert (home / "history.db").read_bytes() == before


@pytest.mark.attack
def test_every_bad_picture_gets_an_answer_and_the_next_good_one_a_verdict(home):
    bad = shared_data("badimages")
    good = photographs()[0].read_bytes()
    with running(home) as daemon:
        asked = daemon.ready()
        verdict = post(asked, good)["label"]
        statuses, sentences = {}, []
        for path in sorted(bad.iterdir()):
            if path.suffix == ".csv" or not path.is_file() or path.stat().st_size > 50_000_000:
                continue
            try:
                post(asked, path.read_bytes())
                statuses[path.name] = 200
            except DaemonError as error:
                statuses[path.name] = error.status
                sentences.append(str(error))
            assert daemon.process.poll() is None
        assert {status // 100 for status in statuses.values()} <= {2, 4}, statuses
        assert all(sentence.endswith(".") for sentence in sentences)
        answer = post(asked, good)
        assert (answer["label"], answer["error"]) == (verdict, None)
        assert post(asked, saved(picture(7), "JPEG"))["state"] == "done"


@pytest.mark.parametrize("pictures", [60, pytest.param(300, marks=pytest.mark.soak)])
def test_many_checks_in_a_row_leave_memory_flat(tiny_home, pictures):
    with running(tiny_home.root) as daemon:
        asked = daemon.ready()
        for number in range(60):
            post(asked, png(1000 + number))
        before = resident(daemon.process.pid)
        for number in range(pictures):
            post(asked, png(2000 + number))
        assert resident(daemon.process.pid) - before < 12e6


def test_the_log_files_name_no_file_of_the_user(home, folder):
    with running(home) as daemon:
        asked = daemon.ready()
        (folder / "a-very-private-name.png").write_bytes(png(8))
        (folder / "another-private-name.png").write_bytes(b"broken")
        eventually(lambda: len(history(asked)) == 2, 60)
        daemon.stop()
    text = (home / "logs" / "antifake.log").read_text() + daemon.said
    assert "private-name" not in text
    assert not (home / "requests.log").exists()
