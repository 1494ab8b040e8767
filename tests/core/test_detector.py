"""What the model gets to see of a picture, and what its margin means."""

import numpy as np
import pytest
import torch
from conftest import tiny_prompt

from antifake.core.detector import Detector, load_detector
from antifake.core.verdict import Bands


@pytest.fixture
def model(tiny_home):
    return load_detector(tiny_home)[0].model


def test_pixels_are_normalised_by_the_mean_and_std_of_the_prompt(model):
    mean, std = (0.2, 0.5, 0.7), (0.1, 0.25, 0.4)
    detector = Detector(model, tiny_prompt(1, mean=mean, std=std), "p@1")
    crop = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    expected = (crop / 255 - np.array(mean)) / np.array(std)  # [S, S, 3]
    found = detector.pixels([crop])  # [1, 3, S, S]
    assert found.shape == (1, 3, 28, 28)
    assert found[0].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("fake_above", "label"), [(0.6, "fake"), (0.8, "unsure")])
def test_the_bands_of_the_prompt_decide_the_label(model, fake_above, label):
    crop = np.zeros((28, 28, 3), np.uint8)
    margin = Detector(model, tiny_prompt(1), "p@1").margins([crop])
    # The threshold that moves the margin of this picture to a p_fake of 0.7.
    threshold = float(margin - torch.logit(torch.tensor(0.7)))
    prompt = tiny_prompt(1, threshold=threshold, bands=Bands(0.4, fake_above))
    (verdict,) = Detector(model, prompt, "p@1").judge([crop])
    assert verdict.p_fake == pytest.approx(0.7, abs=1e-4)
    assert verdict.label == label
