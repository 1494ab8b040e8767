"""The gate decides by the person's own answers and by pictures of other sources, in words."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import tiny_prompt

from antifake.core.verdict import Bands
from antifake.trainer.personal.gate import HeldOut, base_rates, decide, own_answers
from antifake.trainer.personal.material import verdicts_of

N = 30
IS_FAKE = np.arange(2 * N) < N
GROUPS = np.arange(2 * N)


def held_out(right, sure=0.7):
    """Answers that are judged correctly or not [n], each with the same certainty."""
    right = np.asarray(right, float)
    return HeldOut(right, np.where((right > 0.5) == IS_FAKE[: len(right)], sure, 1 - sure))


def own(n_mended, n_broken=0):
    """Thirty of each class, half of the AI-made ones missed; then some are mended or broken."""
    before = np.ones(2 * N)
    before[: N // 2] = 0
    after = before.copy()
    after[:n_mended] = 1
    after[N : N + n_broken] = 0
    return own_answers(held_out(before), held_out(after), IS_FAKE, GROUPS, seed=0)


def base(lost_real=0, lost_fake=0, n=200):
    is_fake = np.arange(2 * n) < n
    before = np.ones(2 * n)
    after = before.copy()
    after[:lost_fake] = 0
    after[n : n + lost_real] = 0
    return base_rates(before, after, is_fake)


def test_what_helps_and_does_no_harm_passes():
    decision = decide(own(10), base())
    assert decision.passes
    assert "92 % instead of 75 %" in decision.reason


def test_a_gain_that_may_be_chance_does_not_pass():
    found = own(6, 4)
    assert found.difference > 0
    assert found.low <= 0
    decision = decide(found, base())
    assert not decision.passes
    assert "may be chance" in decision.reason


def test_a_loss_does_not_pass():
    decision = decide(own(0, 5), base())
    assert not decision.passes
    assert "not be right more often" in decision.reason


@pytest.mark.parametrize(("real", "fake", "passes"), [(2, 2, True), (3, 0, False), (0, 3, False)])
def test_more_than_one_point_of_the_base_set_is_too_much_for_either_class(real, fake, passes):
    decision = decide(own(12), base(real, fake))
    assert decision.passes == passes
    if not passes:
        assert ("on real ones" in decision.reason) == (real > 0)
        assert ("on AI-made ones" in decision.reason) == (fake > 0)


def test_of_other_pictures_counts_what_people_are_told():
    """p_fake moves across 0.5 and across the edges of "cannot tell"."""
    start = tiny_prompt(1, threshold=1.0, temperature=2.0)
    start = replace(start, about=replace(start.about, bands=Bands(0.3, 0.8)))
    p_fake = np.array([0.29, 0.31, 0.49, 0.51, 0.79, 0.81])
    margins = 1.0 + 2.0 * np.log(p_fake / (1 - p_fake))
    real, fake = np.zeros(6, bool), np.ones(6, bool)
    assert verdicts_of(start, margins, real).tolist() == [1, 0.5, 0.5, 0.5, 0.5, 0]
    assert verdicts_of(start, margins, fake).tolist() == [0, 0.5, 0.5, 0.5, 0.5, 1]


def test_without_a_base_set_nothing_passes():
    decision = decide(own(15), None)
    assert not decision.passes
    assert "no pictures to check" in decision.reason


def test_small_moves_of_many_percentages_are_seen_before_any_verdict_changes():
    """Three verdicts are mended. Whether that is chance depends on how all the others moved."""
    before = np.ones(2 * N)
    before[: N // 2] = 0
    after = before.copy()
    after[:3] = 1
    found = {}
    for name, sure in (("surer where it is right", 0.8), ("surer, right or wrong", 0.95)):
        moved = held_out(after, sure)
        if name == "surer where it is right":
            moved.p_fake[after == 0] = 0.45
        found[name] = own_answers(held_out(before), moved, IS_FAKE, GROUPS, seed=0)
    assert decide(found["surer where it is right"], base()).passes
    decision = decide(found["surer, right or wrong"], base())
    assert not decision.passes
    assert "may be chance" in decision.reason


def test_better_percentages_alone_are_not_enough():
    right = np.ones(2 * N)
    right[: N // 2] = 0
    moved = held_out(right)
    moved.p_fake[right == 1] = IS_FAKE[right == 1]  # certain, and right
    found = own_answers(held_out(right), moved, IS_FAKE, GROUPS, seed=0)
    assert found.low > 0
    assert "would not be right more often" in decide(found, base()).reason


def test_thirty_copies_of_one_picture_count_as_one():
    """One picture is mended. Thirty copies of it do not make that certain."""
    is_fake = np.arange(60) < 30
    before = np.zeros(60)
    before[30:] = 1
    after = np.ones(60)
    copies = np.where(is_fake, 0, np.arange(60))
    found = own_answers(held_out(before), held_out(after), is_fake, copies, seed=0)
    assert (found.n_fake, found.n_real) == (1, 30)
    mixed_after = after.copy()
    mixed_after[:15] = 0  # the fits disagree about the copies: half of one picture
    half = own_answers(held_out(before), held_out(mixed_after), is_fake, copies, seed=0)
    assert half.fake_after == 0.5


def test_nothing_but_chance_passes_in_at_most_one_case_in_twenty():
    """Two prompts that are equally good and differ on two fifths of the pictures."""
    random = np.random.default_rng(0)
    passed = 0
    for _ in range(400):
        before, after = random.normal(np.where(IS_FAKE, 0.5, -0.5), 1.0, (2, 2 * N))
        same = random.random(2 * N) < 0.6
        after[same] = before[same]
        two = (
            HeldOut(((logits > 0) == IS_FAKE).astype(float), 1 / (1 + np.exp(-logits)))
            for logits in (before, after)
        )
        passed += decide(own_answers(*two, IS_FAKE, GROUPS, seed=1), base()).passes
    assert passed / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_a_budget_costs_ai_made_pictures_and_says_so():
    kept = replace(own(0), real_before=0.8, real_after=0.97, fake_after=0.4)
    decision = decide(kept, base(lost_fake=40), keeps_budget=True)
    assert decision.passes
    assert "recognises 40 % (before: 50 %)" in decision.reason
    assert not decide(kept, base(lost_real=5), keeps_budget=True).passes
