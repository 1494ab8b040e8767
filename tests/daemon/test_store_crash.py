"""A process that is killed at any point loses nothing that it has acknowledged."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kit.pace import within
from kit.queued import take_next
from kit.waiting import eventually

from antifake.daemon.store import StoreError, checks, history, jobs, open_store
from antifake.daemon.store.opening import OURS, Migrations

pytestmark = pytest.mark.attack

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from antifake.daemon.store import checks, jobs, ledger, open_store

store = open_store(Path(sys.argv[1]), datetime(2026, 11, 22, 12, tzinfo=UTC))
while True:
    now = datetime.now(UTC)
    with store.writing() as session:
        new_job = jobs.NewJob(source="watch", priority=jobs.Priority.FOLDER, path="/a.png")
        jobs.add(session, new_job, now)
    with store.writing() as session:
        job = jobs.take(session, jobs.in_order(session)[0][0])
    with store.writing() as session:
        check = checks.add(session, checks.Finding(source="watch", path="/a.png" * 100), now)
        stamp = ledger.Stamp(f"/{check.id}.png", 1, 1, "1-1")
        ledger.note(session, stamp, check_id=check.id)
        jobs.finish(session, job.id, check.id)
    print(check.id, flush=True)
"""


def killed_while_writing(path, after_rows):
    """Returns the ids of all checks that a process had acknowledged when it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True
    )
    seen = [process.stdout.readline() for _ in range(after_rows)]
    process.send_signal(signal.SIGKILL)
    seen += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [line.strip() for line in seen if line.endswith("\n")]


def test_kill_9_in_the_middle_of_writing_loses_nothing_acknowledged(tmp_path):
    path = tmp_path / "app.db"
    acknowledged = []
    for round_ in range(5):
        acknowledged += killed_while_writing(path, after_rows=20 + 17 * round_)
        with open_store(path, NOW) as store:
            assert store.notices == ()
            with store.writing() as session:
                for name in acknowledged:
                    assert checks.get(session, name).id == name
                # At most one check was written but not acknowledged yet.
                assert history.count(session) <= len(acknowledged) + round_ + 1
                queued, failed = jobs.recover(session)
                assert queued <= 1
                assert failed == []
                while take_next(session):
                    pass
                jobs.recover(session)


KILLED = "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
STEPS = [
    '    op.add_column("checks", sa.Column("mood", sa.String))\n',
    '    op.create_table("moods", sa.Column("id", sa.Integer, primary_key=True))\n',
    "    op.execute(\"UPDATE checks SET mood = 'good'\")\n",
    '    with op.batch_alter_table("files", recreate="always") as batch:\n'
    '        batch.add_column(sa.Column("mood", sa.String))\n',
]
MIGRATE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from antifake.daemon.store.opening import Migrations, open_store

folder = Path(sys.argv[2])
there = Migrations(folder, max(Migrations(folder, "").known()))
open_store(Path(sys.argv[1]), datetime(2026, 11, 22, 12, tzinfo=UTC), migrations=there).close()
"""


def migrations(folder, steps):
    shutil.copytree(OURS.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v9999_next.py").write_text(
        'from alembic import op\nimport sqlalchemy as sa\n\nrevision = "9999"\n'
        f'down_revision = "{OURS.head}"\n\n\ndef upgrade():\n{"".join(steps)}'
    )
    return Migrations(folder, "9999")


@pytest.mark.parametrize("done", range(len(STEPS) + 1))
def test_kill_9_in_the_middle_of_a_migration_changes_nothing_and_the_retry_succeeds(tmp_path, done):
    path = tmp_path / "app.db"
    with open_store(path, NOW) as store, store.writing() as session:
        made = [checks.add(session, checks.Finding(source="cli"), NOW).id for _ in range(5)]
    deadly = migrations(tmp_path / "deadly", [*STEPS[:done], KILLED, *STEPS[done:]])
    killed = subprocess.run([sys.executable, "-c", MIGRATE, path, deadly.folder], check=False)
    assert killed.returncode == -signal.SIGKILL

    with open_store(path, NOW) as store, store.reading() as session:
        assert history.count(session) == 5
    with open_store(path, NOW, migrations=migrations(tmp_path / "good", STEPS)) as store:
        with store.reading() as session:
            assert {entry.check.id for entry in history.page(session).entries} == set(made)
        assert store.backups.all()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT DISTINCT mood FROM checks").fetchall() == [("good",)]
    connection.close()


def test_kill_9_during_the_first_start_leaves_a_store_that_opens(tmp_path):
    for n in range(6):
        path = tmp_path / str(n) / "app.db"
        process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.DEVNULL)
        eventually(path.exists, every_s=0.001)
        time.sleep(0.02 * n)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with open_store(path, NOW) as store, store.reading() as session:
            history.count(session)


def test_a_first_start_killed_at_any_step_is_repeated(tmp_path):
    for n, step in enumerate(["", "CREATE TABLE alembic_version (version_num VARCHAR(32))"]):
        path = tmp_path / f"{n}.db"
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(step)
        connection.close()
        with open_store(path, NOW) as store, store.reading() as session:
            assert store.notices == ()
            assert history.count(session) == 0


TORN = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=DELETE")
connection.execute("PRAGMA cache_size=1")  # so that half of the write reaches the file
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE checks SET path = hex(randomblob(2000))")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_write_that_sqlite_rolls_back_is_no_damage(tmp_path):
    path = tmp_path / "app.db"
    with open_store(path, NOW) as store, store.writing() as session:
        for _ in range(100):
            checks.add(session, checks.Finding(source="cli", path="/a.png"), NOW)
    subprocess.run([sys.executable, "-c", TORN, path], check=False)
    assert path.with_name("app.db-journal").exists()
    with open_store(path, NOW) as store, store.reading() as session:
        assert store.notices == ()
        assert history.count(session, history.Filter(text="a.png")) == 100
        assert {entry.check.path for entry in history.page(session).entries} == {"/a.png"}


def test_several_starts_at_once_create_one_store(tmp_path):
    path = tmp_path / "app.db"
    started = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, path, OURS.folder]) for _ in range(4)
    ]
    assert [process.wait(within(60)) for process in started] == [0] * 4
    with open_store(path, NOW) as store, store.reading() as session:
        assert store.notices == ()
        assert history.count(session) == 0


class Overtaken(Migrations):
    """Another process finishes the same migrations in between."""

    def run(self, database):
        with open_store(Path(database.engine.url.database), NOW):
            pass
        raise StoreError("duplicate column name: parts")


def test_a_start_that_another_one_overtakes_goes_on(tmp_path):
    path = tmp_path / "app.db"
    overtaken = Overtaken(OURS.folder, OURS.head)
    with open_store(path, NOW, migrations=overtaken) as store, store.reading() as session:
        assert history.count(session) == 0


def test_a_picture_that_was_being_judged_at_the_kill_is_judged_again(tmp_path):
    path = tmp_path / "app.db"
    with open_store(path, NOW) as store, store.writing() as session:
        new_job = jobs.NewJob(source="watch", priority=jobs.Priority.FOLDER, path="/a.png")
        job = jobs.add(session, new_job, NOW)
        take_next(session)
    with open_store(path, NOW) as store, store.writing() as session:
        assert jobs.recover(session) == (1, [])
        assert take_next(session).id == job.id
