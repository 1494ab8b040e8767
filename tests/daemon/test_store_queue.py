"""Jobs, the ledger of files, and access tokens."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from kit.queued import take_next

from antifake.core import AntifakeError
from antifake.daemon.store import checks, jobs, ledger, open_store, tokens
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.store.tokens import Grant

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SHA = "ab" * 32


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "app.db", NOW) as store:
        yield store


@pytest.fixture
def session(store):
    with store.writing() as session:
        yield session


def queue(session, name, priority=Priority.FOLDER, seconds=0, sha256=None):
    new_job = NewJob(source="watch", priority=priority, path=f"/a/{name}", sha256=sha256)
    return jobs.add(session, new_job, NOW + seconds * SECOND)


# --- Jobs ---------------------------------------------------------------------------------


def test_users_come_before_folders_and_folders_before_batches_oldest_first(session):
    queue(session, "batch", Priority.BATCH, 0)
    queue(session, "folder 2", Priority.FOLDER, 2)
    queue(session, "folder 1", Priority.FOLDER, 1)
    queue(session, "person", Priority.PERSON, 3)
    assert jobs.waiting(session) == {0: 1, 1: 2, 2: 1}
    taken = [take_next(session).path for _ in range(4)]
    assert taken == ["/a/person", "/a/folder 1", "/a/folder 2", "/a/batch"]
    assert take_next(session) is None
    assert jobs.waiting(session) == {0: 0, 1: 0, 2: 0}


def test_a_finished_job_leads_to_its_check_and_a_failed_one_says_why(session):
    check = checks.add(session, Finding(source="watch", sha256=SHA), NOW)
    done, failed = queue(session, "a"), queue(session, "b")
    jobs.finish(session, done.id, check.id)
    jobs.fail(session, failed.id, "Damaged.")
    assert jobs.get(session, done.id).check_id == check.id
    assert (jobs.get(session, failed.id).state, jobs.get(session, failed.id).error) == (
        "failed",
        "Damaged.",
    )
    with pytest.raises(AntifakeError, match="no job"):
        jobs.get(session, check.id)


def test_a_picture_that_kills_the_model_three_times_is_not_tried_again(session):
    killer, innocent = queue(session, "killer"), queue(session, "innocent", seconds=1)
    for _ in range(2):
        assert take_next(session).id == killer.id
        assert jobs.recover(session) == (1, [])
    take_next(session)
    queued, failed = jobs.recover(session)
    assert (queued, [job.id for job in failed]) == (0, [killer.id])
    assert "three" in failed[0].error or "3" in failed[0].error
    assert take_next(session).id == innocent.id


def test_a_job_that_is_put_back_keeps_its_number_of_attempts(session):
    queue(session, "a")
    for _ in range(5):
        jobs.put_back(session, take_next(session).id)
    assert take_next(session).attempts == 1


def test_a_job_begun_at_once_is_not_taken_by_others_and_returns_after_a_kill(session):
    new_job = NewJob(source="api", priority=Priority.PERSON)
    begun = jobs.add(session, new_job, NOW, is_begun=True)
    assert jobs.get(session, begun.id) == begun
    assert take_next(session) is None
    assert jobs.recover(session) == (1, [])
    again = take_next(session)
    assert (again.id, again.attempts) == (begun.id, 2)


def test_a_queued_job_with_the_same_bytes_is_found(session):
    job = queue(session, "a", sha256=SHA)
    assert jobs.in_flight(session, SHA).id == job.id
    take_next(session)
    assert jobs.in_flight(session, SHA).id == job.id
    jobs.fail(session, job.id, "x")
    assert jobs.in_flight(session, SHA) is None


def test_old_jobs_are_deleted_only_when_they_are_finished(session):
    over, waiting = queue(session, "a"), queue(session, "b")
    jobs.fail(session, over.id, "x")
    assert jobs.drop_over(session, NOW) == 0
    assert jobs.drop_over(session, NOW + SECOND) == 1
    assert jobs.get(session, waiting.id).state == "queued"


# --- The ledger ---------------------------------------------------------------------------


def test_only_new_or_changed_files_are_unknown(session, tmp_path):
    stamps = []
    for n in range(1200):
        path = tmp_path / f"{n}.png"
        path.write_bytes(b"x" * n)
        stamps.append(Stamp.of(str(path), path.stat()))
    for stamp in stamps[:1000]:
        ledger.note(session, stamp, sha256=SHA)
    assert list(ledger.unknown(session, stamps)) == stamps[1000:]
    (tmp_path / "7.png").write_bytes(b"another")
    changed = Stamp.of(str(tmp_path / "7.png"), (tmp_path / "7.png").stat())
    assert list(ledger.unknown(session, [*stamps[:7], changed])) == [changed]


def test_a_moved_file_is_recognised_by_what_stayed_the_same(session, tmp_path):
    check = checks.add(session, Finding(source="watch", sha256=SHA), NOW)
    old, new = tmp_path / "b\udcffd.png", tmp_path / "good.png"
    old.write_bytes(b"x")
    ledger.note(session, Stamp.of(str(old), old.stat()), sha256=SHA, check_id=check.id)
    old.rename(new)
    moved = Stamp.of(str(new), new.stat())
    assert list(ledger.unknown(session, [moved])) == [moved]
    known = ledger.known_elsewhere(session, moved)
    assert (known.stamp.path, known.sha256, known.check_id) == (str(old), SHA, check.id)
    assert ledger.drop(session, [str(old)]) == 1
    assert ledger.known_elsewhere(session, moved) is None


def test_a_replaced_file_is_unknown_even_with_the_same_size_and_date(session, tmp_path):
    """Programs save like this: they write a new file and rename it. Only the identity differs."""
    path, other = tmp_path / "a.png", tmp_path / "b.part"
    path.write_bytes(b"one")
    ledger.note(session, before := Stamp.of(str(path), path.stat()))
    other.write_bytes(b"two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    after = Stamp.of(str(path), path.stat())
    assert (after.size, after.mtime_ns) == (before.size, before.mtime_ns)
    assert list(ledger.unknown(session, [after])) == [after]


@pytest.mark.parametrize("change", [{"size": 8}, {"mtime_ns": 9}, {"identity": "1-8"}])
def test_a_file_that_differs_in_one_way_is_not_the_moved_one(session, change):
    """Inodes of deleted files are used again, so the identity alone proves nothing."""
    old = Stamp("/a/old.png", 7, 7, "1-7")
    ledger.note(session, old, sha256=SHA)
    assert ledger.known_elsewhere(session, replace(old, path="/a/new.png")) is not None
    assert ledger.known_elsewhere(session, replace(old, path="/a/new.png", **change)) is None


def test_the_files_of_a_folder_are_those_in_it_and_not_those_of_its_siblings(session):
    paths = ["/a/b/1.png", "/a/b/c/2.png", "/a/b\udcff.png", "/a/bc/3.png", "/a/b-d/4.png"]
    for n, path in enumerate(paths):
        ledger.note(session, Stamp(path, n, n, f"1-{n}"))
    assert sorted(ledger.paths_in(session, "/a/b")) == paths[:2]
    assert sorted(ledger.paths_in(session, "/a/b/")) == paths[:2]
    assert set(ledger.paths_in(session, "/")) == set(paths)


def test_an_inode_may_have_more_bits_than_a_database_integer(session):
    stamp = Stamp("/a.png", 2**40, 2**62, f"{2**64 - 1:x}-{2**127:x}")
    ledger.note(session, stamp)
    assert ledger.known(session, "/a.png").stamp == stamp
    assert ledger.known(session, "/b.png") is None


# --- Tokens -------------------------------------------------------------------------------

READER = Grant(name="Firefox", scopes=frozenset({"check", "read"}), origin="moz-extension://1")


def test_a_secret_is_valid_until_its_token_is_revoked(session):
    token, secret = tokens.issue(session, READER, NOW)
    assert tokens.find(session, secret) == token
    assert (token.name, token.scopes, token.origin) == (READER.name, READER.scopes, READER.origin)
    for wrong in ("", secret[:-1], secret + "a", "\udcff", token.name):
        assert tokens.find(session, wrong) is None
    tokens.revoke(session, token.id, NOW)
    tokens.revoke(session, token.id, NOW + SECOND)
    assert tokens.find(session, secret) is None
    assert [one.revoked for one in tokens.all_tokens(session)] == [NOW]
    with pytest.raises(AntifakeError, match="no token"):
        tokens.revoke(session, 99, NOW)


def test_a_secret_is_not_in_the_database_file(store, tmp_path):
    with store.writing(durable=True) as session:
        _, secret = tokens.issue(session, READER, NOW)
    store.close()
    assert secret.encode() not in (tmp_path / "app.db").read_bytes()


def test_the_last_use_is_stored_to_the_minute(session):
    token, secret = tokens.issue(session, READER, NOW)
    assert tokens.is_use_worth_noting(token, NOW)
    tokens.note_use(session, token.id, NOW)
    token = tokens.find(session, secret)
    assert token.last_used == NOW
    assert not tokens.is_use_worth_noting(token, NOW + 59 * SECOND)
    assert tokens.is_use_worth_noting(token, NOW + 60 * SECOND)
