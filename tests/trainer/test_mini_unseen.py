"""The estimate for sources never seen: nothing near them is learned from, sources count alike."""

from pathlib import Path

import numpy as np
import pytest

from antifake.trainer.examples import Example
from antifake.trainer.mini.unseen import Judged, estimate, family, splits


def example(number, is_fake, source, family=""):
    return Example(Path(f"{source}/{number}.jpg"), is_fake, source, family)


@pytest.fixture(scope="module")
def collection():
    """Twelve owners of each class, two repositories each; two families are at two owners.

    Real owners 0 and 1 show the same things. Owner 2 has a near copy of a picture of owner 5.
    """
    random = np.random.default_rng(7)
    examples, looks = [], []
    for number in range(12):
        for is_fake in (False, True):
            name = f"{'ai' if is_fake else 'photos'}{number}"
            alike = 0 if (number, is_fake) == (1, False) else number
            middle = np.random.default_rng(100 * alike + is_fake).normal(size=32)
            for i in range(20):
                made_by = f"family{(number + (i % 10 == 0)) % 12}" if is_fake else ""
                examples.append(example(i, is_fake, f"{name}/part{i % 2}", made_by))
                looks.append(middle + 0.6 * random.normal(size=32))
    looks = np.array(looks)
    mine, theirs = (
        next(i for i, one in enumerate(examples) if one.owner == name)
        for name in ("photos2", "photos5")
    )
    looks[mine] = looks[theirs] + 1e-3
    return examples, looks, mine, theirs


def test_no_owner_family_or_relative_is_on_both_sides(collection):
    examples, looks, mine, theirs = collection
    found = splits(examples, looks, 4)
    for split in found:
        train, held = ([examples[i] for i in part] for part in (split.train, split.held))
        assert not {one.owner for one in train} & {one.owner for one in held}
        assert not {family(one) for one in train if one.is_fake} & {
            family(one) for one in held if one.is_fake
        }
        assert {one.is_fake for one in held} == {True, False}
        homes = {one.owner for one in held}
        assert ("photos0" in homes) == ("photos1" in homes)
        for one, copy in ((mine, theirs), (theirs, mine)):
            if one in split.held and copy not in split.held:
                assert copy not in split.train
    held = np.concatenate([split.held for split in found])
    assert len(held) == len(set(held))


def test_a_source_counts_the_same_with_five_pictures_as_with_five_hundred():
    truth = np.array([True] * 10 + [False] * 505)
    margins = np.concatenate([np.ones(10), np.zeros(500), np.full(5, 2.0)])
    sources = ("ai",) * 10 + ("many",) * 500 + ("few",) * 5
    found = estimate([Judged(truth, margins, sources)])
    assert found.auc == 0.5
    assert (found.low, found.high) == (0, 1)
    # Half of the real sources lie above all AI-made pictures: at 10 % false alarms none is found.
    assert found.found == 0


def test_the_interval_grows_with_the_difference_between_sources():
    random = np.random.default_rng(3)
    truth = np.repeat([True, False], 400)
    sources = tuple(f"s{i // 40}" for i in range(800))
    alike = random.normal(size=800) + truth
    apart = alike + np.repeat(random.normal(size=20), 40)
    narrow, wide = (estimate([Judged(truth, one, sources)]) for one in (alike, apart))
    assert narrow.low < narrow.auc < narrow.high
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert estimate([Judged(truth, alike, sources)]) == narrow


def test_what_a_family_without_a_name_is():
    assert family(example(0, True, "someone/x", "other")) == "of someone"
    assert family(example(0, True, "someone/x", "sd1")) == "sd1"
    assert family(example(0, False, "someone/x", "-")) == ""
