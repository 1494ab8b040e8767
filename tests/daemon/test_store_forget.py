"""Deleting from the history leaves no trace."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from antifake.core import AntifakeError
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.daemon.store import (
    StoreBusyError,
    checks,
    corrections,
    evidence,
    history,
    jobs,
    ledger,
)
from antifake.daemon.store import open_store as open_
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import NewCorrection
from antifake.daemon.store.forgetting import forget, older_than_newest, retire, trim_thumbnails
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.store.ledger import Stamp

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PRIVATE = "/home/anna/private-picture"


@pytest.fixture
def store(tmp_path):
    with open_(tmp_path / "app.db", NOW) as store:
        yield store


def add_all(session, sha256, n, path, rng):
    """Stores a check of a picture and everything else that can belong to it."""
    found = Finding(
        source="watch",
        label="fake",
        p_fake=0.9,
        model="mini@1",
        prompt="p@1",
        sha256=sha256,
        phash=rng.getrandbits(64),
        path=f"{path}-{n}.png",
        page=f"https://{path}/{n}",
    )
    check = checks.add(session, found, NOW + timedelta(seconds=n))
    checks.keep_thumbnail(session, sha256, b"RIFF" + path.encode() + rng.randbytes(4000), NOW)
    corrections.correct(session, [sha256], NewCorrection("real", "cli", f"note on {path}"), NOW)
    evidence.keep(session, sha256, FileEvidence(), NOW)
    stamp = Stamp(found.path, n, n, f"1-{n}")
    ledger.note(session, stamp, sha256=sha256, check_id=check.id)
    new_job = NewJob(source="watch", priority=Priority.FOLDER, path=found.path, sha256=sha256)
    jobs.finish(session, jobs.add(session, new_job, NOW).id, check.id)
    # A job that failed before the hash was known.
    lost = NewJob(source="watch", priority=Priority.FOLDER, path=found.path)
    jobs.fail(session, jobs.add(session, lost, NOW).id, f"{path}: no.")
    return check


def everything_on_disk(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.attack
def test_a_forgotten_picture_is_in_no_file(store, tmp_path):
    rng = Random(5)  # noqa: S311
    victims = [rng.randbytes(32).hex() for _ in range(20)]
    others = [rng.randbytes(32).hex() for _ in range(300)]
    mixed = rng.sample(victims + others, 320)
    found = {}
    for n, sha256 in enumerate(mixed):
        path = PRIVATE if sha256 in victims else "/home/anna/holiday"
        with store.writing() as session:
            found[sha256] = add_all(session, sha256, n, path, rng)
        if n % 100 == 50:
            store.back_up(NOW + n * DAY, even_if_not_due=True)
    (tmp_path / "app.damaged-20260101T000000.000000Z.db").write_bytes(PRIVATE.encode())
    before = everything_on_disk(tmp_path)
    assert PRIVATE.encode() in before
    assert bytes.fromhex(victims[0]) in before

    assert forget(store, [found[sha256].id for sha256 in victims], NOW + DAY) == len(victims)

    after = everything_on_disk(tmp_path)
    assert PRIVATE.encode() not in after
    for sha256 in victims:
        assert bytes.fromhex(sha256) not in after
        assert found[sha256].phash.to_bytes(8, "big") not in after
    assert all(bytes.fromhex(sha256) in after for sha256 in others)
    with store.reading() as session:
        assert history.count(session) == len(others)
    (copy,) = store.backups.all()
    with open_(copy, NOW) as backup, backup.reading() as session:
        assert history.count(session) == len(others)


def test_forgetting_a_check_deletes_every_check_of_the_same_bytes(store):
    rng = Random(6)  # noqa: S311
    with store.writing() as session:
        first = add_all(session, "ab" * 32, 1, "/a", rng)
        add_all(session, "ab" * 32, 2, "/b", rng)
        other = add_all(session, "cd" * 32, 3, "/c", rng)
    assert forget(store, [first.id], NOW) == 2
    with store.reading() as session:
        (left,) = history.page(session).entries
        assert left.check == other
        assert corrections.latest(session, ["ab" * 32]) == {}
        assert ledger.known(session, "/b-2.png") is None
        assert ledger.known(session, "/c-3.png").check_id == other.id


def test_a_file_that_was_never_read_can_be_forgotten(store, tmp_path):
    with store.writing() as session:
        check = checks.add(session, Finding(source="watch", path=PRIVATE, error="No."), NOW)
        ledger.note(session, Stamp(PRIVATE, 1, 1, "1-1"), check_id=check.id)
    assert forget(store, [check.id], NOW) == 1
    assert PRIVATE.encode() not in everything_on_disk(tmp_path)


def test_an_unknown_check_cannot_be_forgotten_and_an_invalid_id_is_an_error(store):
    with store.writing() as session:
        check = checks.add(session, Finding(source="cli", sha256="ab" * 32), NOW)
    assert forget(store, [check.id], NOW) == 1
    assert forget(store, [check.id], NOW) == 0
    with pytest.raises(AntifakeError, match="name of a check"):
        forget(store, ["everything"], NOW)


def test_forgetting_reports_a_program_that_still_reads_and_can_be_finished_later(store, tmp_path):
    from sqlalchemy import event

    with store.writing() as session:
        check = checks.add(session, Finding(source="cli", path=PRIVATE, sha256="ab" * 32), NOW)
    event.listen(
        store.database.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA busy_timeout=50")
    )
    with store.reading() as session:
        history.count(session)
        with pytest.raises(StoreBusyError, match="still reading"):
            forget(store, [check.id], NOW)
    store.scrub(NOW)
    assert PRIVATE.encode() not in everything_on_disk(tmp_path)


def test_old_checks_are_deleted_except_those_that_the_user_labelled(store):
    rng = Random(7)  # noqa: S311
    old, spoken, new = "ab" * 32, "cd" * 32, "ef" * 32
    with store.writing() as session:
        for sha256, at in ((old, NOW - 30 * DAY), (spoken, NOW - 30 * DAY), (new, NOW)):
            found = Finding(source="watch", sha256=sha256, phash=rng.getrandbits(64))
            check = checks.add(session, found, at)
            checks.keep_thumbnail(session, sha256, b"webp", at)
            ledger.note(session, Stamp(f"/{sha256}", 1, 1, "1-1"), check_id=check.id)
        checks.add(session, Finding(source="cli", error="Damaged."), NOW - 30 * DAY)
        corrections.correct(session, [spoken], NewCorrection("fake", "cli"), NOW)
    assert retire(store, NOW - 7 * DAY) == 2
    assert retire(store, NOW - 7 * DAY) == 0
    with store.reading() as session:
        assert [e.check.sha256 for e in history.page(session).entries] == [new, spoken]
        assert checks.thumbnail(session, old) is None
        assert checks.thumbnail(session, spoken) == b"webp"
        # Otherwise it would be judged again.
        assert ledger.known(session, f"/{old}").check_id is None


def test_many_old_checks_are_deleted_in_steps(store):
    with store.writing() as session:
        for n in range(1200):
            checks.add(session, Finding(source="cli", sha256=f"{n:064x}"), NOW - 30 * DAY)
    assert retire(store, NOW) == 1200


def test_only_the_newest_checks_are_kept(store):
    with store.writing() as session:
        for n in range(10):
            checks.add(session, Finding(source="cli", sha256=f"{n:064x}"), NOW + n * DAY)
        assert older_than_newest(session, 11) is None
        before = older_than_newest(session, 4)
    assert before == NOW + 6 * DAY
    assert retire(store, before) == 6


def test_only_the_newest_thumbnails_are_kept(store):
    with store.writing() as session:
        for n in range(10):
            checks.keep_thumbnail(session, f"{n:064x}", b"webp", NOW + n * DAY)
        assert trim_thumbnails(session, 4) == 6
        assert trim_thumbnails(session, 4) == 0
        assert checks.count_thumbnails(session) == 4
        assert checks.thumbnail(session, f"{9:064x}")
