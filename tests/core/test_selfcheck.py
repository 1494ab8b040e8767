"""The sample pictures tell when a machine computes something else."""

import json

import pytest
import torch

from antifake.core import selfcheck
from antifake.core.detector import load_detector
from antifake.core.samples import drawn, photographs, samples
from antifake.core.selfcheck import SelfCheck, check_if_changed, scores, trust


@pytest.fixture
def detector(tiny_home):
    return load_detector(tiny_home)[0]


def test_samples_are_two_photographs_and_two_drawings_the_same_every_time():
    assert len(photographs()) == 2
    assert drawn() == drawn()
    assert len(samples()) == 4


def test_a_known_environment_is_not_checked_again(detector, tmp_path, monkeypatch):
    record = tmp_path / "selfcheck.json"
    assert check_if_changed(detector, record) is None
    monkeypatch.setattr(selfcheck, "scores", lambda _: pytest.fail("judged again"))
    assert check_if_changed(detector, record) is None


def test_a_machine_that_scores_otherwise_is_reported_every_time(detector, tmp_path):
    record = tmp_path / "selfcheck.json"
    expected = {name: 1 - score for name, score in scores(detector).items()}
    trust(detector, expected, record)
    book = json.loads(record.read_bytes())
    for entry in book.values():
        entry["passed"] = ["another torch"]
    record.write_text(json.dumps(book))
    for _ in range(2):
        assert "scores the sample pictures differently" in check_if_changed(detector, record)


def test_a_broken_weight_is_noticed(detector):
    expected = scores(detector)
    with torch.no_grad():
        detector.model.language_projection.weight.mul_(-3)
    drift = SelfCheck(expected, scores(detector)).drift
    assert drift
    assert "->" in drift


def test_nan_counts_as_drift():
    assert SelfCheck({"a": 0.5}, {"a": float("nan")}).drift
    assert SelfCheck({"a": 0.5}, {"a": 0.52}).drift is None
