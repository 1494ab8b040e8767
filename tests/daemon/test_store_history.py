"""The history: checks, corrections, and reading them page by page."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from sqlalchemy import event, insert, text

from antifake.core import AntifakeError
from antifake.core.parts import WHOLE, JudgedPart
from antifake.daemon.store import checks, corrections, history, ids, open_store, similarity
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import NewCorrection
from antifake.daemon.store.history import Filter
from antifake.daemon.store.tables import CheckRow

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)
DAY = timedelta(days=1)
REAL = NewCorrection("real", "tray")
FAKE = NewCorrection("fake", "cli", "it has six fingers")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "app.db", NOW) as store:
        yield store


def sha(n):
    return f"{n:064x}"


def finding(n=1, **more):
    about = {"source": "cli", "label": "real", "p_fake": 0.125, "model": "mini@1", "prompt": "p@1"}
    return Finding(**about | {"sha256": sha(n)} | more)


def add(store, *findings, at=NOW):
    with store.writing() as session:
        return [checks.add(session, one, at) for one in findings]


def correct(store, word, *numbers, at=NOW):
    with store.writing() as session:
        corrections.correct(session, [sha(n) for n in numbers], word, at)


def correction_of(store, n=1):
    with store.reading() as session:
        return corrections.latest(session, [sha(n)]).get(sha(n))


def page(store, wanted=None, after=None, limit=50):
    with store.reading() as session:
        return history.page(session, wanted, after, limit)


# --- Ids of checks ------------------------------------------------------------------------


def test_an_id_sorts_by_time_and_contains_it():
    rng = Random(1)  # noqa: S311
    moments = [NOW + timedelta(milliseconds=n) for n in range(-1000, 1000)]
    numbers = [ids.new_number(moment, rng.randbytes) for moment in moments]
    texts = [ids.to_text(number) for number in numbers]
    assert texts == sorted(texts)
    assert [ids.time_of(ids.to_number(one)) for one in texts] == moments
    assert {len(one) for one in texts} == {13}


@pytest.mark.parametrize("name", ["", "1", "u" * 13, "zzzzzzzzzzzzz", "../etc/passwd", "é" * 13])
def test_an_invalid_id_is_refused(name):
    with pytest.raises(AntifakeError):
        ids.to_number(name)


def test_two_checks_that_draw_the_same_id_in_one_millisecond_get_different_ones(store):
    with store.writing() as session:
        made = [checks.add(session, finding(n), NOW, bytes) for n in range(3)]
    assert len({check.id for check in made}) == 3
    assert {check.at for check in made} == {NOW}


# --- Checks -------------------------------------------------------------------------------


def test_a_check_is_read_as_it_was_written(store):
    whole = finding(
        phash=2**64 - 1,
        width=640,
        height=480,
        format="JPEG",
        page="https://a.example/",
        path="/home/anna/b\udcffd\n\ufdd0\0.png",
        ms=46.25,
        note="Rows are missing.",
    )
    (check,) = add(store, whole)
    with store.reading() as session:
        found = checks.get(session, check.id)
    assert found == check
    assert all(getattr(found, name) == value for name, value in vars(whole).items())
    assert found.at == NOW


def test_an_unknown_check_is_an_error_with_a_message(store):
    with store.reading() as session, pytest.raises(AntifakeError, match="no check"):
        checks.get(session, ids.to_text(7))


def test_an_earlier_verdict_is_reused_only_for_the_same_model_and_prompt(store):
    parts = (JudgedPart(WHOLE, 0.125),)
    first, *_ = add(
        store,
        finding(parts=parts),
        finding(model="mini@2", parts=parts),
        finding(prompt="p@2", parts=parts),
        finding(2, label=None, p_fake=None, error="Damaged.", code="unreadable"),
    )
    with store.reading() as session:
        assert checks.earlier(session, sha(1), "mini@1", "p@1") == first
        assert checks.earlier(session, sha(1), "mini@3", "p@1") is None
        assert checks.earlier(session, sha(2), "mini@1", "p@1") is None


def test_a_verdict_of_before_parts_were_judged_is_not_reused(store):
    add(store, finding())
    with store.reading() as session:
        assert checks.earlier(session, sha(1), "mini@1", "p@1") is None


# --- Corrections --------------------------------------------------------------------------


def test_the_last_label_counts_and_undo_restores_the_one_before_exactly(store):
    add(store, finding())
    correct(store, FAKE, 1)
    before = correction_of(store)
    correct(store, REAL, 1, at=NOW + DAY)
    correct(store, NewCorrection("unsure", "cli"), 1, at=NOW + 2 * DAY)
    with store.writing() as session:
        assert corrections.undo(session, sha(1), "cli", NOW + 3 * DAY).label == "real"
        assert corrections.undo(session, sha(1), "cli", NOW + 3 * DAY) == before
    assert correction_of(store) == before
    assert (before.label, before.note, before.at) == ("fake", "it has six fingers", NOW)
    with store.writing() as session:
        assert corrections.undo(session, sha(1), "cli", NOW + 4 * DAY) is None
        with pytest.raises(AntifakeError, match="nothing to undo"):
            corrections.undo(session, sha(1), "cli", NOW + 4 * DAY)
    assert correction_of(store) is None


def test_a_label_can_be_removed_and_the_removal_undone(store):
    add(store, finding())
    correct(store, FAKE, 1)
    before = correction_of(store)
    correct(store, NewCorrection(None, "tray"), 1, at=NOW + DAY)
    assert correction_of(store) is None
    with store.writing() as session:
        assert corrections.undo(session, sha(1), "tray", NOW + DAY) == before


def test_no_row_of_a_label_is_ever_changed(store):
    add(store, finding())
    for word in (FAKE, REAL, NewCorrection(None, "cli")):
        correct(store, word, 1)
    with store.writing() as session:
        corrections.undo(session, sha(1), "cli", NOW)
        rows = session.execute(text("SELECT label FROM corrections ORDER BY seq")).all()
    assert [label for (label,) in rows] == ["fake", "real", None, "real"]


def test_many_pictures_are_corrected_at_once_or_none(store):
    add(store, finding(1), finding(2))
    with pytest.raises(AntifakeError):
        correct(store, FAKE, 1, 2, 3)
    assert correction_of(store) is None
    correct(store, FAKE, 1, 2)
    assert correction_of(store, 2).label == "fake"


def flipped(phash, bits):
    for bit in bits:
        phash ^= 1 << bit
    return phash


def alike(store, phash, at_most=similarity.ALIKE):
    with store.reading() as session:
        return corrections.of_near_copies(session, [phash], at_most).get(phash)


def test_a_near_copy_of_a_corrected_picture_gets_its_label(store):
    rng = Random(2)  # noqa: S311
    phash = rng.getrandbits(64)
    add(store, finding(phash=phash))
    correct(store, FAKE, 1)
    for _ in range(200):
        order = rng.sample(range(64), 8)
        assert alike(store, flipped(phash, order[:7]), 7) == correction_of(store)
        assert alike(store, flipped(phash, order[:4])) == correction_of(store)
        assert alike(store, flipped(phash, order[:5])) is None


def test_the_nearest_of_several_labels_counts_and_a_removed_one_does_not(store):
    phash = 0x123456789ABCDEF0
    add(store, finding(1, phash=phash), finding(2, phash=flipped(phash, [0, 20])))
    correct(store, REAL, 1)
    correct(store, FAKE, 2)
    assert alike(store, flipped(phash, [20])).label == "fake"
    assert alike(store, flipped(phash, [63])).label == "real"
    correct(store, NewCorrection(None, "cli"), 2)
    assert alike(store, flipped(phash, [0, 20])).label == "real"


def test_smooth_pictures_have_the_same_hash_but_are_not_near_copies(store):
    add(store, finding(phash=0), finding(2, phash=2**64 - 1))
    correct(store, FAKE, 1, 2)
    assert alike(store, 0) is alike(store, 1) is alike(store, 2**64 - 1) is None


# --- Pages --------------------------------------------------------------------------------


def test_pages_go_back_in_time_and_skip_nothing_while_rows_arrive(store):
    made = [add(store, finding(n), at=NOW + timedelta(seconds=n))[0].id for n in range(25)]
    first = page(store, limit=10)
    add(store, finding(99), at=NOW + DAY)
    second = page(store, after=first.next, limit=10)
    third = page(store, after=second.next, limit=10)
    seen = [entry.check.id for one in (first, second, third) for entry in one.entries]
    assert seen == made[::-1]
    assert third.next is None


def test_every_filter_returns_what_it_promises(store):
    add(
        store,
        finding(1, source="watch", label="fake", p_fake=0.9, path="/home/anna/Ünder/CAT_1.png"),
        at=NOW - DAY,
    )
    add(store, finding(2, source="tray", path="/home/anna/Underneath/cat%2.png", model="mini@2"))
    add(store, finding(3, label=None, p_fake=None, error="Damaged.", path="C:\\a\\dog\udcff.png"))
    correct(store, FAKE, 2)

    def found(**wanted):
        with store.reading() as session:
            numbers = {
                int(e.check.sha256, 16) for e in history.page(session, Filter(**wanted)).entries
            }
            assert history.count(session, Filter(**wanted)) == len(numbers)
        return numbers

    assert found() == {1, 2, 3}
    assert found(label="fake") == {1}
    assert found(label="failed") == {3}
    assert found(source="tray") == {2}
    assert found(since=NOW) == {2, 3}
    assert found(until=NOW) == {1}
    assert found(corrected=True) == {2}
    assert found(corrected=False) == {1, 3}
    assert found(text="cat") == {1, 2}
    assert found(text="%") == {2}
    assert found(text="_") == {1}
    assert found(text="anna") == set()
    assert found(text="g\udcff") == {3}
    assert found(folder="/home/anna") == {1, 2}
    assert found(folder="/home/anna/Under") == set()
    assert found(folder="C:\\a") == {3}
    assert found(model="mini@2") == {2}
    assert found(label="real", source="tray", corrected=True, text="CAT") == {2}


def test_a_page_shows_the_users_label_and_whether_there_is_a_thumbnail(store):
    add(store, finding(1), finding(2))
    correct(store, FAKE, 1)
    with store.writing() as session:
        checks.keep_thumbnail(session, sha(2), b"RIFF....WEBP", NOW)
        checks.keep_thumbnail(session, sha(2), b"RIFF...2WEBP", NOW)
        with pytest.raises(ValueError, match="thumbnail"):
            checks.keep_thumbnail(session, sha(1), bytes(50_000), NOW)
    entries = {int(entry.check.sha256, 16): entry for entry in page(store).entries}
    assert entries[1].correction == correction_of(store)
    assert not entries[1].has_thumbnail
    assert entries[2].correction is None
    assert entries[2].has_thumbnail
    with store.reading() as session:
        assert checks.thumbnail(session, sha(2)) == b"RIFF...2WEBP"
        assert checks.thumbnail(session, sha(1)) is None


def test_days_are_counted_by_label_in_the_users_time_zone(store):
    night = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    add(store, finding(1), finding(2), finding(3, label="fake", p_fake=0.9), at=night)
    add(store, finding(4), at=night + timedelta(hours=1))

    def counts(**where):
        with store.reading() as session:
            found = history.count_by_day(session, NOW - DAY, NOW + DAY, **where)
        return [(str(one.day), one.label, one.n) for one in found]

    assert counts() == [
        ("2026-11-22", "fake", 1),
        ("2026-11-22", "real", 2),
        ("2026-11-23", "real", 1),
    ]
    assert counts(utc_offset=timedelta(hours=1)) == [
        ("2026-11-23", "fake", 1),
        ("2026-11-23", "real", 3),
    ]


# --- A large history ----------------------------------------------------------------------

ROWS = 3_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    rng = Random(4)  # noqa: S311
    with open_store(tmp_path_factory.mktemp("large") / "app.db", NOW) as store:
        for start in range(0, ROWS, 1_000):
            rows = [_large_row(n, rng) for n in range(start, start + 1_000)]
            with store.writing() as session:
                session.execute(insert(CheckRow), rows)
        yield store


def _large_row(n, rng):
    name = f"holiday-{n:06d}.jpg"
    return {
        "id": ids.new_number(NOW + timedelta(seconds=n), rng.randbytes),
        "source": "watch",
        "label": rng.choice(["real", "real", "fake", "unsure"]),
        "p_fake": rng.random(),
        "model": "mini@1f3a90c2",
        "prompt": "mini-v1@8a2bc311",
        "sha256": rng.randbytes(32).hex(),
        "phash": rng.getrandbits(64),
        "certainty": rng.random() / 2,
        "width": 1920,
        "height": 1080,
        "format": "JPEG",
        "path": f"/home/anna/Downloads/2026/{name}",
        "name_key": name,
        "ms": 46.2,
    }


def plan(store, wanted, after, sort="newest"):
    asked = []
    note = lambda *told: asked.append(told[2:4])  # noqa: E731
    event.listen(store.database.engine, "before_cursor_execute", note)
    with store.reading() as session:
        session.execute(history.select_page(wanted, after, 51, sort))
        event.remove(store.database.engine, "before_cursor_execute", note)
        query, values = asked[-1]
        rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    return " | ".join(row[3] for row in rows)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "INTEGER PRIMARY KEY"),
        (Filter(since=NOW, until=NOW + DAY), "INTEGER PRIMARY KEY"),
        (Filter(label="fake"), "checks_by_label"),
        (Filter(source="tray"), "checks_by_source"),
        (Filter(corrected=True), "checks_by_picture"),
    ],
)
def test_a_page_is_read_with_an_index(large, wanted, index):
    after = ids.to_text(ids.first_number(NOW + timedelta(seconds=ROWS // 2)))
    found = plan(large, wanted, after)
    assert index in found
    assert "SCAN checks" not in found
    if wanted.corrected is None:
        assert "TEMP B-TREE" not in found


@pytest.mark.parametrize("sort", ["surest", "unsure"])
def test_a_page_in_the_order_of_certainty_is_read_with_its_index(large, sort):
    after = f"{ids.to_text(ids.first_number(NOW))}~0.25"
    found = plan(large, Filter(), after, sort)
    assert "checks_by_certainty" in found
    assert "TEMP B-TREE" not in found


def test_paging_through_a_large_history_reads_each_row_once(large):
    names, after = [], None
    while True:
        one = page(large, after=after, limit=500)
        names += [entry.check.id for entry in one.entries]
        if (after := one.next) is None:
            break
    assert len(names) == ROWS
    assert all(a > b for a, b in pairwise(names))


def test_the_time_for_pages_of_a_large_history_is_printed(large):
    middle = ids.to_text(ids.first_number(NOW + timedelta(seconds=ROWS // 2)))
    for what, wanted in {
        "any": Filter(),
        "label": Filter(label="fake"),
        "name, one hit": Filter(text="050000"),
        "name, no hit": Filter(text="nothing"),
        "corrected": Filter(corrected=True),
    }.items():
        began = time.perf_counter()
        page(large, wanted, middle if what == "any" else None)
        print(f"page of {ROWS:,}, {what}: {(time.perf_counter() - began) * 1000:.1f} ms")
