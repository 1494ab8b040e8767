"""The orders of the history: each row once, page by page, forwards and backwards."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from antifake.core.errors import UsageError
from antifake.daemon.store import NotThereError, checks, history, open_store
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.history import Filter

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SORTS = ["newest", "oldest", "surest", "unsure"]


@pytest.fixture
def store(tmp_path):
    """Verdicts with ties on both sides of one half, and pictures without one."""
    with open_store(tmp_path / "app.db", NOW) as opened:
        with opened.writing() as session:
            for n, p_fake in enumerate([0.9, 0.1, 0.5, None, 0.7, 0.3, 0.3, None, 0.999999, None]):
                label = None if p_fake is None else "fake" if p_fake > 0.6 else "real"
                found = Finding(source="cli", label=label, p_fake=p_fake, path=f"/{n}.jpg")
                checks.add(session, found, NOW + timedelta(seconds=n))
        yield opened


def pages(store, sort, wanted=None, limit=3):
    found, after = [], None
    while True:
        with store.reading() as session:
            one = history.page(session, wanted, after, limit, sort)
        found += [entry.check for entry in one.entries]
        if (after := one.next) is None:
            return found


def sure(check):
    return None if check.p_fake is None else round(abs(check.p_fake - 0.5), 6)


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
@pytest.mark.parametrize("sort", SORTS)
def test_every_row_comes_once_whatever_the_order(store, sort, limit):
    found = pages(store, sort, limit=limit)
    assert len({check.id for check in found}) == len(found) == 10
    assert [check.id for check in found] == [check.id for check in pages(store, sort, limit=10)]


def test_the_surest_come_first_and_what_has_no_verdict_last(store):
    assert [sure(one) for one in pages(store, "surest")][:3] == [0.499999, 0.4, 0.4]
    assert [sure(one) for one in pages(store, "surest")][-4:] == [0.0, None, None, None]


def test_the_least_sure_come_first_and_what_has_no_verdict_last(store):
    found = [sure(one) for one in pages(store, "unsure")]
    assert found[0] == 0
    assert found[-4:] == [0.499999, None, None, None]
    assert all(a <= b for a, b in pairwise(found[:-3]))


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("wanted", [Filter(), Filter(label="real"), Filter(label="failed")])
def test_the_neighbours_are_those_of_the_list(store, sort, wanted):
    found = pages(store, sort, wanted)
    names = [None, *(check.id for check in found), None]
    for n, check in enumerate(found):
        with store.reading() as session:
            around = history.neighbours(session, check, wanted, sort)
        assert around == (names[n], names[n + 2])


def test_a_page_goes_on_after_a_row_that_was_deleted_meanwhile(store):
    with store.reading() as session:
        first = history.page(session, None, None, 3, "surest")
    with store.writing() as session:
        session.delete(session.get(history.CheckRow, history_number(first.entries[-1])))
    with store.reading() as session:
        following = history.page(session, None, first.next, 50, "surest").entries
    assert len(following) == 7


def history_number(entry):
    return checks.to_number(entry.check.id)


@pytest.mark.parametrize("after", ["x", "0000000000000~x", "~", "~0.1"])
def test_a_place_that_is_none_is_refused(store, after):
    with store.reading() as session, pytest.raises((NotThereError, UsageError)):
        history.page(session, None, after, 3, "surest")
