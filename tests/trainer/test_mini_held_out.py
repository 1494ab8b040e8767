"""The calibration of `mini` keeps the shares that its card promises, for each kind of picture."""

import numpy as np
import pytest

from antifake.trainer.mini.held_out import (
    ENOUGH,
    FALSE_ALARMS,
    LIMITS,
    MISSED,
    OTHER,
    HeldOut,
    calibrate,
)
from antifake.trainer.mini.unseen import Judged

KINDS = ("photo", "meme", "photo_face", "drawn by hand")


def judged(seed, *, n=4000, shift=5.0, kinds=KINDS, gap=2.0):
    """Memes look more like AI-made pictures to the model than photographs do."""
    random = np.random.default_rng(seed)
    truth = np.arange(n) % 2 == 0
    which = random.integers(len(kinds), size=n)
    names = tuple(kinds[i] for i in which)
    margins = random.normal(0, 2, n) + gap * truth + shift + (which == 1) * ~truth
    sources = tuple(f"s{i // 20}" for i in range(n))
    return Judged(truth, margins, sources, names)


def p_fake(result, margins):
    return 1 / (1 + np.exp((result.threshold - margins) / result.temperature))


def test_the_threshold_keeps_the_promised_share_of_false_alarms():
    one = judged(4)
    result = calibrate(HeldOut([one]))
    assert result.false_alarms == pytest.approx(FALSE_ALARMS, abs=0.01)
    assert 0.5 < result.temperature < 8
    real = ~one.truth
    assert (one.margins[real] > result.threshold).mean() == pytest.approx(result.false_alarms)


@pytest.mark.parametrize("seed", range(5))
def test_no_kind_is_called_ai_made_more_often_than_promised(seed):
    parts = [judged(seed), judged(seed + 10, shift=5.5)]
    result = calibrate(HeldOut(parts))
    scores = np.concatenate([p_fake(result, one.margins) for one in parts])
    truth = np.concatenate([one.truth for one in parts])
    kinds = np.array([kind for one in parts for kind in one.kinds])
    for kind in KINDS:
        share = (scores[~truth & (kinds == kind)] > result.bands.fake_above).mean()
        assert share <= LIMITS.get(kind, OTHER), kind
        told = result.rates[f"real, {kind if kind in LIMITS else 'other'}"]
        assert told.ai_made == pytest.approx(share)
    missed = (scores[truth] < result.bands.real_below).mean()
    assert missed <= MISSED
    assert result.rates["AI-made"].likely_real == pytest.approx(missed)
    assert result.bands.real_below <= 0.4
    assert result.bands.fake_above >= 0.6


def test_the_kind_that_is_hardest_decides_and_without_it_more_is_named():
    hard = calibrate(HeldOut([judged(1, kinds=("photo", "photo"), gap=6.0)]))
    easy = calibrate(HeldOut([judged(1, kinds=("art", "art"), gap=6.0)]))
    assert hard.bands.fake_above > easy.bands.fake_above
    assert hard.threshold == easy.threshold


def test_a_kind_with_few_pictures_counts_as_another():
    few = ENOUGH - 1
    kinds = ("screenshot",) * few + ("photo",) * 200
    truth = np.array([False] * len(kinds) + [True] * 100)
    margins = np.concatenate([np.full(few, 9.0), np.linspace(0, 1, 200), np.linspace(1, 3, 100)])
    sources = tuple(f"s{i // 10}" for i in range(len(truth)))
    held = HeldOut([Judged(truth, margins, sources, (*kinds, *["mixed"] * 100))])
    assert set(calibrate(held).rates) == {"AI-made", "real", "real, photo", "real, other"}


def test_a_large_source_counts_no_more_than_a_small_one():
    """Of ten sources the largest has half of all pictures, all of them false alarms."""
    sources = ["large"] * 90 + [f"s{i}" for i in range(9) for _ in range(10)] + ["ai"] * 50
    truth = np.array([False] * 180 + [True] * 50)
    margins = np.array([5.0] * 90 + [0.0] * 90 + [4.0] * 50)
    held = HeldOut([Judged(truth, margins, tuple(sources), ("art",) * 230)])
    result = calibrate(held)
    assert result.false_alarms == pytest.approx(0.1)
    assert result.threshold == 0
    assert result.caught == 1


@pytest.mark.parametrize("n", [11, 15, 27, 101])
def test_few_held_out_pictures_do_not_exceed_the_budget_of_false_alarms(n):
    random = np.random.default_rng(n)
    truth = np.arange(2 * n) % 2 == 0
    found = random.normal(0, 2, 2 * n) + 2 * truth
    one = Judged(truth, found, ("s",) * 2 * n, ("art",) * 2 * n)
    result = calibrate(HeldOut([one]))
    assert result.false_alarms <= FALSE_ALARMS
    assert (p_fake(result, found[~truth]) > result.bands.fake_above).mean() <= LIMITS["art"]
