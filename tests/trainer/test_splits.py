"""Near-duplicates are known and never part; both parts hold both classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from antifake.core.errors import UsageError
from antifake.trainer.examples import Example
from antifake.trainer.samples import Sample, appearance, without_duplicates
from antifake.trainer.splits import near_duplicates, split, without_leaks


def crop(seed, size=224):
    """A picture with shapes of all sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((size, size), 3)
        for n in (4, 9, 30)
    ]
    return np.mean([np.asarray(layer, float) for layer in layers], axis=0).astype(np.uint8)


def compressed(pixels, tmp_path, quality=40):
    path = tmp_path / "again.jpg"
    Image.fromarray(pixels).resize((150, 150)).save(path, quality=quality)
    return np.asarray(Image.open(path).convert("RGB").resize(pixels.shape[:2]))


def picture(number, is_fake, source="", pixels=None):
    example = Example(Path(f"{number}.png"), is_fake, source)
    shown = crop(number, 64) if pixels is None else pixels
    return Sample(example, f"{number:064}", *appearance(shown))


def test_a_copy_that_was_scaled_and_compressed_is_known_again(tmp_path):
    originals = [picture(n, False, pixels=crop(n)) for n in range(20)]
    again = [picture(n, False, pixels=compressed(crop(n), tmp_path)) for n in range(20)]
    assert near_duplicates(again, originals) == [(n, n) for n in range(20)]


def test_other_pictures_are_not_even_where_they_are_smooth():
    """All horizontal gradients have one dhash; their colours tell them apart."""
    ramp = np.linspace(0, 60, 64)[None, :, None] * np.ones((64, 1, 3))
    red, blue = (ramp + np.array(tint) for tint in ([150, 20, 20], [20, 20, 150]))
    pair = [picture(n, False, pixels=p.astype(np.uint8)) for n, p in enumerate((red, blue))]
    assert pair[0].dhash == pair[1].dhash
    assert near_duplicates(pair[:1], pair[1:]) == []


@pytest.mark.parametrize(("brighter", "is_near"), [(1, True), (8, False)])
def test_the_same_outlines_in_other_colours_are_another_picture(brighter, is_near):
    """A dhash only knows where a picture grows brighter; the thumbnail knows how bright it is."""
    shown = crop(1, 64) // 2
    pair = [picture(1, False, pixels=shown), picture(2, False, pixels=shown + np.uint8(brighter))]
    assert pair[0].dhash == pair[1].dhash
    assert near_duplicates(pair[:1], pair[1:]) == ([(0, 0)] if is_near else [])


def test_a_fifth_of_each_class_is_held_back_the_same_for_the_same_seed():
    pictures = [picture(n, n % 2 == 1) for n in range(50)]
    learn, validate, notes = split(pictures, seed=3)
    assert notes == []
    assert [sum(one.is_fake for one in part) for part in (learn, validate)] == [20, 5]
    assert len(validate) == 10
    assert {one.sha256 for one in learn}.isdisjoint(one.sha256 for one in validate)
    assert split(pictures, seed=3) == (learn, validate, notes)
    assert split(pictures, seed=4)[1] != validate


@pytest.mark.parametrize("seed", range(5))
def test_near_copies_stay_on_one_side(tmp_path, seed):
    pictures = [picture(n, n % 2 == 1) for n in range(20)]
    again = [
        picture(100 + n, n % 2 == 1, pixels=compressed(crop(n, 64), tmp_path)) for n in range(10)
    ]
    learn, validate, _ = split([*pictures, *again], seed)
    learned, validated = (
        {int(one.example.path.stem) % 100 for one in part} for part in (learn, validate)
    )
    assert learned.isdisjoint(validated)
    assert learned | validated == set(range(20))


def test_whole_sources_are_held_back_where_they_are_known():
    pictures = [picture(n, n % 2 == 1, source=f"{n % 2}-{n // 10}") for n in range(80)]
    learn, validate, notes = split(pictures, seed=0)
    assert notes == []
    sources = [{one.example.source for one in part} for part in (learn, validate)]
    assert sources[0].isdisjoint(sources[1])


def test_one_source_a_class_is_parted_all_the_same_and_said_so():
    pictures = [picture(n, n % 2 == 1, source=f"{n % 2}") for n in range(20)]
    learn, validate, notes = split(pictures, seed=0)
    assert {one.is_fake for one in learn} == {one.is_fake for one in validate} == {True, False}
    assert "too few sources" in notes[0]


def test_too_few_pictures_are_a_sentence():
    with pytest.raises(UsageError, match="two real and two AI-made"):
        split([picture(0, False), picture(1, True), picture(2, True)], seed=0)


def test_ten_pictures_are_enough():
    learn, validate, _ = split([picture(n, n % 2 == 1) for n in range(10)], seed=0)
    assert (len(learn), len(validate)) == (8, 2)


def test_what_is_learned_from_is_not_validated_on(tmp_path):
    learn = [picture(n, False) for n in range(5)]
    near = picture(9, False, pixels=compressed(crop(2, 64), tmp_path))
    kept, notes = without_leaks(learn, [learn[1], near, picture(7, True)])
    assert [one.example.path.name for one in kept] == ["7.png"]
    assert notes[0].startswith("2 validation pictures")


def test_the_same_bytes_count_once_and_never_bear_two_labels():
    one = picture(1, False)
    kept, notes = without_duplicates([one, one, picture(2, True)])
    assert len(kept) == 2
    assert notes == ["1 copy of a picture that is already there is left out."]
    twice = Sample(Example(Path("x.png"), True), one.sha256, one.dhash, one.thumb)
    with pytest.raises(UsageError, match=r"1\.png and x\.png are the same picture"):
        without_duplicates([one, twice])
