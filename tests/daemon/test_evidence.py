"""What files say of themselves is kept beside the verdicts, and makes the headline of an answer."""

import csv
import io
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest
from kit.daemon import contents, running_daemon
from kit.evidence import AUTHORITY
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest
from kit.pictures import picture, saved
from PIL.PngImagePlugin import PngInfo

from antifake.core.decoder import Decoder
from antifake.core.detector import load_detector
from antifake.core.evidence.file_evidence import VERSION, FileEvidence
from antifake.core.evidence.file_marks import FileMarks
from antifake.core.evidence.marks import Mark
from antifake.core.evidence.provenance import Provenance
from antifake.core.evidence.reading import EvidenceReader, read_marks
from antifake.core.pipeline import judge_all
from antifake.daemon.client import Client, Socket
from antifake.daemon.commands.check_by_daemon import judged_there
from antifake.daemon.service import Answer
from antifake.daemon.store import checks, evidence, exchange, forgetting, history, open_store
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import Correction
from antifake.daemon.store.history import Entry, Filter

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONTRACT = Path(__file__).parents[1] / "contract"
SHA = "5a" * 32
PROMPT = "a heron in the rain by a lake that nobody else has written"
RECIPE = FileEvidence(FileMarks((Mark("webui", "recipe", "PNG parameters"),)))
SIGNED = FileEvidence(
    provenance=Provenance(
        content="intact", signer="known", says="ai", by="source", name="Maker Ltd", lists=()
    )
)
UNREAD = FileEvidence(provenance=Provenance("timeout", content="unreadable"))


def with_recipe(seed: int, size: int = 96) -> bytes:
    """Returns a PNG with the note that the WebUI of Stable Diffusion leaves."""
    note = PngInfo()
    settings = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 96x96, Model: x"
    note.add_text("parameters", f"{PROMPT}\n{settings}")
    return saved(picture(seed, size), "PNG", pnginfo=note)


# --- The table --------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "history.db", NOW) as store:
        yield store


def kept(store, *files):
    """Keeps evidence of one picture, one after another, and returns what is known then."""
    with store.writing() as session:
        for file in files:
            evidence.keep(session, SHA, file, NOW)
    with store.reading() as session:
        return evidence.of_pictures(session, [SHA]).get(SHA)


def test_what_a_file_says_comes_back_as_it_was(store, fixtures):
    folder, expected = fixtures
    authority = (folder / AUTHORITY).read_text()
    bases = set()
    with EvidenceReader(authority) as reader, store.writing() as session:
        for number, name in enumerate(expected):
            sha256, data = f"{number:064x}", (folder / name).read_bytes()
            try:
                marks = read_marks(data)
            except OSError:
                continue
            file = reader.read(data, marks, None)
            evidence.keep(session, sha256, file, NOW)
            assert evidence.of_pictures(session, [sha256]) == {sha256: file}, name
            bases.add(file.basis)
    assert bases >= {"marked", "none"}


def test_evidence_that_is_as_complete_is_kept_and_a_better_one_replaces_it(store):
    assert kept(store, UNREAD, RECIPE) == RECIPE  # what could not be read has been read now
    assert kept(store, UNREAD) == RECIPE
    assert kept(store, SIGNED) == RECIPE
    store.database.run("UPDATE evidence SET version = 0")
    assert kept(store, SIGNED) == SIGNED


def test_what_cannot_be_understood_any_more_is_as_if_it_were_not_there(store):
    kept(store, RECIPE)
    store.database.run("""UPDATE evidence SET file = '{"marks": {"found": [7]}}'""")
    with store.reading() as session:
        assert evidence.of_pictures(session, [SHA]) == {}


def finding(sha256=SHA, **about):
    return Finding(source="cli", label="real", p_fake=0.1, sha256=sha256, **about)


def test_the_history_shows_what_a_file_says_and_finds_those_that_say_ai(store):
    with store.writing() as session:
        for number, file in enumerate([RECIPE, SIGNED, FileEvidence(), None]):
            sha256 = f"{number:064x}"
            checks.add(session, finding(sha256), NOW)
            if file:
                evidence.keep(session, sha256, file, NOW)
        checks.add(session, finding(None), NOW)
    with store.reading() as session:
        entries = {one.check.sha256: one.file for one in history.page(session).entries}
        assert entries[f"{0:064x}"] == RECIPE
        assert entries[f"{3:064x}"] is None
        for wanted, numbers in ((True, {0, 1}), (False, {2, 3, None})):
            page = history.page(session, Filter(declared=wanted))
            found = {one.check.sha256 and int(one.check.sha256, 16) for one in page.entries}
            assert found == numbers
            assert history.count(session, Filter(declared=wanted)) == len(numbers)


def test_evidence_goes_with_its_picture(store):
    with store.writing() as session:
        check = checks.add(session, finding(), NOW)
        checks.add(session, finding("6b" * 32), NOW)
    kept(store, RECIPE)
    forgetting.forget(store, [check.id], NOW)
    with store.reading() as session:
        assert evidence.of_pictures(session, [SHA]) == {}
    with store.writing() as session:
        evidence.keep(session, "6b" * 32, RECIPE, NOW)
    assert forgetting.retire(store, NOW.replace(year=2027)) == 1
    with store.reading() as session:
        assert evidence.of_pictures(session, ["6b" * 32]) == {}


# --- The answer -------------------------------------------------------------------------------


def answer(file=None, label="real", p_fake=0.1, **about) -> Answer:
    check = checks.Check(
        id="38g5me1wptpzh",
        source="cli",
        label=label,
        p_fake=p_fake,
        model="mini@1",
        prompt="p@1",
        parts=(),
    )
    return Answer(Entry(check, about.get("said"), has_thumbnail=False, file=file))


SAID = Correction(SHA, "real", "", "cli", NOW)


@pytest.mark.parametrize(
    ("found", "headline", "summary", "basis", "shown_as"),
    [
        (answer(), "Likely real", "Likely real (90 %)", "model", "real"),
        (answer(FileEvidence()), "Likely real", "Likely real (90 %)", "model", "real"),
        (answer(RECIPE), "Marked as AI-made", "Marked as AI-made", "marked", "fake"),
        (answer(SIGNED), "Declared AI-made", "Declared AI-made", "signed", "fake"),
        (answer(SIGNED, "fake", 0.99), "Declared AI-made", "Declared AI-made", "signed", "fake"),
        (answer(SIGNED, said=SAID), "You said: real", "You said: real", "you", "real"),
        (answer(UNREAD, "fake", 0.95), "AI-made", "AI-made (95 %)", "model", "fake"),
    ],
)
def test_the_headline_is_of_the_file_and_the_words_stay_the_models(
    found, headline, summary, basis, shown_as
):
    assert (found.headline, found.summary) == (headline, summary)
    assert (found.basis, found.shown_as) == (basis, shown_as)
    without = replace(found, entry=replace(found.entry, file=None))
    same = ("label", "word", "is_sure", "percent")
    assert [getattr(found, name) for name in same] == [getattr(without, name) for name in same]


def test_the_explanation_says_what_the_file_says_and_what_contradicts_it():
    said = answer(SIGNED).explanation
    assert said[0] == (
        "Maker Ltd signed that AI made it. "
        "The model found no trace of AI; the signer's word counts more."
    )
    assert said[1].startswith("The model (mini@1")
    said = answer(SIGNED, said=SAID).explanation
    assert said[0].startswith("You said so on")
    assert "you said that it is real" in " ".join(said)
    assert answer(FileEvidence()).explanation == answer().explanation


# --- The daemon -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


OLDER = "UPDATE evidence SET version = 0 WHERE sha256 = ?"


def rows(daemon, sql, *values):
    with sqlite3.connect(daemon.places.database) as database:
        return database.execute(sql, values).fetchall()


def answered(daemon, data, **fields) -> Answer:
    return daemon.service.ticket(daemon.check(data, **fields).json["id"]).answer


def test_a_judged_picture_has_what_its_file_says(daemon, fixtures):
    folder, _ = fixtures
    for name, basis in (
        ("comfy.png", "marked"),
        ("c2pa_ai.jpg", "marked"),
        ("camera.jpg", "model"),
    ):
        found = answered(daemon, (folder / name).read_bytes())
        assert found.basis == basis, name
        assert found.entry.check.label, name
        again = daemon.service.get(found.id)
        assert again.entry.file == found.entry.file, name
        assert again.entry.file is not None, name
    assert answered(daemon, (folder / "c2pa_ai.jpg").read_bytes()).card.file.provenance.says == "ai"


def test_a_picture_that_cannot_be_judged_has_what_its_file_says(daemon):
    reply = daemon.check(with_recipe(50, size=8))
    assert reply.status == 422
    found = daemon.service.get(reply.json["check"]["id"])
    assert found.entry.check.code == "too_small"
    assert (found.word, found.headline) == ("not checked", "Marked as AI-made")
    assert found.explanation[0].startswith("The file holds Stable Diffusion's recipe")


def test_a_known_picture_that_was_not_looked_at_yet_is_looked_at_when_it_comes_again(daemon):
    first = answered(daemon, with_recipe(51))
    sha256 = first.entry.check.sha256
    for change in ("DELETE FROM evidence WHERE sha256 = ?", OLDER):
        n_checks = rows(daemon, "SELECT count(*) FROM checks")
        rows(daemon, change, bytes.fromhex(sha256))
        again = answered(daemon, with_recipe(51))
        assert (again.id, again.headline) == (first.id, "Marked as AI-made")
        assert rows(daemon, "SELECT count(*) FROM checks") == n_checks
        wanted = "SELECT version FROM evidence WHERE sha256 = ?"
        assert rows(daemon, wanted, bytes.fromhex(sha256)) == [(VERSION,)]


def test_of_a_private_picture_the_answer_says_it_and_nothing_is_stored(daemon):
    before = rows(daemon, "SELECT count(*) FROM evidence")
    found = answered(daemon, with_recipe(52), private="true")
    assert not found.is_stored
    assert found.headline == "Marked as AI-made"
    assert rows(daemon, "SELECT count(*) FROM evidence") == before


def test_no_word_of_a_prompt_is_on_the_disk(daemon):
    answered(daemon, with_recipe(53))
    for path, found in contents(daemon.places.data.parent):
        assert PROMPT.encode() not in found, path


# --- API, command line, export ----------------------------------------------------------------


def test_the_api_says_what_the_file_says_and_finds_it_again(daemon):
    check = daemon.check(with_recipe(60)).json
    assert (check["headline"], check["basis"]) == ("Marked as AI-made", "marked")
    schema = json.loads((CONTRACT / "evidence.schema.json").read_text("utf-8"))
    jsonschema_rs.validate(schema, check["evidence"])
    assert check["evidence"]["tracks"]["marks"]["found"][0]["maker"] == "webui"
    plain = daemon.check(saved(picture(61), "PNG")).json
    for wanted, there, absent in (("true", check, plain), ("false", plain, check)):
        found = daemon.get(f"/checks?limit=500&declared={wanted}").json["checks"]
        assert there in found, wanted
        assert absent["id"] not in [one["id"] for one in found], wanted


@pytest.mark.parametrize(
    "name", ["c2pa_ai.jpg", "comfy.png", "camera.jpg", "small", "plain", "no picture"]
)
def test_check_prints_the_same_with_the_daemon_as_without_it(daemon, fixtures, tmp_path, name):
    path = tmp_path / "one.png"
    made = {"small": with_recipe(62, 8), "plain": saved(picture(63), "PNG"), "no picture": b"text"}
    path.write_bytes(made.get(name) or (fixtures[0] / name).read_bytes())
    (there,) = judged_there(Client(Socket(daemon.port, daemon.secret)), [path])
    detector, _note = load_detector(daemon.places.home)
    with Decoder(size=28, view="whole") as decoder:
        (here,) = judge_all(detector, decoder, [path])
    assert there.evidence == json.loads(json.dumps(here.evidence))
    assert (there.headline, there.basis) == (here.headline, here.basis)
    for how in ({"percent": False}, {"percent": True}, {"percent": True, "whole_card": True}):
        assert there.to_text(**how) == here.to_text(**how)


def test_an_export_has_what_files_say_and_an_import_takes_it_back(store, tmp_path):
    with store.writing() as session:
        checks.add(session, finding(), NOW)
        evidence.keep(session, SHA, RECIPE, NOW)
    texts = {form: "".join(exchange.export(store, form)) for form in ("csv", "jsonl")}
    (row,) = csv.DictReader(io.StringIO(texts["csv"]))
    assert (row["headline"], row["basis"]) == ("marked as AI-made", "marked")
    assert "evidence" not in row
    with open_store(tmp_path / "other" / "history.db", NOW) as other:
        lines = texts["jsonl"].splitlines()
        assert exchange.import_rows(other, lines, "jsonl", NOW).refused == []
        with other.reading() as session:
            assert evidence.of_pictures(session, [SHA]) == {SHA: RECIPE}


@pytest.mark.parametrize(
    "bad",
    [
        7,
        [],
        {},
        {"version": VERSION, "marks": [], "provenance": []},
        RECIPE.to_dict() | {"version": "new"},
        RECIPE.to_dict() | {"provenance": {"content": "true"}},
        RECIPE.to_dict() | {"marks": RECIPE.marks.to_dict() | {"n_c2pa_bytes": float("inf")}},
    ],
)
def test_evidence_that_no_export_wrote_refuses_its_row(store, bad):
    row = {"sha256": SHA, "label": "real", "p_fake": 0.1, "evidence": bad}
    done = exchange.import_rows(store, [json.dumps(row)], "jsonl", NOW)
    assert done.refused == ["Row 1: evidence must be as an export writes it."]
    with store.reading() as session:
        assert history.count(session) == 0
