"""A budget of false alarms: the number needed, the threshold, and its promise in the long run."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from antifake.core.errors import UsageError
from antifake.trainer.personal.budget import Goal, within


def test_59_pictures_are_needed_for_1_in_20_at_95_percent():
    """With 58 and no false alarm among them, Clopper and Pearson's limit is still above 1 in 20."""
    goal = Goal(20, 0.95)
    assert goal.needed == 59
    for n, is_enough in ((58, False), (59, True)):
        limit = binomtest(0, n, alternative="less").proportion_ci(0.95, "exact").high
        assert (limit <= 1 / 20) == is_enough
        assert (goal.allowed(n) is not None) == is_enough


@settings(deadline=None)
@given(st.integers(2, 60), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]), st.integers(1, 400))
def test_the_allowed_number_is_that_of_clopper_and_pearson(one_in, confidence, n):
    goal = Goal(one_in, confidence)
    allowed = goal.allowed(n)

    def keeps(above):
        found = binomtest(above, n, alternative="less").proportion_ci(confidence, "exact")
        assume(abs(found.high - goal.share) > 1e-9)  # SciPy finds the limit only so exactly
        return found.high <= goal.share

    assert (allowed is None) == (not keeps(0))
    assert allowed is None or (keeps(allowed) and not keeps(allowed + 1))


def test_too_few_pictures_are_refused_with_the_number():
    found = within(Goal(20, 0.95), np.arange(40.0))
    assert not found.reached
    assert found.reason == "You need 59 confirmed real pictures for 1 in 20 at 95 %; there are 40."


@pytest.mark.parametrize("n", [59, 93, 200])
def test_in_10000_draws_the_rate_in_the_long_run_breaks_the_budget_as_seldom_as_promised(n):
    """The share of margins above the threshold is known for a uniform distribution: 1 - threshold.

    Of 10,000 draws at most 5 % may break the budget; three standard errors are 0.65 %.
    """
    goal, random = Goal(20, 0.95), np.random.default_rng(n)
    rates = [1 - within(goal, random.uniform(size=n)).threshold for _ in range(10_000)]
    broken = np.mean(np.array(rates) > goal.share)
    assert broken <= 0.05 + 0.0065
    # It is not merely careful: the promise is used up as far as whole pictures allow.
    above = goal.allowed(n)
    assert np.mean(rates) == pytest.approx((above + 1) / (n + 1), rel=0.05)


@pytest.mark.parametrize(("one_in", "confidence"), [(1, 0.95), (0, 0.95), (20, 0.2), (20, 1.0)])
def test_a_budget_that_says_nothing_is_refused(one_in, confidence):
    with pytest.raises(UsageError, match="1 in 2 or more"):
        Goal(one_in, confidence)
