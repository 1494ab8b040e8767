"""Notifications: few, in words, and each picture is notified once."""

import math
import re
from itertools import pairwise
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antifake.daemon.tray.notifications import (
    APART_S,
    WORDS,
    NotificationBundle,
    picture_event,
    shortened,
)
from antifake.daemon.tray.view_model import judgements, view_of

VERDICTS = {
    "fake": "likely AI-made",
    "real": "likely real",
    "unsure": "cannot tell",
    None: "not checked",
}


def event(label="fake", source="watch", name="holiday.png", error=None):
    return {
        "id": "c1",
        "label": label,
        "word": VERDICTS[label],
        "source": source,
        "name": name,
        "error": error,
    }


def told(bundle, arrivals):
    """Returns (time, note) of all notifications, each taken as soon as it is due."""
    notes = []

    def look(now):
        notes.append((now, bundle.take(now)))

    for at, what in sorted(arrivals, key=itemgetter(0)):
        while bundle.due < at:
            look(bundle.due)
        bundle.add(picture_event(what))
        if bundle.due <= at:
            look(at)
    while bundle.due < math.inf:
        look(bundle.due)
    return notes


def pictures_in(note):
    found = re.match(r"([\d,]+) (more )?pictures$", note.title)
    return int(found[1].replace(",", "")) if found else 1


def test_fifty_pictures_in_ten_seconds_make_two_notifications():
    notes = told(NotificationBundle("all"), [(i / 5, event()) for i in range(50)])
    assert [(now, note.title) for now, note in notes] == [
        (0, "Likely AI-made"),
        (10, "49 more pictures"),
    ]
    assert notes[1][1].text == "49 look AI-made."


def test_the_second_one_counts_each_kind():
    bundle = NotificationBundle("all")
    bundle.add(picture_event(event()))
    assert bundle.take(0).text == "holiday.png"
    for label in ("fake", "real", "real", "unsure", None):
        bundle.add(picture_event(event(label)))
    assert bundle.take(5) is None
    assert bundle.take(10).text == (
        "1 looks AI-made, 2 look real, cannot tell about 1, 1 could not be checked."
    )


moments = st.integers(0, 600).map(lambda eighths: eighths / 8)  # exact in binary
arrivals = st.lists(
    st.tuples(moments, st.sampled_from(["fake", "real", "unsure", None])),
    min_size=1,
    max_size=60,
)


@given(arrivals)
def test_each_picture_is_notified_once_and_soon_and_never_as_fake(given_arrivals):
    notes = told(NotificationBundle("all"), [(at, event(label)) for at, label in given_arrivals])
    assert sum(pictures_in(note) for _, note in notes) == len(given_arrivals)
    for at, _ in given_arrivals:
        assert any(at <= now <= at + APART_S for now, _ in notes)
    words = [(note.title, note.text, [WORDS[one] for one in note.presses]) for _, note in notes]
    assert "fake" not in repr(words).lower()


@given(arrivals, moments)
def test_events_within_ten_seconds_make_two_notifications(given_arrivals, start):
    """Other events happen before and after."""
    bundle = NotificationBundle("all")
    notes = told(bundle, [(at, event(label)) for at, label in given_arrivals])
    moments = [now for now, _ in notes]
    assert all(later - earlier >= APART_S for earlier, later in pairwise(moments))
    inside = [at for at, _ in given_arrivals if start <= at < start + APART_S]
    telling = {min(now for now in moments if now >= at) for at in inside}
    assert len(telling) <= 2


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        ("none", set()),
        ("errors", {None}),
        ("ai", {None, "fake"}),
        ("all", {None, "fake", "real", "unsure"}),
    ],
)
def test_the_user_chooses_what_is_notified(level, wanted):
    for label in VERDICTS:
        bundle = NotificationBundle(level)
        bundle.add(picture_event(event(label)))
        assert (bundle.take(0) is not None) == (label in wanted)


@pytest.mark.parametrize("basis", ["signed", "marked"])
def test_a_picture_whose_file_says_that_ai_made_it_is_notified_as_such(basis):
    declared = event("real") | {"basis": basis, "summary": "Marked as AI-made"}
    heard = picture_event(declared)
    assert (heard.kind, heard.note.title) == ("ai", "Marked as AI-made")
    view = view_of({"mode": "ready"}, [declared])
    assert judgements(view.recent[0])[0] == ("Yes, that's right", "fake")
    assert picture_event(event("real") | {"basis": "model"}).kind == "real"


def test_choosing_fewer_notifications_drops_waiting_ones():
    bundle = NotificationBundle("all")
    bundle.snooze(100)
    bundle.add(picture_event(event("real")))
    bundle.set_level("ai")
    assert bundle.due == math.inf


@pytest.mark.parametrize("source", ["extension", "tray", "cli", "api", "import"])
def test_a_user_who_asked_sees_the_answer_and_is_not_notified(source):
    assert picture_event(event(source=source)) is None


def test_a_snooze_holds_notifications_back_and_then_shows_one():
    bundle = NotificationBundle("all")
    bundle.snooze(3600)
    for _ in range(7):
        bundle.add(picture_event(event()))
    assert bundle.take(3599) is None
    note = bundle.take(3600)
    assert (note.title, note.text) == ("7 pictures", "7 look AI-made.")


def test_a_snooze_can_be_ended_early():
    bundle = NotificationBundle("all")
    bundle.snooze(3600)
    bundle.add(picture_event(event()))
    bundle.wake(5)
    assert bundle.take(15).title == "Likely AI-made"


def test_a_picture_that_could_not_be_checked_is_notified_with_the_reason():
    note = picture_event(
        event(None, error="This is not an image that can be read: it is cut off.")
    ).note
    assert note.title == "Could not be checked"
    assert note.text == "holiday.png: This is not an image that can be read: it is cut off."


@pytest.mark.attack
@given(st.text(max_size=300))
def test_names_fit_one_line_and_carry_no_markup(name):
    shown = shortened(name)
    assert len(shown) <= 40
    assert all(char.isprintable() for char in shown)
    assert not set(shown) & set("<>&")


def test_a_long_name_keeps_its_end():
    assert shortened("a" * 100 + ".png").endswith("a.png")


@pytest.mark.attack
def test_a_name_cannot_change_the_direction_of_the_line():
    assert "\u202e" not in shortened("photo\u202egnp.exe")
