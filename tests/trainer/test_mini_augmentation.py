"""Views of a picture are the same for the same seed, and always of one size."""

import io

import numpy as np
from PIL import Image

from antifake.trainer.mini.augmentation import augmented_view, plain_view


def test_a_view_is_the_same_for_the_same_seed_and_always_of_one_size():
    noise = np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8)
    image = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    data = buffer.getvalue()
    assert np.array_equal(augmented_view(data, "a"), augmented_view(data, "a"))
    assert not np.array_equal(augmented_view(data, "a"), augmented_view(data, "b"))
    assert {augmented_view(data, str(seed)).shape for seed in range(20)} == {(224, 224, 3)}
    assert plain_view(data).shape == (224, 224, 3)
