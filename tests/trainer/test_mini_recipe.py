"""The recipe's pieces: nothing leaks from what is left out, and nothing depends on the label."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from antifake.trainer.examples import Example
from antifake.trainer.mini.pictures import (
    changed_view,
    folds,
    group,
    plain_view,
    read_index,
    sampling,
)
from antifake.trainer.mini.recipe import ACCUSED, FALSE_ALARMS, HeldOut, calibrate
from antifake.trainer.mini.teacher import SHARPNESS, teach
from antifake.trainer.mini.tune import Batch


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
            Example(Path(f"f{source}/{i}"), True, f"fake{source}",
                    f"family{(source + (i % 10 == 0)) % 12}", "mixed")
            for i in range(fakes)
        ]  # fmt: skip
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
    weights = sampling(examples, chosen)
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


def test_a_changed_view_is_the_same_for_the_same_seed_and_256_or_1000_pixels_look_alike():
    noise = np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8)
    image = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    data = buffer.getvalue()
    assert np.array_equal(changed_view(data, "a"), changed_view(data, "a"))
    assert not np.array_equal(changed_view(data, "a"), changed_view(data, "b"))
    assert {changed_view(data, str(seed)).shape for seed in range(20)} == {(224, 224, 3)}
    assert plain_view(data).shape == (224, 224, 3)


def test_the_teacher_in_torch_is_the_machine_of_scikit_learn():
    random = np.random.default_rng(2)
    pooled = random.normal(size=(80, 6)).astype(np.float32)
    is_fake = pooled[:, 0] + pooled[:, 1] ** 2 > 0.7
    teacher = teach(pooled, is_fake, np.full(80, 1 / 80))
    found = teacher.logits(torch.from_numpy(pooled)).numpy()
    scaler = StandardScaler().fit(pooled)
    machine = SVC(C=1, gamma="scale").fit(scaler.transform(pooled), is_fake)
    wanted = SHARPNESS * machine.decision_function(scaler.transform(pooled))
    assert np.allclose(found, wanted, atol=1e-3)


def test_a_mixture_s_pooled_features_are_those_of_its_tokens():
    torch.manual_seed(5)
    tokens = torch.randn(6, 9, 4)
    pooled = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)
    labels = torch.tensor([0.0, 1, 0, 1, 1, 0])
    batch = Batch(tokens, pooled, labels, [None] * 6, torch.rand(6), torch.rand(6))
    mixed, features, truth = batch.mixed(slice(1, 6))
    assert torch.allclose(
        torch.cat([mixed[:, 0], mixed[:, 1:].mean(1)], dim=1), features, atol=1e-5
    )
    assert ((truth >= 0) & (truth <= 1)).all()
    still = replace(batch, push=torch.zeros(6), share=torch.ones(6))
    assert torch.equal(still.mixed(slice(0, 6))[0], tokens)


def test_the_threshold_keeps_the_promised_share_of_false_alarms():
    random = np.random.default_rng(4)
    truth = np.arange(4000) % 2 == 0
    found = random.normal(0, 2, 4000) + 2 * truth + 5
    result = calibrate(HeldOut([(None, truth, found)]))
    assert result.false_alarms == pytest.approx(FALSE_ALARMS, abs=0.01)
    assert 0.5 < result.temperature < 8
    assert (found[~truth] > result.threshold).mean() == result.false_alarms
    edge = result.threshold + result.temperature * np.log(1 / (1 / result.bands.fake_above - 1))
    assert (found[~truth] > edge).mean() <= ACCUSED


@pytest.mark.parametrize("n", [11, 15, 27, 101])
def test_few_held_out_pictures_do_not_exceed_the_budget_of_false_alarms(n):
    random = np.random.default_rng(n)
    truth = np.arange(2 * n) % 2 == 0
    found = random.normal(0, 2, 2 * n) + 2 * truth
    result = calibrate(HeldOut([(None, truth, found)]))
    assert result.false_alarms <= FALSE_ALARMS
    edge = result.threshold + result.temperature * np.log(1 / (1 / result.bands.fake_above - 1))
    assert (found[~truth] > edge).mean() <= ACCUSED


def test_the_index_of_a_data_folder_is_read_by_part(tmp_path):
    (tmp_path / "index.csv").write_text(
        "file,label,generator,family,kind,source,licence\n"
        "train/fake/a.jpg,fake,x,sd1,art,one,MIT\ntest/real/b.jpg,real,,,photo,two,MIT\n"
    )
    assert read_index(tmp_path, "train") == [
        Example(tmp_path / "train/fake/a.jpg", True, "one", "sd1", "art")
    ]
    assert [example.is_fake for example in read_index(tmp_path, "test")] == [False]
