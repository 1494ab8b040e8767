"""What was learned for the image tower is in its matrices when the model is put together."""

import numpy as np
import pytest

from antifake.core.errors import ModelError
from antifake.core.low_rank import DOWN, SCALE, UP, rounded, rows, updated

NAME = "vision_model.encoder.layers.0.mlp.fc1.weight"


@pytest.fixture
def tower():
    random = np.random.default_rng(0)
    other = {"vision_model.embeddings.bias": np.ones(3, np.float32)}
    return rounded(NAME, random.normal(size=(12, 8))) | other


def test_an_updated_matrix_is_the_sum_within_half_a_step(tower):
    random = np.random.default_rng(1)
    up, down = random.normal(size=(2, 12)), random.normal(size=(2, 8))
    updates = rounded(NAME + UP, up) | rounded(NAME + DOWN, down)
    after = updated(tower, updates)
    wanted = rows(tower, NAME) + up.T @ down
    step = after[NAME + SCALE][:, None]
    # Half a step of the sum's own rounding, and what the factors' rounding may add.
    assert np.abs(rows(after, NAME) - wanted).max() <= (0.5 * step).max() + 0.1
    assert np.abs(rows(after, NAME) - wanted).mean() < 0.25 * np.abs(up.T @ down).mean()
    assert after[NAME].dtype == np.int8
    assert after["vision_model.embeddings.bias"] is tower["vision_model.embeddings.bias"]


def test_without_updates_the_tower_stays_as_it_is(tower):
    assert updated(tower, {}) == tower


def test_an_update_of_another_tower_is_refused(tower):
    strange = rounded("elsewhere" + UP, np.ones((1, 12))) | rounded(
        "elsewhere" + DOWN, np.ones((1, 8))
    )
    with pytest.raises(ModelError, match="fits another one"):
        updated(tower, strange)
