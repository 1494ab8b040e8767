"""Threshold and temperature: found again where they are known, and never made up."""

import json

import numpy as np
import pytest
from kit.command_line import antifake
from kit.toy import toy_pictures
from kit.training import tiny_trainer, toy_examples

from antifake.core.errors import UsageError
from antifake.core.prompt import load_prompt
from antifake.core.prompt_file import PromptMetadata
from antifake.trainer.calibration import calibrated, fit, quality, threshold_within


def drawn(threshold, temperature, n=40_000, seed=0):
    """Margins [n], and the truth drawn as these say; both classes are about as many."""
    rng = np.random.default_rng(seed)
    margins = rng.uniform(threshold - 6 * temperature, threshold + 6 * temperature, n)
    p = 1 / (1 + np.exp(-(margins - threshold) / temperature))
    return margins, rng.uniform(size=n) < p


@pytest.mark.parametrize(("threshold", "temperature"), [(0, 1), (2.5, 0.3), (-40, 12)])
def test_known_numbers_are_found_again(threshold, temperature):
    found = fit(*drawn(threshold, temperature))
    assert found[0] == pytest.approx(threshold, abs=0.1 * temperature)
    assert found[1] == pytest.approx(temperature, rel=0.05)


def test_how_many_of_each_class_there_are_moves_nothing():
    margins, is_fake = drawn(1.0, 0.5)
    few = np.flatnonzero(is_fake)[::10]
    chosen = np.concatenate([np.flatnonzero(~is_fake), few])
    assert fit(margins[chosen], is_fake[chosen])[0] == pytest.approx(1.0, abs=0.05)


def test_it_is_the_likeliest():
    rng = np.random.default_rng(1)
    margins, is_fake = drawn(1.0, 2.0, n=300)
    best = quality(calibrated(PromptMetadata(), margins, is_fake), margins, is_fake).log_loss
    for _ in range(50):
        threshold, temperature = fit(margins, is_fake) * rng.uniform(0.7, 1.4, 2)
        near = PromptMetadata(threshold=threshold, temperature=temperature)
        assert quality(near, margins, is_fake).log_loss > best - 1e-3


def test_calibration_makes_a_wrong_scale_right():
    margins, is_fake = drawn(3.0, 0.5)
    before = quality(PromptMetadata(), margins, is_fake)
    after = quality(calibrated(PromptMetadata(), margins, is_fake), margins, is_fake)
    assert after.calibration_error < 0.02 < before.calibration_error
    assert after.brier < before.brier
    assert after.log_loss < before.log_loss


def test_classes_that_do_not_overlap_get_a_finite_temperature():
    margins = np.concatenate([np.linspace(-3, -1, 30), np.linspace(1, 3, 30)])
    threshold, temperature = fit(margins, np.arange(60) >= 30)
    assert threshold == pytest.approx(0, abs=1e-6)
    assert 0.05 < temperature < 5


def test_numbers_by_hand():
    about = PromptMetadata(threshold=0.0, temperature=1.0)
    found = quality(about, np.array([-2.0, 2.0, 2.0, -2.0]), np.array([False, False, True, True]))
    p = 1 / (1 + np.exp(2.0))
    assert found.brier == pytest.approx((p**2 + (1 - p) ** 2) / 2)
    assert found.log_loss == pytest.approx(-(np.log(p) + np.log(1 - p)) / 2)
    assert found.calibration_error == pytest.approx(0.5 - p)
    assert (found.false_alarms, found.missed) == (0.5, 0.5)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_false_alarms_are_at_most_what_was_asked_for(share):
    margins, is_fake = drawn(0.0, 1.0, n=999)
    about = calibrated(PromptMetadata(), margins, is_fake, share)
    found = quality(about, margins, is_fake).false_alarms
    assert share - 0.005 <= found <= share


def test_a_budget_of_false_alarms_is_never_exceeded():
    real_margins = np.arange(15.0)
    assert threshold_within(0.1, real_margins) == 13  # one of 15 lies above it; two are 13 %
    assert threshold_within(0.0, real_margins) == 14
    for n in range(1, 60):
        for share in (0.01, 0.05, 0.1, 1 / 3, 0.5):
            margins = np.random.default_rng(n).normal(size=n)
            assert (margins > threshold_within(share, margins)).sum() <= share * n


def test_answers_that_are_the_wrong_way_round_are_refused():
    margins, is_fake = drawn(0.0, 1.0, n=500)
    with pytest.raises(UsageError, match="Are the labels right"):
        fit(-margins, is_fake)
    with pytest.raises(UsageError, match="nothing to calibrate"):
        fit(np.zeros(500), is_fake)


def test_the_command_writes_a_prompt_that_decides_as_asked(tiny_home, tmp_path):
    real, fake = toy_pictures(tmp_path / "toys", n=60)
    tiny_trainer(tiny_home).train(tmp_path / "taught.safetensors", toy_examples(tmp_path / "toys"))
    taught = ("--prompt", tmp_path / "taught.safetensors")
    out = tmp_path / "calibrated.safetensors"
    folders = ("--real", real, "--fake", fake)
    done = antifake("calibrate", *folders, *taught, "--false-alarms", "0.1", "-o", out)
    assert "calibration error" in done.stdout
    assert f"antifake prompt import {out}" in done.stderr
    word, old = load_prompt(out), load_prompt(tmp_path / "taught.safetensors")
    assert word.about.threshold != old.about.threshold
    assert (word.llm == old.llm).all()
    assert word.about.made["calibration"]["real"] == 30
    found = json.loads(antifake("evaluate", *folders, "--prompt", out, "--json").stdout)
    assert found["real_accuracy"] >= 0.9 - 1e-9
    again = antifake("calibrate", *folders, "-o", out, code=2)
    assert "nothing was overwritten" in again.stderr


@pytest.mark.usefixtures("tiny_home")
def test_too_few_pictures_are_a_sentence(tmp_path):
    real, fake = toy_pictures(tmp_path / "toys", n=8)
    done = antifake("calibrate", "--real", real, "--fake", fake, "-o", tmp_path / "c", code=2)
    assert "25 real and 25 AI-made" in done.stderr
    assert not (tmp_path / "c.safetensors").exists()
