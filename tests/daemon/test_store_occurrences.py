"""Where known pictures were seen again: kept, found by name, exported, forgotten."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from antifake.daemon.store import checks, exchange, forgetting, history, ids, occurrences
from antifake.daemon.store import open_store as open_
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.history import Filter
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.store.jobs import add as add_job
from antifake.daemon.store.occurrences import MOST, Occurrence
from antifake.daemon.store.opening import OURS, Migrations

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SHA = "5" * 64
PATH = "/home/anna/Downloads/First.png"


@pytest.fixture
def store(tmp_path):
    with open_(tmp_path / "app.db", NOW) as store:
        yield store


def check(store, at=NOW, **more):
    about = {"source": "watch", "label": "real", "p_fake": 0.1, "model": "m@1", "prompt": "p@1"}
    with store.writing() as session:
        return checks.add(session, Finding(**about | {"sha256": SHA, "path": PATH} | more), at)


def see(store, at=NOW + DAY, sha256=SHA, **more):
    with store.writing() as session:
        occurrences.add(session, sha256, Occurrence(at=at, **{"source": "page"} | more))


def entries(store, **wanted):
    with store.reading() as session:
        return history.page(session, Filter(**wanted)).entries


def places(store, of=0):
    return [(one.shown_name, one.source, one.times) for one in entries(store)[of].occurrences]


def test_a_picture_has_its_places_latest_first_and_is_one_row(store):
    check(store)
    assert places(store) == [("First.png", "watch", 1)]
    see(store, name="Second.png")
    see(store, NOW + 2 * DAY, source="extension", page="example.org", name="third.png")
    assert places(store) == [
        ("third.png", "extension", 1),
        ("Second.png", "page", 1),
        ("First.png", "watch", 1),
    ]
    assert [one.times_seen for one in entries(store)] == [3]


@pytest.mark.parametrize("typed", ["FIRST", "second", "Third"])
def test_it_is_found_by_each_of_its_names(store, typed):
    check(store)
    see(store, name="Second.png")
    see(store, source="watch", path="/home/anna/Pictures/third.png")
    assert len(entries(store, text=typed)) == 1
    assert entries(store, text="fourth") == []


def test_it_is_found_in_each_of_its_folders(store):
    check(store)
    see(store, source="watch", path="/home/anna/Pictures/a.png")
    for folder in ("/home/anna/Downloads", "/home/anna/Pictures", "/home"):
        assert len(entries(store, folder=folder)) == 1
    assert entries(store, folder="/home/anna/Music") == []


def test_the_same_place_again_is_counted_there(store):
    check(store)
    for day in (1, 3, 2):
        see(store, NOW + day * DAY, name="again.png")
    latest, _ = entries(store)[0].occurrences
    assert (latest.name, latest.times, latest.at) == ("again.png", 3, NOW + 3 * DAY)
    assert entries(store)[0].times_seen == 4


def test_a_file_of_a_watched_folder_is_seen_once_a_path(store):
    check(store)
    for path in (PATH, "/home/anna/b.png", "/home/anna/b.png"):
        with store.writing() as session:
            seen = Occurrence(at=NOW + DAY, source="watch", path=path)
            occurrences.add_file(session, SHA, seen)
    assert places(store) == [("b.png", "watch", 1), ("First.png", "watch", 1)]


def test_the_latest_places_are_kept_and_found(store):
    check(store)
    for n in range(MOST + 3):
        see(store, NOW + timedelta(minutes=n + 1), name=f"copy {n:03d}.png")
    names = [name for name, *_ in places(store)]
    assert len(names) == MOST + 1
    assert names[0] == f"copy {MOST + 2:03d}.png"
    assert entries(store, text="copy 002") == []
    assert len(entries(store, text="copy 003")) == 1


def test_a_moved_copy_does_not_take_the_first_files_place(store):
    check(store)
    see(store, source="watch", path="/home/anna/copy.png")
    with store.writing() as session:
        assert occurrences.moved(session, SHA, "/home/anna/copy.png", "/home/anna/Neu.png")
        assert not occurrences.moved(session, SHA, "/home/anna/none.png", "/home/anna/x.png")
    assert [name for name, *_ in places(store)] == ["Neu.png", "First.png"]
    assert len(entries(store, text="neu")) == len(entries(store, text="first")) == 1
    assert entries(store, text="copy") == entries(store, text="x.png") == []


def test_what_is_forgotten_is_not_noted(store):
    see(store, name="orphan.png")
    with store.reading() as session:
        assert occurrences.noted(session, [SHA]) == {}


def test_a_picture_that_waits_is_seen_again_and_then_found_by_both_names(store):
    with store.writing() as session:
        add_job(session, NewJob(source="api", priority=Priority.PERSON, sha256=SHA), NOW)
    see(store, name="second.png")
    check(store, source="api", path=None, name="first.png")
    with store.writing() as session:
        occurrences.include_names(session, SHA)
    assert len(entries(store, text="second")) == len(entries(store, text="first")) == 1


def test_two_models_say_two_things_of_one_file_that_was_seen_once(store):
    check(store)
    check(store, NOW + DAY, model="m@2")
    assert [one.times_seen for one in entries(store)] == [1, 1]


def test_forgetting_takes_all_names_and_places(store, tmp_path):
    victim = check(store)
    check(store, sha256="6" * 64)
    see(store, name="secret-name.png", page="secret.example")
    see(store, sha256="6" * 64, name="other.png")
    forgetting.forget(store, [victim.id], NOW + DAY)
    with store.reading() as session:
        assert occurrences.noted(session, [SHA, "6" * 64]).keys() == {"6" * 64}
    store.close()
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"secret" not in on_disk
    assert b"other.png" in on_disk


def test_places_go_with_the_last_check_of_their_picture(store):
    check(store)
    check(store, NOW + 10 * DAY, model="m@2")
    see(store, name="kept.png")
    forgetting.retire(store, NOW + 5 * DAY)
    with store.reading() as session:
        assert len(occurrences.noted(session, [SHA])) == 1
    forgetting.retire(store, NOW + 20 * DAY)
    with store.reading() as session:
        assert occurrences.noted(session, [SHA]) == {}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_holds_the_places_and_can_be_imported_twice(store, tmp_path, form):
    check(store)
    see(store, name='=1+1 "quoted", \udcff.png', page="example.org")
    see(store, name="again.png")
    see(store, NOW + 2 * DAY, name="again.png")
    exported = "".join(exchange.export(store, form))
    with open_(tmp_path / "other.db", NOW) as other:
        for added in (1, 0):
            lines = io.StringIO(exported, newline="")
            done = exchange.import_rows(other, lines, form, NOW)
            assert (done.added, done.refused) == (added, [])
            assert entries(other) == entries(store)
        assert len(entries(other, text="AGAIN")) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        '"no list"',
        "[1]",
        "{}",
        "[{}]",
        '[{"at": "soon"}]',
        '[{"at": "2026-01-31T12:00:00+00:00", "source": "fax"}]',
        '[{"at": "2026-01-31T12:00:00+00:00", "path": 7}]',
        '[{"at": "2026-01-31T12:00:00+00:00", "times": -1}]',
    ],
)
def test_places_that_make_no_sense_are_refused(store, wrong):
    row = f'{{"sha256": "{SHA}", "label": "real", "p_fake": 0.1, "occurrences": {wrong}}}'
    done = exchange.import_rows(store, [row], "jsonl", NOW)
    assert (done.added, len(done.refused)) == (0, 1)
    assert done.refused[0].startswith("Row 1:")


def insert_old(session, number, sha256, path, name):
    """Inserts a check as version 0004 did."""
    insert = text(
        "INSERT INTO checks (id, source, label, p_fake, model, prompt, sha256, path, name,"
        " name_key, ms) VALUES (:id, 'watch', 'real', 0.1, 'm@1', 'p@1', :sha256, :path, :name,"
        " :key, 1)"
    )
    key = (name or path.rpartition("/")[2]).casefold()
    about = {"id": number, "sha256": bytes.fromhex(sha256), "path": path, "name": name, "key": key}
    session.execute(insert, about)


def insert_old_file(session, path, identity, sha256, check_id):
    """Notes a file in the ledger as version 0004 did."""
    insert = text(
        "INSERT INTO files (path, size, mtime_ns, identity, sha256, check_id)"
        " VALUES (:path, 1, 1700000000000000000, :identity, :sha256, :check_id)"
    )
    about = {"path": path, "identity": identity, "check_id": check_id}
    session.execute(insert, about | {"sha256": bytes.fromhex(sha256)})


def test_copies_in_the_ledger_of_an_older_store_become_places(tmp_path):
    path = tmp_path / "old.db"
    with open_(path, NOW, migrations=Migrations(OURS.folder, "0004")) as old:
        first, other = ids.new_number(NOW), ids.new_number(NOW)
        with old.writing() as session:
            insert_old(session, first, SHA, PATH, None)
            insert_old(session, other, "6" * 64, None, "no-path.png")
            for n, (of, sha256, where) in enumerate(
                [
                    (first, SHA, PATH),
                    (first, SHA, "/home/anna/Größe.PNG"),
                    (other, "6" * 64, "/home/anna/unkept.png"),
                ]
            ):
                insert_old_file(session, where, f"1-{n}", sha256, of)
    with open_(path, NOW + DAY) as store:
        (entry,) = entries(store, text="GRÖSSE")
        assert [one.path for one in entry.occurrences] == [PATH, "/home/anna/Größe.PNG"]
        assert {one.at for one in entry.occurrences} == {entry.check.at}
        assert entries(store, text="unkept") == []
        assert len(entries(store, text="first")) == 1
        with store.reading() as session:
            assert session.scalar(text("SELECT count(*) FROM occurrences")) == 1
