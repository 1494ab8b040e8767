"""Features on disk: found again by content, never trusted when damaged, never too many."""

import os
from types import SimpleNamespace

import pytest
import torch
from conftest import tiny_prompt
from kit.toy import toy_pictures
from torch._subclasses.fake_tensor import FakeTensorMode

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.errors import AntifakeError
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.core.prepare import Source, prepare
from antifake.trainer.examples import from_folders
from antifake.trainer.features import (
    FLIPPED,
    PLAIN,
    FeatureCache,
    FeatureExtractor,
    View,
    vision_fingerprint,
)
from antifake.trainer.samples import read_samples

FLOAT32 = Precision(torch.device("cpu"), torch.float32)


@pytest.fixture
def pictures(tmp_path):
    real, fake = toy_pictures(tmp_path / "toys", n=4)
    with Decoder(size=28) as decoder:
        found, complaints = read_samples(from_folders(real, fake), decoder)
    assert complaints == []
    return found


@pytest.fixture
def extractor_with(tiny_bundle):
    model = load(tiny_bundle, FLOAT32)
    with Decoder(size=28) as decoder:
        pixels = Detector(model, tiny_prompt(1), "").pixels
        yield lambda cache, depends_on="", at_once=None: FeatureExtractor(
            model, pixels, decoder, cache, depends_on, at_once=at_once
        )


def test_kept_features_reach_a_gpu_by_one_copy_from_pinned_memory(monkeypatch):
    """On torch's fake CUDA device; a copy of each picture would wait for the GPU each time."""
    copies = []
    to = torch.Tensor.to

    def noted(tensor, device, *args, **kwargs):
        if not isinstance(device, torch.device):
            return to(tensor, device, *args, **kwargs)
        copies.append((tuple(tensor.shape), kwargs))
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)

    empty = torch.empty
    pinned = []

    def allocate(*shape, pin_memory=False, **kwargs):
        pinned.append(pin_memory)
        return empty(*shape, **kwargs)

    monkeypatch.setattr(torch, "empty", allocate)
    monkeypatch.setattr(torch.Tensor, "to", noted)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = SimpleNamespace(device=torch.device("cuda"))
        extractor = FeatureExtractor(model, None, None, None, "")
        found = [torch.zeros(5, 3, dtype=torch.float16) for _ in range(4)]
        batch = extractor._stacked(found)
        assert (batch.device.type, batch.shape, batch.dtype) == ("cuda", (4, 5, 3), torch.float16)
        assert copies == [((4, 5, 3), {"non_blocking": True})]
        assert pinned.count(True) == 1
        # Some have just been computed there, in the first epoch.
        mixed = extractor._stacked([*found, torch.zeros(5, 3, dtype=torch.float16, device="cuda")])
        assert (mixed.device.type, mixed.shape) == ("cuda", (5, 5, 3))


def files_in(cache):
    return sorted(cache.folder.rglob("*.features"))


def test_what_was_kept_is_what_would_be_computed(extractor_with, pictures, tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    views = [PLAIN, FLIPPED, PLAIN, FLIPPED]
    fresh = extractor_with(None).features(pictures, views)
    assert torch.equal(extractor_with(cache).features(pictures, views), fresh)
    assert len(files_in(cache)) == 4
    for one in pictures:
        one.example.path.unlink()
    assert torch.equal(extractor_with(cache).features(pictures, views), fresh)


def test_in_a_batch_a_picture_looks_as_it_does_in_another_batch(extractor_with, pictures):
    extractor = extractor_with(None, at_once=3)
    all_of_them = extractor.features(pictures, [PLAIN] * len(pictures))
    one = extractor_with(None).features(pictures, [PLAIN] * len(pictures))
    assert torch.allclose(all_of_them, one, atol=1e-5)
    alone = [extractor.features([picture], [PLAIN])[0] for picture in pictures]
    assert torch.equal(torch.stack(alone), all_of_them)


def test_both_views_differ_and_have_a_file_each(extractor_with, pictures, tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    plain, flipped = extractor_with(cache).features([pictures[0]] * 2, [PLAIN, FLIPPED])
    assert not torch.equal(plain, flipped)
    assert len(files_in(cache)) == 2


def test_another_model_or_normalisation_is_another_file(extractor_with, pictures, tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    for depends_on in ("one tower", "another tower"):
        extractor_with(cache, depends_on).features(pictures[:1], [PLAIN])
    assert len(files_in(cache)) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped bit", "emptied", "a folder"])
def test_a_damaged_file_is_computed_again(extractor_with, pictures, tmp_path, damage):
    cache = FeatureCache(tmp_path / "cache")
    fresh = extractor_with(cache).features(pictures[:1], [PLAIN])
    (path,) = files_in(cache)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:-7])
    elif damage == "flipped bit":
        data[-1] ^= 1
        path.write_bytes(data)
    elif damage == "emptied":
        path.write_bytes(b"")
    else:
        path.unlink()
        (path.parent / "stray").mkdir()
    assert torch.equal(extractor_with(cache).features(pictures[:1], [PLAIN]), fresh)
    assert hash(files_in(cache)[0].read_bytes()) != hash(b"")


def test_the_folder_keeps_what_was_used_last(tmp_path):
    one = torch.zeros(100, 100)
    cache = FeatureCache(tmp_path, max_bytes=5 * 41_000)
    for name in "abcde":
        cache.put(name * 4, one)
    # Times far apart and long ago, whatever the clock of the disk can tell apart.
    for last_used, path in enumerate(files_in(cache), start=1):
        os.utime(path, (1000 * last_used, 1000 * last_used))
    assert cache.get("aaaa") is not None  # the oldest is used once more
    cache.put("ffff", one)
    assert sum(path.stat().st_size for path in files_in(cache)) <= 5 * 41_000
    assert [path.stem[0] for path in files_in(cache)] == ["a", "d", "e", "f"]


def test_a_cache_that_is_too_small_for_anything_does_no_harm(extractor_with, pictures, tmp_path):
    cache = FeatureCache(tmp_path / "cache", max_bytes=1)
    fresh = extractor_with(None).features(pictures, [PLAIN] * 4)
    assert torch.equal(extractor_with(cache).features(pictures, [PLAIN] * 4), fresh)
    assert files_in(cache) == []


def test_two_models_with_one_tower_share_their_features(tiny_bundle, tiny_source, tmp_path):
    from kit.tiny import build_tiny

    same = prepare(Source(tiny_source), tmp_path / "same", dtype="fp32", full_tables=True)
    other = prepare(Source(build_tiny(tmp_path / "source", seed=5)), tmp_path / "o", dtype="fp32")
    assert vision_fingerprint(same) == vision_fingerprint(tiny_bundle)
    assert vision_fingerprint(other) != vision_fingerprint(tiny_bundle)


def test_random_squares_lie_where_they_are_told_and_are_never_kept(
    extractor_with, pictures, tmp_path
):
    cache = FeatureCache(tmp_path / "cache")
    extractor = extractor_with(cache)
    left = extractor.features(pictures[3:], [View(at=(0.0, 0.0))])
    right = extractor.features(pictures[3:], [View(at=(1.0, 0.0))])
    assert not torch.equal(left, right)
    assert files_in(cache) == []
    middle = extractor.features(pictures[3:], [View(at=(0.5, 0.5))])
    plain = extractor.features(pictures[3:], [PLAIN])
    assert torch.allclose(middle, plain, atol=1e-5)


@pytest.mark.parametrize("view", [PLAIN, View(at=(0.0, 0.0))])
def test_a_picture_that_changes_meanwhile_ends_the_run(extractor_with, pictures, view):
    path = pictures[0].example.path
    path.write_bytes(pictures[1].example.path.read_bytes())
    with pytest.raises(AntifakeError, match="was changed"):
        extractor_with(None).features(pictures[:1], [view])
