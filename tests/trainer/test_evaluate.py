"""Metrics on verdicts whose truth is known."""

from pathlib import Path

import pytest

from antifake.core.errors import UnreadableImageError
from antifake.core.results import Result
from antifake.core.verdict import Bands, Verdict
from antifake.trainer.evaluate import Judged, metrics
from antifake.trainer.examples import Example


def judged(p_fake, is_fake):
    verdict = Verdict(p_fake, Bands().label(p_fake), "m@1", "p@1")
    return Judged(Result.judged("x", None, verdict, 1), Example(Path("x"), is_fake))


def failed(is_fake):
    row = Result.failed("x", None, UnreadableImageError("Broken."), 1)
    return Judged(row, Example(Path("x"), is_fake))


def test_metrics_of_a_table_done_by_hand():
    found = metrics(
        [
            judged(0.1, False),
            judged(0.2, False),
            judged(0.3, False),
            judged(0.8, False),
            judged(0.9, True),
            judged(0.45, True),
            failed(True),
        ]
    )
    assert (found.n_real, found.n_fake, found.n_failed) == (4, 2, 1)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.real_accuracy == pytest.approx(3 / 4)
    assert found.fake_accuracy == pytest.approx(1 / 2)
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found.auc == pytest.approx(7 / 8)
    assert found.unsure == pytest.approx(1 / 6)
    assert found.confusion == {
        "real_called_real": 3,
        "real_called_fake": 1,
        "fake_called_real": 1,
        "fake_called_fake": 1,
    }


def test_a_folder_of_fakes_alone_is_counted_as_fakes():
    """The official script labels them real and so turns the accuracy around."""
    found = metrics([judged(0.9, True), judged(0.8, True), judged(0.1, True)])
    assert found.accuracy == found.fake_accuracy == pytest.approx(2 / 3)
    assert found.auc is found.balanced_accuracy is found.real_accuracy is None


def test_a_tie_is_real_as_in_the_official_ranking():
    assert metrics([judged(0.5, False)]).real_accuracy == 1


def test_nothing_judged_is_no_division_by_zero():
    found = metrics([failed(False), failed(True)])
    assert (found.n_real, found.n_fake, found.n_failed) == (0, 0, 2)
    assert found.accuracy is None
