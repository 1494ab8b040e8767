"""Nothing leaks from the sources that are left out, and both classes are drawn alike."""

from pathlib import Path

import numpy as np
import pytest

from antifake.trainer.examples import Example
from antifake.trainer.mini.folds import folds, group, read_index, sampling_weights


@pytest.fixture(scope="module")
def examples():
    random = np.random.default_rng(0)
    made = []
    for source in range(12):
        reals, fakes = random.integers(20, 300, 2)
        made += [
            Example(Path(f"r{source}/{i}"), False, f"real{source}", "", "photo")
            for i in range(reals)
        ]
        # Every tenth picture is of the next source's generator.
        made += [
            Example(
                Path(f"f{source}/{i}"),
                True,
                f"fake{source}",
                f"family{(source + (i % 10 == 0)) % 12}",
                "mixed",
            )
            for i in range(fakes)
        ]
    return made


def test_no_source_and_no_family_is_on_both_sides_of_a_fold(examples):
    every = folds(examples, 5, seed=3)
    for fold in every:
        train, held = fold.split(examples)
        trained, judged = ([examples[i] for i in part] for part in (train, held))
        assert not {e.source for e in trained} & {e.source for e in judged if not e.is_fake}
        assert not {e.family for e in trained if e.is_fake} & {
            e.family for e in judged if e.is_fake
        }
        assert not {e.source for e in trained} & fold.fake_sources
        assert {examples[i].is_fake for i in held} == {True, False}
    reals = [source for fold in every for source in fold.real_sources]
    assert len(reals) == len(set(reals)) == 12


def test_classes_are_drawn_alike_and_small_groups_more_often(examples):
    chosen = np.arange(len(examples))
    weights = sampling_weights(examples, chosen)
    fake = np.array([example.is_fake for example in examples])
    assert weights[fake].sum() == pytest.approx(0.5)
    assert weights.sum() == pytest.approx(1)
    sizes = {}
    for example in examples:
        sizes[group(example)] = sizes.get(group(example), 0) + 1
    by_size = sorted(
        (sizes[group(e)], w) for e, w in zip(examples, weights, strict=True) if not e.is_fake
    )
    assert by_size[0][1] > by_size[-1][1]


def test_the_index_of_a_data_folder_is_read_by_part(tmp_path):
    (tmp_path / "index.csv").write_text(
        "file,label,generator,family,kind,source,licence\n"
        "train/fake/a.jpg,fake,x,sd1,art,one,MIT\ntest/real/b.jpg,real,,,photo,two,MIT\n"
    )
    assert read_index(tmp_path, "train") == [
        Example(tmp_path / "train/fake/a.jpg", True, "one", "sd1", "art")
    ]
    assert [example.is_fake for example in read_index(tmp_path, "test")] == [False]
