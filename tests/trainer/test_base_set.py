"""The base set: what is kept of a picture, whose pictures guard what, and how it is built."""

import csv
import gzip

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from kit.person import shapes
from PIL import Image

from antifake.core.errors import ModelError
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.core.promptbook import PROMPT, Promptbook
from antifake.trainer.base_set.building import MOST, MOST_KNOWN, for_the_gate, main, thinned
from antifake.trainer.base_set.clustering import clustered
from antifake.trainer.base_set.compact import compact
from antifake.trainer.base_set.kept import base_set_for
from antifake.trainer.base_set.rows import base_rows
from antifake.trainer.examples import Example, from_manifest


def tokens(n=40, width=256, seed=0):
    """[CLS] and patches of three kinds."""
    random = np.random.default_rng(seed)
    kinds = random.normal(size=(3, width))
    patches = kinds[random.integers(3, size=n - 1)] + random.normal(0, 0.05, (n - 1, width))
    return np.concatenate([random.normal(size=(1, width)) * 3, patches]).astype(np.float32)


def test_what_is_kept_is_near_to_the_tokens_themselves():
    pictures = [tokens(seed=seed) for seed in range(8)]
    kept = compact([clustered(one, 5) for one in pictures])
    rows, counts = kept.rows().numpy(), kept.counts.numpy()
    assert (counts.sum(axis=1) == 40).all()
    for number, one in enumerate(pictures):
        again = rows[number].repeat(counts[number], axis=0)
        # Which patch is which is not kept, so each is compared with the nearest.
        nearest = np.linalg.norm(one[1:, None] - again[None, 1:], axis=2).min(axis=1)
        assert nearest.mean() < 0.25 * one[1:].std() * np.sqrt(256)
        assert np.abs(again[0] - one[0]).mean() < 0.25 * one[0].std()
        assert np.abs(again[1:].mean(axis=0) - one[1:].mean(axis=0)).mean() < 0.1 * one[1:].std()


def test_some_of_a_set_are_the_same_pictures_as_in_all():
    kept = compact([clustered(tokens(seed=seed), 4) for seed in range(6)])
    some = kept[torch.tensor([False, True, False, True, False, False])]
    assert len(some) == 2
    assert torch.equal(some.rows(), kept.rows()[[1, 3]])
    assert torch.equal(some.counts, kept.counts[[1, 3]])


def test_owners_that_training_knew_are_never_for_the_gate_and_none_is_in_both(tmp_path):
    sizes = (("a", 9), ("b", 7), ("c", 5), ("d", 4), ("known", 30))
    pictures = [
        Example(tmp_path / f"{name}{number}.png", is_fake, source=f"{name}-{is_fake}/{number % 2}")
        for is_fake in (False, True)
        for name, n in sizes
        for number in range(n)
    ]
    chosen = for_the_gate(pictures, {"known-True", "known-False"})
    names = np.array([one.owner for one in pictures])
    # Of each class, so that neither half is short of one.
    assert set(names[chosen]) == {"a-False", "d-False", "a-True", "d-True"}
    rest = {"b-False", "c-False", "known-False", "b-True", "c-True", "known-True"}
    assert set(names[~chosen]) == rest


def test_no_owner_outweighs_the_others(tmp_path):
    pictures = [
        Example(tmp_path / f"{number}.png", is_fake=number % 3 == 0, source="gallery/one")
        for number in range(4 * MOST)
    ]
    kept = thinned(pictures, set())
    assert sum(one.is_fake for one in kept) == MOST
    assert sum(not one.is_fake for one in kept) == MOST
    assert thinned(pictures[::-1], set()) == kept
    fewer = thinned(pictures, {"gallery"})
    assert sum(one.is_fake for one in fewer) == MOST_KNOWN
    assert sum(not one.is_fake for one in fewer) == MOST_KNOWN


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    rows = []
    for number in range(24):
        name = f"{'set' if number < 18 else 'train'}/{number}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        looks_fake = bool(number % 2)
        shown = Image.fromarray(shapes(number, looks_fake=looks_fake)).resize((84, 84))
        shown.save(folder / name)
        source = f"{'abcdef'[number % 6 if number < 18 else number % 3]}/pictures"
        rows.append([name, "fake" if looks_fake else "real", source])
    Image.new("RGB", (84, 84)).save(folder / "set/plain.png")
    rows.append(["set/plain.png", "real", "g/pictures"])
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "source"], *rows])
    return folder


def test_a_set_is_built_out_of_a_folder_and_read_back(tiny_home, data, tmp_path, monkeypatch):
    bundle = tiny_home.bundle()
    prompt = Promptbook(tiny_home.prompts).open("first", bundle).path.read_bytes()
    (bundle.folder / PROMPT).write_bytes(prompt)
    monkeypatch.setenv("ANTIFAKE_HOME", str(tiny_home.root))
    asked = [str(data), "--model", "tiny", "--without", "a/pictures", "--out", str(tmp_path)]
    parts = ["--only", "set/*", "--only", "train/*"]
    said = CliRunner().invoke(main, [*asked, *parts], catch_exceptions=False)
    assert "plain.png is left out" in said.output
    print(said.output)
    found = base_set_for(bundle, tmp_path)
    assert found is not None
    examples = {one.source for one in from_manifest(data / "index.csv", "set/*")}
    kept = {*found.replay.sources, *found.gate.sources}
    assert kept == examples - {"a/pictures", "g/pictures"}
    # Training saw pictures of a, b and c, so the gate gets others: of d and f, which are AI-made,
    # and of e, which is real, the first.
    assert {*found.gate.sources} == {"d/pictures", "e/pictures"}
    assert (len(found.replay), len(found.gate)) == (13, 6)
    assert (found.replay.is_fake.sum(), found.gate.is_fake.sum()) == (8, 3)
    model = load(bundle, Precision(torch.device("cpu"), torch.float32))
    rows = base_rows(found.replay, model)
    features, counts = rows.features(torch.tensor([3, 1]))
    assert features.shape[:2] == counts.shape == (2, 5)


@pytest.mark.parametrize(
    "content",
    [
        b"not one",
        gzip.compress(b"not one"),
        gzip.compress(bytes(64))[:-9],
    ],
    ids=["no gzip", "no safetensors", "cut short"],
)
def test_a_damaged_set_is_told(tiny_home, tmp_path, content):
    (tmp_path / "tiny.safetensors.gz").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        base_set_for(tiny_home.bundle(), tmp_path)


def test_a_tower_without_a_set_has_none(tiny_home):
    assert base_set_for(tiny_home.bundle()) is None
