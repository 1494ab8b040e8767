"""Only what the user allows is kept. Each setting of the history is set in a running daemon over
its API. Its effect is looked for in the daemon's answers and in its database."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from kit.daemon import running_daemon
from kit.pictures import png
from kit.waiting import eventually

from antifake.daemon.store import checks, jobs
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.jobs import NewJob, Priority

PAGE = "https://anna:pw@news.example:8443/private/story?token=1#part"
SEEDS = count(7000)


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("settings"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


@pytest.fixture
def setting(daemon):
    """Changes settings for one test."""
    changed = []

    def change(name, value):
        changed.append(name)
        assert daemon.send("PATCH", "/settings", {name: value}).status == 200

    yield change
    assert daemon.send("PATCH", "/settings", dict.fromkeys(changed)).status == 200


def checked(daemon, **fields):
    reply = daemon.check(png(next(SEEDS)), **fields)
    assert reply.status == 201, reply.body
    return reply.json


def rows(daemon, query, *values):
    with closing(sqlite3.connect(daemon.places.database, timeout=10)) as connection:
        return connection.execute(query, values).fetchall()


def forget_all(daemon):
    ids = [one["id"] for one in daemon.get("/checks?limit=500").json["checks"]]
    if ids:
        assert daemon.post("/checks:forget", {"ids": ids}).status == 200


def old(daemon, days, **about):
    """Adds a check from that many days ago, with a thumbnail. Returns its id."""
    at = datetime.now(UTC) - timedelta(days=days)
    sha256 = f"{next(SEEDS):064x}"
    found = Finding(source="api", label="real", p_fake=0.1, sha256=sha256, **about)
    with daemon.service.store.writing() as session:
        check = checks.add(session, found, at)
        checks.keep_thumbnail(session, sha256, b"RIFF....WEBP", at)
    return check.id


def kept(daemon):
    return {one["id"] for one in daemon.get("/checks?limit=500").json["checks"]}


@pytest.mark.parametrize(("value", "page"), [("no", None), ("host", "news.example"), ("all", PAGE)])
def test_only_as_much_of_a_pages_address_is_kept_as_the_user_allows(daemon, setting, value, page):
    setting("history.pages", value)
    check = checked(daemon, page=PAGE)
    assert check["page"] == page
    assert daemon.get(f"/checks/{check['id']}").json["page"] == page
    for table in ("checks", "jobs"):
        query = f"SELECT DISTINCT page FROM {table} WHERE sha256 = ?"  # noqa: S608
        assert rows(daemon, query, bytes.fromhex(check["sha256"])) == [(page,)], table


@pytest.mark.parametrize("is_kept", [True, False])
def test_the_path_of_a_sent_file_is_kept_only_if_allowed(daemon, setting, is_kept):
    setting("history.paths", is_kept)
    path = f"/home/anna/sent-{next(SEEDS)}.png"
    check = checked(daemon, path=path)
    assert check["path"] == (path if is_kept else None)
    for table in ("checks", "jobs"):
        found = rows(daemon, f"SELECT count(*) FROM {table} WHERE path = ?", path)  # noqa: S608
        assert found == [(int(is_kept),)], table


@pytest.mark.parametrize("is_kept", [True, False])
def test_the_path_of_a_watched_file_is_kept_only_if_allowed(daemon, setting, tmp_path, is_kept):
    setting("history.paths", is_kept)
    before = kept(daemon)
    path = tmp_path / "watched.png"
    setting("watch.folders", [{"path": str(tmp_path)}])
    path.write_bytes(png(next(SEEDS)))
    [new] = eventually(lambda: kept(daemon) - before)
    check = daemon.get(f"/checks/{new}").json
    assert check["path"] == (str(path) if is_kept else None)
    assert check["source"] == "watch"


@pytest.mark.parametrize(("most", "has_one"), [(0, False), (1, True)])
def test_a_thumbnail_is_made_only_if_some_may_be_kept(daemon, setting, most, has_one):
    setting("history.thumbnails", most)
    check = checked(daemon)
    assert check["has_thumbnail"] is has_one
    assert daemon.get(f"/checks/{check['id']}/thumbnail").status == (200 if has_one else 404)
    assert rows(
        daemon, "SELECT count(*) FROM thumbnails WHERE sha256 = ?", bytes.fromhex(check["sha256"])
    ) == [(int(has_one),)]


@pytest.mark.parametrize("most", [0, 2])
def test_thumbnails_beyond_the_limit_are_deleted_oldest_first(daemon, setting, most):
    forget_all(daemon)
    ids = [old(daemon, days) for days in (4, 3, 2, 1)]
    setting("history.thumbnails", most)
    daemon.upkeep.tidy()
    left = [one for one in ids if daemon.get(f"/checks/{one}").json["has_thumbnail"]]
    assert left == ids[len(ids) - most :]
    assert kept(daemon) == set(ids)


@pytest.mark.parametrize(("days", "n_left"), [(0, 3), (7, 1), (30, 2)])
def test_checks_older_than_the_limit_are_deleted(daemon, setting, days, n_left):
    forget_all(daemon)
    ids = [old(daemon, age) for age in (1, 10, 100)]
    setting("history.keep_days", days)
    daemon.upkeep.tidy()
    assert kept(daemon) == set(ids[:n_left])


@pytest.mark.parametrize(("most", "n_left"), [(0, 3), (1, 1), (2, 2), (9, 3)])
def test_if_there_are_too_many_checks_the_newest_stay(daemon, setting, most, n_left):
    forget_all(daemon)
    ids = [old(daemon, age) for age in (1, 10, 100)]
    setting("history.keep_checks", most)
    daemon.upkeep.tidy()
    assert kept(daemon) == set(ids[:n_left])


def test_a_picture_that_the_user_labelled_stays_however_old_it_is(daemon, setting):
    forget_all(daemon)
    ids = [old(daemon, age) for age in (90, 100)]
    assert daemon.send("PUT", f"/checks/{ids[1]}/label", {"label": "fake"}).status == 200
    setting("history.keep_days", 7)
    daemon.upkeep.tidy()
    assert kept(daemon) == {ids[1]}


def test_finished_jobs_are_deleted_after_a_day_and_waiting_ones_stay(daemon):
    """Otherwise their paths and pages would outlive the history that the user had tidied up."""
    new_job = NewJob(source="api", priority=Priority.BATCH, path="/home/anna/a.png")
    now = datetime.now(UTC)
    with daemon.service.store.writing() as session:
        long_over, lately_over = (
            jobs.add(session, new_job, now - timedelta(hours=hours)).id for hours in (25, 23)
        )
        for name in (long_over, lately_over):
            jobs.fail(session, name, "It is over.")
    daemon.upkeep.tidy()
    with daemon.service.store.reading() as session:
        assert not jobs.is_there(session, long_over)
        assert jobs.is_there(session, lately_over)
