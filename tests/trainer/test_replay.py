"""Replay: what it punishes, and which pictures it shows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_prompt
from kit.person import tiny_base_set

from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.trainer.base_set.rows import ReplaySettings, base_rows, replayed
from antifake.trainer.replay import Replay
from antifake.trainer.trainable import trainable_prompt

SETTINGS = ReplaySettings(batch=12, weight=2.0)


@pytest.fixture
def model(tiny_home):
    return load(tiny_home.bundle(), Precision(torch.device("cpu"), torch.float32))


@pytest.fixture
def rows(tiny_home, model):
    base = tiny_base_set(tiny_home, tiny_home.bundle())
    return base_rows(base.replay, model)


def penalty(replay: Replay, model, prompt) -> float:
    with model.reading_keys_and_values(), torch.no_grad():
        return float(replay.penalty(model, model.question(prompt), 0))


def test_what_moves_costs_its_square_in_units_of_the_temperature(model, rows):
    start, other = tiny_prompt(1), tiny_prompt(5)
    with model.reading_keys_and_values():
        before, after = (rows.margins(model, one) for one in (start, other))
    threshold, scale = float(np.median(before)), float(before.std())
    about = replace(start.about, threshold=threshold, temperature=scale)
    start = replace(start, about=about)
    with model.reading_keys_and_values():
        replay = replayed(rows, before, start, replace(SETTINGS, batch=10_000))
    moved = (after - before) / scale
    assert (moved > 0).any(), "a word that moves pictures either way"
    assert (moved < 0).any()
    assert penalty(replay, model, other) == pytest.approx(2.0 * np.mean(moved**2), rel=1e-4)
    assert penalty(replay, model, start) == pytest.approx(0.0, abs=1e-6)


def test_its_gradient_reaches_the_word(model, rows):
    start = tiny_prompt(1, threshold=0.0, temperature=0.01)
    with model.reading_keys_and_values():
        replay = replayed(rows, rows.margins(model, start), start, SETTINGS)
        trainable = trainable_prompt(model, tiny_prompt(5))
        replay.penalty(model, trainable.question, 0).backward()
    assert all(bool(table.grad.any()) for table in trainable.tensors.values())


def test_pictures_near_the_threshold_are_shown_more_often():
    logits = torch.tensor([-6.0, -0.1] * 20 + [6.0, 0.1] * 20)
    replay = Replay(
        features=lambda chosen: (chosen, chosen),
        logits=logits,
        is_fake=np.arange(80) >= 40,
        threshold=0.0,
        temperature=1.0,
        weight=1.0,
        focus=1.0,
        batch=12,
        seed=3,
    )
    drawn = [replay._drawn(step) for step in range(50)]
    assert all(len(set(one)) == 12 for one in drawn), "a picture counts once in a step"
    assert all((one >= 40).sum() == 5 for one in drawn), "two fifths are AI-made"
    shown = np.bincount(np.concatenate(drawn), minlength=80)
    assert shown[1::2].sum() > 10 * shown[::2].sum()
    assert (shown[1::2] > 0).all()
    np.testing.assert_array_equal(replay._drawn(7), drawn[7])
