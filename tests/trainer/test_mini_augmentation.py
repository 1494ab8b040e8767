"""Views of a picture are the same for the same seed, and always of one size."""

import io

import numpy as np
from kit.color_files import ADOBE, gamma
from kit.pages import scene
from PIL import Image

from antifake.core.icc import matrix_profile
from antifake.core.images import decode
from antifake.trainer.mini.augmentation import augmented_view, plain_view
from antifake.trainer.mini.gpu.views import Task, drawn


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


def test_views_are_drawn_of_what_the_detector_sees():
    """Turned by EXIF, in the colors of its profile, and laid on white."""
    image = scene(5, 320, 240)
    image.putalpha(160)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=matrix_profile(ADOBE, gamma(1.8)), exif=exif)
    data = buffer.getvalue()
    seen = decode(data).crop.astype(float)
    [drawn_first] = drawn(Task(0, "one", data), 1)
    shrunk = Image.fromarray(drawn_first).resize((224, 224), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(shrunk) - seen).mean() < 3
    views = [augmented_view(data, str(seed)) for seed in range(8)]
    assert np.abs(np.mean(views, axis=(0, 1, 2)) - seen.mean(axis=(0, 1))).max() < 12
