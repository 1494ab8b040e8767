"""The threshold of a word: fair to real and to AI-made pictures that it was not shown."""

import numpy as np

from antifake.trainer.personal.word import fair_threshold

IS_FAKE = np.arange(200) % 2 == 1


def margins(real: float, fake: float, seed: int = 0) -> np.ndarray:
    """Margins around two means."""
    return np.random.default_rng(seed).normal(np.where(IS_FAKE, fake, real), 1.0)


def rates(found: np.ndarray, threshold: float) -> np.ndarray:
    """Shares of real and of AI-made pictures that are judged correctly."""
    right = (found > threshold) == IS_FAKE
    return np.array([right[~IS_FAKE].mean(), right[IS_FAKE].mean()])


def test_a_word_that_shifts_all_pictures_alike_is_shifted_back():
    before = margins(-1.0, 1.0)
    for shift in (-0.8, 0.8):
        threshold, change = fair_threshold(before + shift, before > 0, IS_FAKE, 0.0)
        assert change >= -0.011
        assert abs(threshold - shift) < 0.15
        assert (rates(before + shift, threshold) >= rates(before, 0.0) - 0.011).all()


def test_neither_class_pays_for_the_other():
    before, after = margins(-1.0, 1.0), margins(-0.4, 1.6, seed=1)
    threshold, change = fair_threshold(after, before > 0, IS_FAKE, 0.0)
    changes = rates(after, threshold) - rates(before, 0.0)
    worst = [(rates(after, t) - rates(before, 0.0)).min() for t in np.linspace(-4, 4, 4001)]
    assert changes.min() >= max(worst) - 1e-9
    assert changes.min() == change


def test_a_word_that_changes_nothing_keeps_its_threshold():
    before = margins(-1.0, 1.0)
    assert fair_threshold(before, before > 0.3, IS_FAKE, 0.3) == (0.3, 0.0)
