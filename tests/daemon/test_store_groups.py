"""Near-copies are one group in the history, on whatever pages they would be."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import combinations
from random import Random

import pytest
from sqlalchemy import text

from antifake.daemon.store import checks, forgetting, grouped, groups, history, open_store, ordering
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.history import Filter
from antifake.daemon.store.opening import OURS, Migrations
from antifake.daemon.store.similarity import ALIKE, bands, distance

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
A, B = 0x5A5A_1234_9ABC_0F0F, 0xA5A5_EDCB_6543_F0F0
SMOOTH = 0x0000_0000_0000_0003
SORTS = ("newest", "oldest", "surest", "unsure")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "app.db", NOW) as store:
        yield store


def add(store, phash, n, at=None, **about):
    known = {"source": "cli", "label": "real", "p_fake": 0.125, "model": "mini@1", "prompt": "p@1"}
    finding = Finding(**known | {"sha256": f"{n:064x}", "phash": phash} | about)
    with store.writing() as session:
        return checks.add(session, finding, at or NOW + timedelta(seconds=n)).id


def flipped(phash, places):
    for place in places:
        phash ^= 1 << place
    return phash


def pages(store, wanted=None, sort="newest", limit=7):
    """Returns all groups, page by page, and sees that no page has more than it may."""
    found, after = [], None
    with store.reading() as session:
        while True:
            page = grouped.page(session, wanted or Filter(), after, limit, sort)
            assert len(page.groups) <= limit
            found += page.groups
            if (after := page.next) is None:
                return found


def ids(group):
    return [one.check.id for one in (group.first, *group.copies)]


def filled(store, n=160):
    """Pictures of all kinds, among them groups that reach over several pages."""
    rng = Random(7)  # noqa: S311
    for number in range(n):
        phash = rng.choice([A, B, SMOOTH, None, rng.getrandbits(64), rng.getrandbits(64)])
        if phash in (A, B):
            phash = flipped(phash, rng.sample(range(64), rng.randrange(3)))
        p_fake = rng.choice([0.02, 0.5, 0.71, rng.random(), None])
        label = None if p_fake is None else "fake" if p_fake > 0.6 else "real"
        add(store, phash, number, label=label, p_fake=p_fake, source=rng.choice(["cli", "watch"]))


# --- Which pictures are in a group --------------------------------------------------------


def test_what_differs_in_up_to_four_bits_shares_a_band():
    rng = Random(3)  # noqa: S311
    for _ in range(2_000):
        phash = rng.getrandbits(64)
        copy = flipped(phash, rng.sample(range(64), rng.randrange(ALIKE + 1)))
        assert set(bands(phash)) & set(bands(copy))
    assert len(set(bands(0))) == ALIKE + 1


def test_a_near_copy_joins_and_another_picture_does_not(store):
    rng = Random(2)  # noqa: S311
    first = add(store, A, 0)
    for number in range(1, 30):
        add(store, flipped(A, rng.sample(range(64), ALIKE)), number)
        add(store, flipped(B, rng.sample(range(64), ALIKE + 20)), 100 + number)
    assert sum(one.n_copies == 29 for one in pages(store)) == 1
    with store.reading() as session:
        of_it = history.page(session, Filter(near=first)).entries
        assert history.count(session, Filter(near=first)) == len(of_it) == 30
    assert all(distance(one.check.phash, A) <= ALIKE for one in of_it)


def test_smooth_pictures_and_unread_ones_are_alone(store):
    for number, phash in enumerate([SMOOTH, SMOOTH, None, None]):
        add(store, phash, number)
    assert [one.n_copies for one in pages(store)] == [0, 0, 0, 0]


def test_the_nearest_of_two_groups_is_joined(store):
    other = flipped(A, range(ALIKE + 1))
    add(store, A, 0)
    add(store, other, 1)
    near = add(store, flipped(other, [0]), 2)
    first, second = pages(store)
    assert ids(first)[0] == near
    assert (first.n_copies, second.n_copies) == (1, 0)


# --- The list -----------------------------------------------------------------------------


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(label="fake"),
        Filter(label="failed"),
        Filter(source="watch"),
        Filter(text="x"),
    ],
)
def test_paging_neither_loses_nor_repeats_and_a_group_is_where_its_first_is(
    store, sort, wanted, monkeypatch
):
    monkeypatch.setattr(grouped, "MAX_COPIES", 500)
    filled(store)
    with store.reading() as session:
        rows = ordering.rows(session, partial(history.conditions, wanted), sort, None, 500)
        flat = [(checks.of_row(row).id, row.group_phash) for row in rows]
    expected = defaultdict(list)
    for name, group in flat:
        expected[name if group is None else group].append(name)
    found = [ids(group) for group in pages(store, wanted, sort)]
    assert found == list(expected.values())
    assert (wanted != Filter()) or max(map(len, found)) > 7


def test_a_group_is_at_the_place_of_its_newest_picture_that_meets_the_filter(store):
    add(store, A, 1, label="fake", p_fake=0.9)
    for number in range(2, 12):
        add(store, None, number, label="fake", p_fake=0.9)
    add(store, A, 50)
    assert ids(pages(store)[0])[0] == ids(pages(store, Filter(label="real"))[0])[0]
    last = pages(store, Filter(label="fake"))[-1]
    assert (len(ids(last)), last.n_copies) == (1, 0)
    assert [one.n_copies for one in pages(store)] == [1] + 10 * [0]


def test_of_many_near_copies_the_first_are_shown_and_all_are_counted(store):
    made = [add(store, A, number) for number in range(40)]
    (group,) = pages(store)
    assert group.n_copies == 39
    assert ids(group) == made[::-1][: grouped.MAX_COPIES + 1]


def test_a_new_near_copy_moves_the_group_to_the_front(store):
    add(store, A, 1)
    for number in range(2, 30):
        add(store, None, number)
    assert len(pages(store)[-1].copies) == 0
    add(store, flipped(A, [5, 60]), 99)
    assert len(pages(store)[0].copies) == 1
    assert sum(len(ids(group)) for group in pages(store)) == 30


@pytest.mark.parametrize("sort", SORTS)
def test_the_index_of_the_groups_is_used_whatever_the_filter(store, sort):
    wanted = partial(history.conditions, Filter(label="fake", source="watch", model="mini@1"))
    with store.reading() as session:
        for statement in ordering.statements(wanted, sort, None, is_grouped=True):
            compiled = statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
            plan = session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()
            inner = [row[3] for row in plan if "checks_1" in row[3]]
            assert len(inner) == 1
            assert "checks_by_group" in inner[0]


# --- When pictures go ---------------------------------------------------------------------


def hashes(store):
    """Returns every perceptual hash that is anywhere in the tables of checks and groups."""
    with store.reading() as session:
        found = session.execute(
            text(
                "SELECT phash FROM checks UNION SELECT group_phash FROM checks"
                " UNION SELECT phash FROM group_bands"
            )
        )
        return {one % 2**64 for (one,) in found if one is not None}


def test_a_forgotten_picture_leaves_its_hash_to_no_group(store):
    first = add(store, A, 0)
    for number in (1, 2, 3):
        add(store, flipped(A, range(number)), number)
    forgetting.forget(store, [first], NOW)
    assert A not in hashes(store)
    (group,) = pages(store)
    assert group.n_copies == 2
    add(store, flipped(A, [0]), 4)
    (group,) = pages(store)
    assert group.n_copies == 3
    forgetting.forget(store, ids(group), NOW)
    assert hashes(store) == set()


def test_groups_that_meet_after_one_was_forgotten_are_one(store):
    """What is left of a group may be led by a hash that leads another one already."""
    led = flipped(A, range(4))
    with store.writing() as session:
        groups.join(session, [A])
        groups.join(session, [flipped(A, range(9))])
    add(store, led, 1)
    with store.writing() as session:
        session.execute(text("UPDATE checks SET group_phash = 1"))
        groups._begin(session, [1])
        groups._begin(session, [led])
        groups.forget_first(session, [1])
    (group,) = pages(store)
    assert group.n_copies == 0
    assert 1 not in hashes(store)


def test_with_the_last_old_check_its_group_goes(store):
    add(store, A, 0, at=NOW - DAY)
    add(store, B, 1)
    forgetting.retire(store, NOW - timedelta(hours=1))
    assert hashes(store) == {B}


# --- An older history ---------------------------------------------------------------------


def test_an_older_history_is_grouped_as_if_it_were_added_now(tmp_path, store):
    old = Migrations(OURS.folder, "0009")
    insert = text(
        "INSERT INTO checks (id, source, model, prompt, ms, phash)"
        " VALUES (:id, 'cli', 'm', 'p', 1, :phash)"
    )
    filled(store)
    wanted = text("SELECT id, phash, group_phash FROM checks ORDER BY id")
    with store.reading() as session:
        rows = session.execute(wanted).all()
    with open_store(tmp_path / "old.db", NOW, migrations=old) as older, older.writing() as session:
        for number, phash, _group in rows:
            session.execute(insert, {"id": number, "phash": phash})
    with open_store(tmp_path / "old.db", NOW) as older:
        with older.reading() as session:
            assert session.execute(wanted).all() == rows
        assert hashes(older) == hashes(store)
        add(older, flipped(A, [1]), 900)
        assert max(one.n_copies for one in pages(older)) > ALIKE


def test_the_groups_of_a_filled_history_are_near_their_first(store):
    filled(store)
    with store.reading() as session:
        rows = session.execute(text("SELECT phash, group_phash FROM checks")).all()
    members = defaultdict(set)
    for phash, group in rows:
        if group is not None:
            assert distance(phash % 2**64, group % 2**64) <= ALIKE
            members[group % 2**64].add(phash % 2**64)
    assert all(distance(one, other) > ALIKE for one, other in combinations(members, 2))
