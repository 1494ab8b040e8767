"""Which answers count: copies once, contradictions not at all, what is taken back not any more."""

import hashlib

import numpy as np
import pytest
from kit.person import Person, shapes, tiny_base_set
from PIL import Image

from antifake.core.detector import detector_of
from antifake.core.promptbook import Promptbook
from antifake.trainer.examples import Example
from antifake.trainer.personal.pictures import Seen, grouped
from antifake.trainer.personal.retraining import precision_for
from antifake.trainer.samples import Sample, appearance
from antifake.trainer.splits import folds


@pytest.fixture
def person(tiny_home, tmp_path):
    return Person(tiny_home, tmp_path / "crops")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_prompt_is_the_same_as_if_the_answer_had_never_been_given(person, tmp_path):
    person.answers(range(12), "real", looks_fake=False)
    person.answers(range(20, 32), "fake", looks_fake=True)
    never = person.retrain(tmp_path / "never")
    person.answers([40], "fake", looks_fake=False)
    with_it = person.retrain(tmp_path / "with")
    person.words.pop()
    person.words.reverse()  # the order in which they were given does not matter either
    person.retrain(tmp_path / "without")
    candidate = "candidate.safetensors"
    assert digest(tmp_path / "without" / candidate) == digest(tmp_path / "never" / candidate)
    assert digest(tmp_path / "with" / candidate) != digest(tmp_path / "never" / candidate)
    assert never.answers.fake == with_it.answers.fake - 1


def test_an_answer_that_was_taken_back_does_not_stay_in_the_prompt_in_use(person, tmp_path):
    person.answers(range(12), "real", looks_fake=False)
    person.answers(range(20, 33), "fake", looks_fake=True)
    person.retrain(tmp_path / "first")
    book = Promptbook(person.home.prompts)
    book.add("personal", (tmp_path / "first" / "candidate.safetensors").read_bytes())
    assert person.retrain(tmp_path / "same", current="personal").taken_back == 0
    person.words.pop()
    assert person.retrain(tmp_path / "less", current="personal").taken_back == 1


def test_a_prompt_in_use_is_not_flattered_by_the_answers_it_learned_from(person, tmp_path):
    """Answers at random: what was learned by heart is no better than chance when held out."""
    random = np.random.default_rng(0)
    for number in range(40):
        looks = bool(number % 2)
        person.answers([number], str(random.choice(["real", "fake"])), looks_fake=looks)
    first = person.retrain(tmp_path / "first")
    book = Promptbook(person.home.prompts)
    book.add("personal", (tmp_path / "first" / "candidate.safetensors").read_bytes())
    again = person.retrain(tmp_path / "again", current="personal")
    chosen = {one.kind: one.own.after for one in first.candidates}[first.chosen]
    assert all(one.own.before == pytest.approx(chosen, abs=1e-3) for one in again.candidates)


def seen(number, is_fake, pixels, mean=None):
    sample = Sample(Example(None, is_fake), f"{number:064}", *appearance(pixels))
    return Seen(sample, np.random.default_rng(number).normal(size=64) if mean is None else mean)


def large(number):
    return np.asarray(Image.fromarray(shapes(number, looks_fake=False)).resize((224, 224), 3))


def test_thirty_crops_of_one_photo_are_one_picture_and_never_part():
    photo = np.random.default_rng(99).normal(size=64)
    random = np.random.default_rng(1)
    crops = [seen(n, True, large(n), photo + 0.2 * random.normal(size=64)) for n in range(30)]
    others = [seen(n, n % 2 == 0, large(n)) for n in range(100, 160)]
    found = grouped([*crops, *others], by_content=True)
    assert len(np.unique(found.groups)) == 61
    assert len(set(found.groups[:30])) == 1
    is_fake = np.array([one.sample.is_fake for one in [*crops, *others]])
    for seed in range(20):
        fold = folds(is_fake, found.groups, 5, seed)
        assert all(len(set(fold[found.groups == number])) == 1 for number in found.groups)
        for label in (False, True):  # and each fold has some of either class
            assert set(fold[is_fake == label]) == set(range(5))
    apart = grouped([*crops, *others], by_content=False)
    assert len(np.unique(apart.groups)) == 90


def test_a_picture_with_both_labels_is_shown_and_not_learned_from():
    same = large(1)
    lighter = (same // 2 * 2 + 1).astype(np.uint8)
    copies = [
        seen(number, is_fake, pixels)
        for number, is_fake, pixels in [
            (1, False, same),
            (2, True, lighter),
            (3, True, same),
            (4, False, lighter),
        ]
    ]
    found = grouped([*copies, seen(5, True, large(3))], by_content=False)
    real, fake = [f"{1:064}", f"{4:064}"], [f"{2:064}", f"{3:064}"]
    assert found.contradictions == [[*real, *fake]], "one group, not each real one with each other"
    assert found.is_clear.tolist() == [False] * 4 + [True]


def test_the_flips_are_those_that_a_detector_finds_by_itself(person, tmp_path):
    """A golden run: both prompts judge the same crops in the ordinary way."""
    person.answers(range(12), "real", looks_fake=True)
    person.answers(range(20, 32), "fake", looks_fake=False)
    judge = []
    for number in range(50, 75):
        sha256, path = person.crop(number, looks_fake=bool(number % 2))
        judge.append({"id": number, "sha256": sha256, "crop": str(path)})
    report = person.retrain(tmp_path / "out", judge=judge)
    bundle, book = person.home.bundle(), Promptbook(person.home.prompts)
    after, before = (
        detector_of(bundle, book, name, precision_for(bundle))[0]
        for name in (str(tmp_path / "out" / "candidate.safetensors"), "first")
    )

    def crop(one):
        return np.asarray(Image.open(one["crop"]).convert("RGB"))

    changed = {}
    for one in judge:
        old, new = before.judge([crop(one)])[0], after.judge([crop(one)])[0]
        if old.label != new.label:
            changed[one["id"]] = (old.label, new.label)
    assert changed, "the test is about verdicts that change"
    found = {one.id: (one.before.label, one.after.label) for one in report.flips.verdicts}
    assert found == changed
    assert report.flips.judged == 25
    mended, broken = set(), set()
    for word in person.words:
        old, new = (d.judge([crop(word)])[0].p_fake > 0.5 for d in (before, after))
        if old != new:
            (mended if new == (word["label"] == "fake") else broken).add(word["sha256"])
    assert set(report.flips.mended) == mended
    assert set(report.flips.broken) == broken
    assert mended


def test_answers_of_which_half_are_wrong_are_not_promoted(person, tmp_path):
    base = tiny_base_set(person.home, person.home.bundle())
    for number in range(40):
        looks = bool(number % 2)
        label = "fake" if looks != (number % 4 < 2) else "real"
        person.answers([number], label, looks_fake=looks)
    report = person.retrain(tmp_path / "out", base)
    assert report.outcome == "candidate"
    assert not any(one.passes for one in report.candidates)
    assert "own pictures" in report.reason or "other pictures" in report.reason


def accuracy(person, prompt):
    """Returns the share of pictures of the person's kind, never answered, judged correctly."""
    detector, _ = detector_of(person.home.bundle(), Promptbook(person.home.prompts), prompt)
    looks = [number % 2 == 1 for number in range(100)]
    crops = [shapes(200 + number, looks_fake=one) for number, one in enumerate(looks)]
    judged = [one.p_fake > 0.5 for one in detector.judge(crops)]
    return np.mean(np.array(judged) == looks)


def test_answers_of_which_a_tenth_are_wrong_do_no_harm(person, tmp_path):
    """Wrong ones of both classes, or all of one: refused with the reason, or no worse elsewhere."""
    base = tiny_base_set(person.home, person.home.bundle())
    promoted = []
    for which, is_wrong in {
        "both": lambda number: number // 2 % 10 == 0,
        "real": lambda number: number % 10 == 0,
        "fake": lambda number: number % 10 == 1,
    }.items():
        person.words.clear()
        for number in range(60):
            looks = number % 2 == 1
            label = "fake" if looks != is_wrong(number) else "real"
            person.answers([number], label, looks_fake=looks)
        report = person.retrain(tmp_path / which, base)
        if report.outcome == "promote":
            promoted.append(str(tmp_path / which / "candidate.safetensors"))
        else:
            assert any(why in report.reason for why in ("own pictures", "other pictures", "needed"))
    assert promoted, "it is mended in spite of them, at least where they are of both classes"
    before = accuracy(person, "first")
    assert all(accuracy(person, prompt) >= before for prompt in promoted)


def test_answers_of_one_class_are_not_learned_from(person, tmp_path):
    person.answers(range(30), "fake", looks_fake=True)
    report = person.retrain(tmp_path / "out")
    assert report.outcome == "nothing"
    assert report.reason.startswith("10 more real pictures are needed")
