"""Exporting the history to a file and importing it again."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antifake.core.errors import UsageError
from antifake.daemon.store import checks, corrections, exchange, history, open_store
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import NewCorrection
from antifake.daemon.store.rows import from_cell, to_cell

NOW = datetime(2026, 11, 22, 12, 0, 0, 5000, tzinfo=UTC)
DAY = timedelta(days=1)
FORMS = pytest.mark.parametrize("form", ["csv", "jsonl"])
NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "'=1",
    "''@x",
    "'plain",
    "\tx",
    "\rx",
    'a"b,c',
    "a\nb\r\nc",
    "b\udcffd",
    "null\0",
    "\ufdd0",
    " ",
    "<b>",
    "ü",
]


def sha(n):
    return f"{n:064x}"


@pytest.fixture
def full(tmp_path):
    """A history with every kind of row."""
    with open_store(tmp_path / "full" / "app.db", NOW) as store:
        with store.writing() as session:
            for n, text in enumerate(NASTY):
                found = Finding(
                    source="watch",
                    label="fake",
                    p_fake=0.01 + n / 17.3,
                    model=text,
                    prompt="p@1",
                    sha256=sha(n),
                    phash=2**64 - 1 - n,
                    width=n,
                    height=1,
                    format="PNG",
                    path=f"/a/{text}",
                    page=text,
                    name=text,
                    ms=n / 3,
                    note=text,
                )
                checks.add(session, found, NOW + n * DAY)
            failed = Finding(source="cli", sha256=None, error="=Gone.", code="no_file")
            checks.add(session, failed, NOW - DAY)
            corrections.correct(session, [sha(0)], NewCorrection("real", "tray", "=note"), NOW)
            corrections.correct(session, [sha(1)], NewCorrection("fake", "cli"), NOW + DAY)
        yield store


@pytest.fixture
def empty(tmp_path):
    with open_store(tmp_path / "empty" / "app.db", NOW) as store:
        yield store


def export(store, form, wanted=None):
    return "".join(exchange.export(store, form, wanted))


def import_(store, text, form):
    return exchange.import_rows(store, io.StringIO(text, newline=""), form, NOW)


def entries(store):
    with store.reading() as session:
        return history.page(session).entries


@FORMS
def test_an_exported_and_imported_history_is_the_same(full, empty, form):
    text = export(full, form)
    text.encode()  # names that are not valid text are escaped
    done = import_(empty, text, form)
    assert (done.added, done.known, done.refused) == (len(NASTY) + 1, 0, [])
    assert entries(empty) == entries(full)
    assert export(empty, form) == text


@FORMS
def test_importing_twice_is_the_same_as_once(full, empty, form):
    text = export(full, form)
    import_(empty, text, form)
    again = import_(empty, text, form)
    assert (again.added, again.known, again.refused) == (0, len(NASTY) + 1, [])
    assert import_(full, text, form).known == len(NASTY) + 1
    assert export(empty, form) == text


@FORMS
def test_only_checks_that_match_the_filter_are_exported(full, form):
    wanted = history.Filter(since=NOW + 3 * DAY, until=NOW + 5 * DAY)
    assert sha(3) in (text := export(full, form, wanted))
    assert sha(4) in text
    assert sha(5) not in text


@pytest.mark.attack
def test_no_cell_is_a_formula_in_a_spreadsheet(full):
    for row in csv.reader(io.StringIO(export(full, "csv"), newline="")):
        assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in row)


@given(st.text())
def test_every_text_survives_export_and_import(text):
    cell = to_cell(text)
    cell.encode()
    assert not cell.startswith(tuple("=+-@\t\r"))
    assert from_cell(cell) == (text or None)


@FORMS
def test_of_two_corrections_of_one_picture_the_later_one_counts(full, empty, form):
    text = export(full, form)
    import_(empty, text, form)
    with empty.writing() as session:
        corrections.correct(session, [sha(0)], NewCorrection("unsure", "cli"), NOW + DAY)
        corrections.correct(session, [sha(1)], NewCorrection(None, "cli"), NOW + 2 * DAY)
    import_(empty, text, form)
    with empty.reading() as session:
        found = corrections.latest(session, [sha(0), sha(1)])
    assert {sha256: correction.label for sha256, correction in found.items()} == {sha(0): "unsure"}


GOOD = {"label": "real", "p_fake": 0.1, "sha256": sha(1), "at": "2026-01-01T00:00:00+00:00"}


NOT_NUMBER = "{} must be a number."
TOGETHER = "a label and a p_fake from 0 to 1 belong together."
TIME = "at must be a time like 2026-01-31T12:00:00+00:00."


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"label": "fake?"}, None),
        ({"p_fake": 1.5}, TOGETHER),
        ({"p_fake": None}, TOGETHER),
        ({"p_fake": "NaN"}, "p_fake must be a number from 0 on."),
        ({"p_fake": True}, "p_fake must be a number from 0 on."),
        ({"p_fake": "much"}, NOT_NUMBER.format("p_fake")),
        ({"sha256": "xyz"}, "sha256 must be 64 hex digits."),
        ({"sha256": 7}, "sha256 must be text."),
        ({"sha256": None}, "it has neither an id nor a sha256."),
        ({"phash": "0"}, "phash must be 16 hex digits."),
        ({"source": "nowhere"}, None),
        ({"id": "../x"}, None),
        ({"at": "yesterday"}, TIME),
        ({"at": "2026-01-01T00:00:00"}, "at must say its time zone."),
        ({"width": 1.5}, "width must be a whole number."),
        ({"height": -1}, "height must be a number from 0 on."),
        ({"width": 10**400}, NOT_NUMBER.format("width")),
        ({"ms": []}, NOT_NUMBER.format("ms")),
        ({"path": {}}, "path must be text."),
        ({"model": 3}, "model must be text."),
    ],
)
def test_an_invalid_row_is_left_out_and_reported(empty, wrong, sentence):
    rows = [GOOD | {"sha256": sha(5)}, GOOD | wrong, GOOD | {"sha256": sha(6)}]
    done = import_(empty, "\n".join(map(json.dumps, rows)), "jsonl")
    assert done.added == 2
    [refused] = done.refused
    if sentence is None:
        assert refused.startswith(f"Row 2: {'' if 'id' in wrong else next(iter(wrong))}")
        assert refused.endswith(".")
    else:
        assert refused == f"Row 2: {sentence}"


@pytest.mark.parametrize("line", ["nonsense", "[]", "3", "null", "[" * 100_000, '{"a": NaN'])
def test_a_line_that_is_no_json_object_is_left_out(empty, line):
    done = import_(empty, f"{line}\n{json.dumps(GOOD)}\n\n", "jsonl")
    assert (done.added, len(done.refused)) == (1, 1)


def test_rows_of_another_program_get_ids_and_are_known_the_next_time(empty):
    text = f"sha256,label,p_fake\n{sha(1)},fake,0.75\n{sha(2)},real,0.25\n"
    assert import_(empty, text, "csv").added == 2
    assert import_(empty, text, "csv").known == 2
    assert {entry.check.source for entry in entries(empty)} == {"import"}


def test_an_id_that_another_picture_has_is_not_given_twice(full):
    row = json.loads(export(full, "jsonl").splitlines()[0]) | {"sha256": sha(77)}
    done = import_(full, json.dumps(row), "jsonl")
    assert (done.added, len(done.refused)) == (0, 1)


@pytest.mark.parametrize("text", ["", "PNG\x00\x01", "a,b\n1,2\n"])
def test_a_file_that_is_not_a_history_is_refused(empty, text):
    with pytest.raises(UsageError, match="not a history"):
        import_(empty, text, "csv")
