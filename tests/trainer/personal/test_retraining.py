"""A retraining on the tiny model, from the request's file to the report's."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from antifake.core.promptbook import Promptbook


def shapes(number: int, *, looks_fake: bool) -> np.ndarray:
    """Returns a picture of its own, uint8 [28, 28, 3]: cool, or warm for what a generator made."""
    rng = np.random.default_rng(number)
    tint = np.array([40, 0, -40]) if looks_fake else np.array([-40, 0, 40])
    coarse = Image.fromarray(rng.integers(60, 196, (5, 5, 3), np.uint8)).resize((28, 28), 3)
    return (np.asarray(coarse, float) + tint).clip(0, 255).astype(np.uint8)


class Person:
    """A person's answers: crops as lossless WebP, and a request for them."""

    def __init__(self, home, folder: Path) -> None:
        self.home, self.folder, self.words = home, folder, []
        folder.mkdir(parents=True, exist_ok=True)

    def crop(self, number: int, *, looks_fake: bool) -> tuple[str, Path]:
        """Returns the sha256 that stands for the picture's file, and its crop."""
        path = self.folder / f"{number}.webp"
        Image.fromarray(shapes(number, looks_fake=looks_fake)).save(path, lossless=True)
        return hashlib.sha256(str(number).encode()).hexdigest(), path

    def answers(self, numbers, label: str, *, looks_fake: bool) -> None:
        for number in numbers:
            sha256, path = self.crop(number, looks_fake=looks_fake)
            self.words.append({"sha256": sha256, "label": label, "crop": str(path)})

    def request(self, out: Path, **more) -> Path:
        out.mkdir(parents=True, exist_ok=True)
        asked = {
            "schema": 1,
            "bundle": str(self.home.models / "tiny"),
            "prompts": str(self.home.prompts),
            "start": "first",
            "current": "first",
            "seed": 0,
            "threads": 1,
            "words": self.words,
            "judge": [],
            "budget": None,
            "out": str(out),
        }
        path = out / "request.json"
        path.write_text(json.dumps(asked | more))
        return path


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
        timeout=240,
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
    assert "is not a request for a retraining" in line["error"]
    assert report is None
