"""What a file says is shown beside the verdict, by every command that looks at pictures."""

import csv
import io
import json
from pathlib import Path

import jsonschema_rs
import pytest
from kit.command_line import antifake as run
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest

pytestmark = pytest.mark.usefixtures("tiny_home")
SCHEMA = Path(__file__).parents[1] / "contract" / "evidence.schema.json"


@pytest.fixture
def some(fixtures, tmp_path):
    """A folder with a recipe, a signature, a caption that says nothing, and what is no picture."""
    folder, _ = fixtures
    for name in ("webui.png", "c2pa_ai.jpg", "caption_names_it.jpg"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return tmp_path


def test_check_shows_a_second_line_only_where_the_file_says_something(some):
    lines = run("check", some / "webui.png", some / "caption_names_it.jpg").stdout.splitlines()
    assert lines[1].split() == ["marked", "as", "AI-made", str(some / "webui.png")]
    assert lines[2].strip().startswith("The file holds Stable Diffusion's recipe for making it.")
    assert lines[2].startswith(" " * 23)
    assert lines[3].endswith("caption_names_it.jpg")
    assert len(lines) == 4


def test_check_v_shows_all_that_is_known_and_what_the_model_said(some):
    shown = run("check", "-v", some / "webui.png").stdout
    assert "The model: " in shown
    assert "No Content Credentials." in shown
    assert "recipe" in shown


def test_percentages_alone_bring_no_card(some):
    lines = run("scan", "-v", some, code=1).stdout.splitlines()
    assert "No Content Credentials" not in "".join(lines)
    assert sum("recipe" in line for line in lines) == 1


def test_the_json_of_check_has_the_card_and_the_words_of_the_model_stay(some):
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text("utf-8")))
    paths = [some / "webui.png", some / "c2pa_ai.jpg", some / "caption_names_it.jpg"]
    rows = json.loads(run("check", "--json", *paths).stdout)
    for row in rows:
        validator.validate(row["evidence"])
        track = row["evidence"]["tracks"]["model"]
        assert (track["word"], track["label"]) == (row["word"], row["label"])
        assert (row["headline"], row["basis"]) == tuple(
            row["evidence"][name] for name in ("headline", "basis")
        )
    assert [row["basis"] for row in rows] == ["marked", "marked", "model"]
    assert rows[2]["headline"] == rows[2]["word"]
    assert "lighthouse" not in json.dumps(rows)  # which is what the prompts of the fixtures ask for


def test_a_picture_that_cannot_be_judged_still_has_what_its_file_says(fixtures, tmp_path):
    whole = (fixtures[0] / "webui.png").read_bytes()
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole[: whole.index(b"IDAT") + 40])
    (row,) = json.loads(run("check", "--json", cut, code=1).stdout)
    assert row["label"] is None
    assert row["basis"] == "marked"
    assert row["evidence"]["tracks"]["model"]["ran"] is False
    shown = run("check", cut, code=1).stdout
    assert "marked as AI-made" in shown
    assert row["error"] in shown


def test_a_file_that_is_no_picture_says_nothing(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    (row,) = json.loads(run("check", "--json", tmp_path / "a.pdf", code=1).stdout)
    assert row["evidence"] is row["headline"] is row["basis"] is None
    (row,) = json.loads(run("evidence", "--json", tmp_path / "a.pdf", code=1).stdout)
    assert row == {"path": str(tmp_path / "a.pdf"), "error": row["error"], "code": "unknown_format"}


def test_without_a_model_what_the_files_say_is_the_answer(some, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    done = run("check", some / "webui.png", some / "caption_names_it.jpg", code=3)
    assert "Without a model, only what the files say of themselves is read." in done.stderr
    assert "marked as AI-made" in done.stdout
    assert "not judged" in done.stdout
    done = run("check", "--json", some / "webui.png", code=3)
    assert json.loads(done.stdout)[0]["basis"] == "marked"
    assert run("check", "--model", "other", some / "webui.png", code=3).stdout == ""


def test_scan_counts_what_files_say_and_flags_it(some, tmp_path):
    out = tmp_path / "out.csv"
    done = run("scan", "--csv", "-o", out, "--fail-on", "fake", some, code=10)
    assert "The files of 2 say that AI made them." in done.stderr
    rows = {Path(row["path"]).name: row for row in csv.DictReader(io.StringIO(out.read_text()))}
    assert rows["webui.png"]["headline"] == "marked as AI-made"
    assert rows["caption_names_it.jpg"]["basis"] == "model"
    assert "evidence" not in rows["webui.png"]


def test_a_scan_for_evidence_alone_needs_no_model(some, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path / "empty"))
    out = tmp_path / "out.jsonl"
    done = run("scan", "--evidence-only", "-o", out, some)
    rows = {Path(row["path"]).name: row for row in map(json.loads, out.read_text().splitlines())}
    assert {name: row["basis"] for name, row in rows.items()} == {
        "webui.png": "marked",
        "c2pa_ai.jpg": "marked",
        "caption_names_it.jpg": "none",
        "broken.jpg": "none",
    }
    assert {row["label"] for row in rows.values()} == {None}
    assert "4 pictures, looked at without the model" in done.stderr
    assert run("scan", "--evidence-only", "--fail-on", "fake", some, code=10)
    assert (
        "leave out --model" in run("scan", "--evidence-only", "--model", "x", some, code=2).stderr
    )
    again = run("scan", "--evidence-only", "-o", out, "--resume", some)
    assert "0 pictures" in again.stderr


def test_evidence_reads_standard_input_and_names_what_it_was_given(fixtures):
    data = (fixtures[0] / "novelai.png").read_bytes()
    done = run("evidence", "-", stdin=data)
    assert done.stdout.startswith("-: marked as AI-made\n")
