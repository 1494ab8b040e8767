"""What the recipe learns from, and how often it is drawn."""

from pathlib import Path

import numpy as np
import pytest

from antifake.trainer.examples import Example
from antifake.trainer.mini.sampling import learned_from, read_index, sampling_weights


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


def test_classes_and_owners_are_drawn_alike(examples):
    chosen = np.arange(len(examples))[::2]
    weights = sampling_weights(examples, chosen)
    fake = np.array([examples[i].is_fake for i in chosen])
    assert weights[fake].sum() == pytest.approx(0.5)
    assert weights.sum() == pytest.approx(1)
    owners = [examples[i].owner for i in chosen]
    for owner in set(owners):
        mine = weights[[one == owner for one in owners]]
        assert mine.sum() == pytest.approx(1 / 24), owner
        assert mine.min() == mine.max()


def test_the_index_of_a_data_folder_is_read_by_part(tmp_path):
    (tmp_path / "index.csv").write_text(
        "file,label,generator,family,kind,source,licence\n"
        "train/fake/a.jpg,fake,x,sd1,art,one,MIT\ntest/real/b.jpg,real,,,photo,two,MIT\n"
    )
    assert read_index(tmp_path, "train") == [
        Example(tmp_path / "train/fake/a.jpg", True, "one", "sd1", "art")
    ]
    assert [example.is_fake for example in read_index(tmp_path, "test")] == [False]


def test_parts_whose_names_match_are_read_together(tmp_path):
    names = ["train/real/a.jpg", "train2/real/b.jpg", "test/real/c.jpg"]
    lines = [f"{name},real,photo,one" for name in names]
    (tmp_path / "index.csv").write_text("\n".join(["file,label,kind,source", *lines]))
    found = read_index(tmp_path, "train*")
    assert [one.path.name for one in found] == ["a.jpg", "b.jpg"]


def test_one_owner_in_six_of_each_class_is_not_learned_from(tmp_path):
    lines = [
        f"{part}/{label}/{owner}-{number}.jpg,{label},photo,{owner}{label}/pictures"
        for label in ("real", "fake")
        for owner in range(11)
        for number in range(20 - owner)
        for part in ("train", "train2", "test")
    ]
    (tmp_path / "index.csv").write_text("\n".join(["file,label,kind,source", *lines[::-1]]))
    learned = learned_from(tmp_path)
    every = {f"{owner}{label}" for owner in range(11) for label in ("real", "fake")}
    assert every - {one.owner for one in learned} == {"4real", "4fake", "10real", "10fake"}
    assert len(learned) == 2 * 2 * (sum(range(10, 21)) - 16 - 10)
    assert {one.path.parts[-3] for one in learned} == {"train", "train2"}
