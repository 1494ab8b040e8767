"""The store as a file: opening, damage, backups, migrations, many threads, a full disk."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from kit.queued import take_next
from sqlalchemy import event, select, text

from antifake.core.errors import UsageError
from antifake.daemon.store import (
    StorageFullError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreNewerError,
    checks,
    history,
    jobs,
    ledger,
    open_store,
)
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.database import Database, sqlite_url
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.store.opening import OURS, Migrations
from antifake.daemon.store.tables import Base, CheckRow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FOUND = Finding(source="cli", label="real", p_fake=0.1, model="mini@1", prompt="p@1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "app.db"


def add(store, n=1, at=NOW):
    with store.writing() as session:
        return [checks.add(session, FOUND, at).id for _ in range(n)]


def count(store):
    with store.reading() as session:
        return history.count(session)


def opened(path, now=NOW, **more):
    """Opens and closes the store; returns the number of checks and the notices."""
    with open_store(path, now, **more) as store:
        return count(store), store.notices


# --- Opening ------------------------------------------------------------------------------


def test_data_is_still_there_at_the_next_start(path):
    with open_store(path, NOW) as store:
        add(store, 3)
    assert opened(path) == (3, ())
    assert sorted(one.name for one in path.parent.iterdir()) == ["app.db"]


def test_only_the_user_can_read_the_store(path):
    with open_store(path, NOW) as store:
        add(store)
        store.back_up(NOW)
        for one in (path, *path.parent.glob("app.db-*"), *store.backups.all()):
            assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
        assert stat.S_IMODE(store.backups.folder.stat().st_mode) == 0o700


def test_an_sqlite_url_opens_the_same_store_as_its_path(path):
    with open_store(f"sqlite:///{path}", NOW) as store:
        add(store)
        assert store.backups is not None
    assert opened(path)[0] == 1
    with pytest.raises(UsageError, match="address of a database"):
        open_store("my database", NOW)
    with pytest.raises(UsageError, match="driver"):
        open_store("oracle://anna:hers@host/db", NOW)


def test_a_store_in_memory_is_refused():
    with pytest.raises(UsageError, match="name a file"):
        open_store("sqlite://", NOW)


def test_a_newer_store_is_refused_and_not_touched(path):
    with open_store(path, NOW) as store:
        add(store)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreNewerError, match=r"newer antifake .*9999.*nothing was touched"):
        open_store(path, NOW)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["app.db"]


def test_another_programs_database_is_refused_and_not_touched(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_store(path, NOW)
    assert path.read_bytes() == before


def test_an_impossible_place_is_refused_with_a_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(tmp_path / "file" / "app.db", NOW)
    (tmp_path / "app.db").mkdir()
    with pytest.raises(StoreError):
        open_store(tmp_path / "app.db", NOW)


# --- Damage -------------------------------------------------------------------------------


def emptied(path):
    path.write_bytes(b"")


def overwritten_header(path):
    path.write_bytes(b"GARBAGE!" * 64 + path.read_bytes()[512:])


def torn_pages(path):
    data = bytearray(path.read_bytes())
    data[4096:-4096] = os.urandom(len(data) - 8192)
    path.write_bytes(data)


def cut_off(path):
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = pytest.mark.parametrize("damage", [emptied, overwritten_header, torn_pages, cut_off])


@DAMAGES
def test_a_damaged_store_is_put_aside_and_replaced_by_the_newest_backup(path, damage):
    with open_store(path, NOW) as store:
        add(store, 100)
        store.back_up(NOW)
        add(store, 100)
        store.back_up(NOW + DAY)
        add(store, 100)
    damage(path)
    broken = path.read_bytes()
    n, (notice,) = opened(path, NOW + 2 * DAY)
    assert n == 200
    assert "damaged" in notice
    assert "backup of 2026-11-23 12:00 UTC" in notice
    (aside,) = path.parent.glob("app.damaged-*.db")
    assert aside.name in notice
    assert aside.read_bytes() == broken
    assert opened(path) == (200, ())


@DAMAGES
def test_a_damaged_store_without_a_backup_is_put_aside_and_replaced_by_a_new_one(path, damage):
    with open_store(path, NOW) as store:
        add(store, 100)
    damage(path)
    n, (notice,) = opened(path, NOW)
    assert n == 0
    assert "no backup" in notice
    assert opened(path) == (0, ())


def test_a_damaged_backup_is_skipped_for_an_older_sound_one(path):
    with open_store(path, NOW) as store:
        add(store, 5)
        store.back_up(NOW)
        add(store, 5)
        overwritten_header(store.back_up(NOW + DAY))
    emptied(path)
    assert opened(path, NOW + DAY)[0] == 5


def test_a_write_ahead_log_is_not_applied_to_another_file(path):
    """The write-ahead log of the damaged file is put aside with it."""
    with open_store(path, NOW) as store:
        add(store, 5)
        store.back_up(NOW)
    store = open_store(path, NOW)
    add(store, 7)
    for one in [path, *path.parent.glob("app.db-*")]:  # as a crash leaves them
        shutil.copy(one, one.with_name(f"crashed-{one.name}"))
    store.close()
    for one in path.parent.glob("crashed-*"):
        one.rename(one.with_name(one.name.removeprefix("crashed-")))
    path.write_bytes(b"GARBAGE!" * 64 + path.read_bytes()[512:])
    assert opened(path)[0] == 5
    assert list(path.parent.glob("app.damaged-*.db-wal"))


def test_a_repair_that_was_killed_halfway_is_finished(path):
    with open_store(path, NOW) as store:
        add(store, 5)
        copy = store.back_up(NOW)
    shutil.copy(copy, path.with_suffix(".restoring"))
    path.unlink()
    n, (notice,) = opened(path)
    assert n == 5
    assert "backup" in notice


def test_a_removed_store_is_not_restored_unasked(path):
    with open_store(path, NOW) as store:
        add(store, 5)
        store.back_up(NOW)
    path.unlink()
    n, (notice,) = opened(path)
    assert n == 0
    assert "was not there" in notice
    assert str(store.backups.folder) in notice


def test_damage_found_while_the_store_is_open_is_an_error_with_a_message(path):
    with open_store(path, NOW) as store:
        add(store, 5000)
    store = Database(sqlite_url(path))
    torn_pages(path)
    with pytest.raises(StoreDamagedError, match="damaged"), store.reading() as session:
        session.execute(select(CheckRow)).all()
    store.close()


# --- Backups ------------------------------------------------------------------------------


def test_a_backup_is_made_once_a_day_and_the_newest_few_are_kept(path):
    with open_store(path, NOW, keep_backups=3) as store:
        made = []
        for hour in range(0, 24 * 6, 6):
            add(store)
            made.append(store.back_up(NOW + timedelta(hours=hour)))
        made = [one for one in made if one]
        assert len(made) == 6
        assert store.backups.all() == made[-3:]
        assert store.backups.newest(NOW + 9 * DAY) == NOW + 5 * DAY
        assert store.back_up(NOW + 5 * DAY, even_if_not_due=True)


def test_a_backup_is_complete_without_the_write_ahead_log(path):
    with open_store(path, NOW) as store:
        add(store, 50)
        copy = store.back_up(NOW)
        assert [one.name for one in copy.parent.iterdir()] == [copy.name]
    moved = path.parent / "elsewhere.db"
    copy.rename(moved)
    assert opened(moved)[0] == 50


def test_backups_go_on_after_the_clock_was_wrong_once(path):
    with open_store(path, NOW) as store:
        store.back_up(NOW + 3000 * DAY)
        assert store.back_up(NOW)
        assert store.back_up(NOW + timedelta(hours=1)) is None
        assert store.back_up(NOW + DAY)


def test_files_of_the_user_beside_the_backups_are_left_alone(path):
    with open_store(path, NOW, keep_backups=1) as store:
        first = store.back_up(NOW)
        theirs = first.with_name("app-before the holidays.db")
        shutil.copy(first, theirs)
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        number = f"part{ended.pid}"
        left = [first.with_suffix(f".{end}") for end in ("part", number, f"{number}-journal")]
        under_way = first.with_suffix(f".part{os.getppid()}")
        for half in (*left, under_way):
            half.write_bytes(b"a part of a backup")
        second = store.back_up(NOW + DAY)
        assert store.backups.all() == [second]
        assert theirs.exists()
        assert under_way.exists(), "another process writes it"
        assert not any(half.exists() for half in left)


# --- Migrations ---------------------------------------------------------------------------


def later(folder, body):
    """The real migrations and one more."""
    shutil.copytree(OURS.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v9999_next.py").write_text(
        'from alembic import op\nimport sqlalchemy as sa\n\nrevision = "9999"\n'
        f'down_revision = "{OURS.head}"\n\n\ndef upgrade():\n{body}\n'
    )
    return Migrations(folder, "9999")


def test_the_tables_match_the_migrations(path):
    with open_store(path, NOW) as store, store.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_opening_asks_for_the_newest_version():
    assert ScriptDirectory(str(OURS.folder)).get_current_head() == OURS.head
    assert OURS.head in OURS.known()


@pytest.mark.parametrize("version", sorted(OURS.known() - {OURS.head}))
def test_a_store_of_every_version_so_far_is_migrated_and_keeps_its_rows(path, version):
    old = Migrations(OURS.folder, version)
    with open_store(path, NOW, migrations=old) as store, store.writing() as session:
        session.execute(
            text(
                "INSERT INTO checks (id, source, model, prompt, path, name_key, ms)"
                " VALUES (77, 'cli', 'm', 'p', '/a/Old.PNG', 'old.png', 1)"
            )
        )
        session.execute(
            text(
                "INSERT INTO jobs (id, state, priority, attempts, source, path)"
                " VALUES (78, 'queued', 1, 0, 'watch', '/a/b.png')"
            )
        )
    with open_store(path, NOW + DAY) as store:
        with store.reading() as session:
            (entry,) = history.page(session, history.Filter(text="OLD")).entries
            assert (entry.check.path, entry.check.name) == ("/a/Old.PNG", None)
            (job,) = jobs.pending(session)
            assert (job.path, job.name) == ("/a/b.png", None)
        with store.database.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_checks_of_an_older_store_can_be_sorted_by_certainty(path):
    with open_store(path, NOW, migrations=Migrations(OURS.folder, "0005")) as store:
        insert = text(
            "INSERT INTO checks (id, source, label, p_fake, model, prompt, ms)"
            " VALUES (:id, 'cli', :label, :p, 'm', 'p', 1)"
        )
        found = [(1, "fake", 0.7), (2, "real", 0.01), (3, None, None), (4, "unsure", 0.5)]
        with store.writing() as session:
            for id_, label, p in found:
                session.execute(insert, {"id": id_, "label": label, "p": p})
    with open_store(path, NOW + DAY) as store, store.reading() as session:
        shown = history.page(session, sort="surest").entries
        assert [entry.check.p_fake for entry in shown] == [0.01, 0.7, 0.5, None]


def test_an_older_store_is_backed_up_and_migrated(path, tmp_path):
    with open_store(path, NOW) as store:
        add(store, 5)
    newer = later(tmp_path / "m", '    op.add_column("checks", sa.Column("mood", sa.String))')
    with open_store(path, NOW + DAY, migrations=newer) as store:
        assert count(store) == 5
        with store.reading() as session:
            session.execute(text("SELECT mood FROM checks"))
        (copy,) = store.backups.all()
    assert opened(copy)[0] == 5
    with pytest.raises(StoreNewerError):
        open_store(path, NOW)


def test_rebuilding_a_table_deletes_no_rows_of_other_tables(path, tmp_path):
    with open_store(path, NOW) as store:
        (check,) = add(store)
        with store.writing() as session:
            ledger.note(session, Stamp("/a.png", 1, 1, "1-1"), check_id=check)
    newer = later(
        tmp_path / "m",
        '    with op.batch_alter_table("checks", recreate="always") as batch:\n'
        '        batch.add_column(sa.Column("mood", sa.String))',
    )
    with open_store(path, NOW, migrations=newer) as store, store.reading() as session:
        assert ledger.known(session, "/a.png").check_id == check
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []


@pytest.mark.parametrize("fault", ["1 / 0", 'op.execute("SELECT nonsense")'])
def test_a_failed_migration_changes_nothing_and_can_be_retried(path, tmp_path, fault):
    with open_store(path, NOW) as store:
        add(store, 5)
    good = '    op.add_column("checks", sa.Column("mood", sa.String))'
    with pytest.raises((ZeroDivisionError, StoreError)):
        open_store(path, NOW, migrations=later(tmp_path / "bad", f"{good}\n    {fault}"))
    assert opened(path) == (5, ())
    assert opened(path, migrations=later(tmp_path / "good", good))[0] == 5


def test_if_no_backup_can_be_made_a_notice_says_so_and_the_store_works(path):
    with open_store(path, NOW) as store:
        add(store)
        (path.parent / "backups").write_text("somebody's file has the folder's name")
        with pytest.raises(StoreError, match="No backup could be made: "):
            store.back_up(NOW)
        add(store)
        assert count(store) == 2


# --- Writing ------------------------------------------------------------------------------


def test_eight_threads_write_and_read_at_once_and_nothing_is_lost(path):
    with open_store(path, NOW) as store:

        def work(n):
            made = []
            for i in range(40):
                made += add(store)
                with store.writing() as session:
                    new_job = NewJob(source="watch", priority=Priority.FOLDER, path=f"/{n}/{i}")
                    jobs.add(session, new_job, NOW)
                with store.reading() as session:
                    assert made[-1] in {
                        e.check.id for e in history.page(session, limit=500).entries
                    }
            return made

        with ThreadPoolExecutor(8) as threads:
            made = [one for each in threads.map(work, range(8)) for one in each]
        assert len(set(made)) == count(store) == 8 * 40
        with store.writing() as session:
            assert jobs.waiting(session)[Priority.FOLDER] == 8 * 40


def test_no_job_is_taken_by_two_threads(path):
    with open_store(path, NOW) as store:
        with store.writing() as session:
            for n in range(100):
                new_job = NewJob(source="watch", priority=Priority.FOLDER, path=str(n))
                jobs.add(session, new_job, NOW)

        def take(_):
            taken = []
            while True:
                with store.writing() as session:
                    job = take_next(session)
                if job is None:
                    return taken
                taken.append(job.id)

        with ThreadPoolExecutor(8) as threads:
            taken = [one for each in threads.map(take, range(8)) for one in each]
        assert len(taken) == len(set(taken)) == 100


def test_a_transaction_that_fails_halfway_writes_nothing(path):
    with open_store(path, NOW) as store:

        def fail_halfway():
            with store.writing() as session:
                checks.add(session, FOUND, NOW)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_halfway()
        assert count(store) == 0


def test_a_reader_sees_one_moment_while_others_write(path):
    with open_store(path, NOW) as store:
        add(store)
        with store.reading() as session:
            assert history.count(session) == 1
            add(store)
            assert history.count(session) == 1
        assert count(store) == 2


def test_a_store_locked_by_another_program_is_an_error_after_a_wait(path):
    with open_store(path, NOW) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        event.listen(
            store.database.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA busy_timeout=50")
        )
        with pytest.raises(StoreBusyError, match="another program"):
            add(store)
        other.execute("ROLLBACK")
        other.close()
        add(store)
        assert count(store) == 1


def test_a_full_disk_loses_nothing_acknowledged_and_the_store_recovers(path):
    with open_store(path, NOW) as store:
        add(store, 10)
        pages = store.database.run("PRAGMA page_count")[0]
        limit = [pages + 4]
        event.listen(
            store.database.engine,
            "checkout",
            lambda raw, *_: raw.execute(f"PRAGMA max_page_count={limit[0]}"),
        )
        acknowledged = [*range(10)]

        def fill():
            while True:
                acknowledged.extend(add(store, 20))

        with pytest.raises(StorageFullError, match="full"):
            fill()
        assert count(store) == len(acknowledged)
        with pytest.raises(StorageFullError):
            add(store, 500)
        limit[0] = 2**30
        add(store)
        assert count(store) == len(acknowledged) + 1
    assert opened(path) == (len(acknowledged) + 1, ())
