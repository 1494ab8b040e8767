"""A retraining on the tiny model, from the request's file to the report's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kit.pace import within
from kit.person import Person

from antifake.core.promptbook import Promptbook


@pytest.fixture
def person(tiny_home, tmp_path):
    return Person(tiny_home, tmp_path / "crops")


def retrained(request: Path, code: int = 0):
    """Runs the process. Returns its lines and the report."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "antifake.trainer.personal", request],
        check=False,
        capture_output=True,
        text=True,
        timeout=within(240),
    )
    assert done.returncode == code, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    report = request.parent / "report.json"
    return lines, json.loads(report.read_text()) if report.exists() else None


def test_the_process_writes_a_candidate_and_a_report_and_changes_nothing_else(person, tmp_path):
    person.answers(range(14), "real", looks_fake=False)
    person.answers(range(20, 34), "fake", looks_fake=True)
    before = {path: path.read_bytes() for path in person.home.prompts.iterdir()}
    sha256, crop = person.crop(50, looks_fake=True)
    judge = [{"id": 7, "sha256": sha256, "crop": str(crop)}]
    lines, report = retrained(person.request(tmp_path / "out", judge=judge))
    assert {path: path.read_bytes() for path in person.home.prompts.iterdir()} == before
    assert {line["stage"] for line in lines} >= {"features", "bias", "calibration", "word"}
    assert all(0 < line["done"] <= line["total"] for line in lines)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "candidate.safetensors",
        "report.json",
        "request.json",
    ]
    # The tiny model has no base set, so nothing is promoted by itself.
    assert report["outcome"] == "candidate"
    assert [one["kind"] for one in report["candidates"]] == ["bias", "calibration", "word"]
    assert all("no pictures to check" in one["reason"] for one in report["candidates"])
    assert report["words"]["real"] == report["words"]["fake"] == 14
    assert report["flips"]["judged"] == 1
    file = Promptbook(tmp_path / "out").open(str(tmp_path / "out" / "candidate.safetensors"))
    assert len(file.about.made["answers"]) == 28
    assert file.about.made["kind"] == report["chosen"]
    assert str(tmp_path) not in file.about.to_json()


def test_too_few_of_a_class_are_said_with_their_number(person, tmp_path):
    person.answers(range(9), "real", looks_fake=False)
    person.answers(range(20, 31), "fake", looks_fake=True)
    _, report = retrained(person.request(tmp_path / "out"))
    assert report["outcome"] == "nothing"
    assert report["reason"].startswith("1 more real picture is needed")
    assert not (tmp_path / "out" / "candidate.safetensors").exists()


def test_a_request_that_is_not_one_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "request.json"
    path.write_text('{"schema": 1}')
    (line,), report = retrained(path, code=1)
    assert "is not a request for a training" in line["error"]
    assert report is None
