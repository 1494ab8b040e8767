"""The calibration of `mini` keeps the shares that its card promises."""

import numpy as np
import pytest

from antifake.trainer.mini.held_out import CALLED_AI_MADE, FALSE_ALARMS, HeldOut, calibrate


def test_the_threshold_keeps_the_promised_share_of_false_alarms():
    random = np.random.default_rng(4)
    truth = np.arange(4000) % 2 == 0
    found = random.normal(0, 2, 4000) + 2 * truth + 5
    result = calibrate(HeldOut([(None, truth, found)]))
    assert result.false_alarms == pytest.approx(FALSE_ALARMS, abs=0.01)
    assert 0.5 < result.temperature < 8
    assert (found[~truth] > result.threshold).mean() == result.false_alarms
    edge = result.threshold + result.temperature * np.log(1 / (1 / result.bands.fake_above - 1))
    assert (found[~truth] > edge).mean() <= CALLED_AI_MADE


@pytest.mark.parametrize("n", [11, 15, 27, 101])
def test_few_held_out_pictures_do_not_exceed_the_budget_of_false_alarms(n):
    random = np.random.default_rng(n)
    truth = np.arange(2 * n) % 2 == 0
    found = random.normal(0, 2, 2 * n) + 2 * truth
    result = calibrate(HeldOut([(None, truth, found)]))
    assert result.false_alarms <= FALSE_ALARMS
    edge = result.threshold + result.temperature * np.log(1 / (1 / result.bands.fake_above - 1))
    assert (found[~truth] > edge).mean() <= CALLED_AI_MADE
