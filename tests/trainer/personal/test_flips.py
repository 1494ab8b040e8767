"""What a new prompt would change of verdicts of the past."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kit.person import Person

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector, detector_of
from antifake.core.precision import Precision
from antifake.core.promptbook import Promptbook
from antifake.trainer.personal.flips import judged_again
from antifake.trainer.personal.material import with_threshold
from antifake.trainer.personal.pictures import KeptFeatures, see
from antifake.trainer.personal.request import Answer, PastVerdict


@pytest.fixture
def detectors(tiny_home, tiny_bundle):
    """The prompt in use, and one that calls everything AI-made."""
    exact = Precision(torch.device("cpu"), torch.float32)
    now, _ = detector_of(tiny_bundle, Promptbook(tiny_home.prompts), "first", exact)
    return now, Detector(now.model, replace(with_threshold(now.prompt, -50.0)), "")


def test_answers_are_judged_again_without_another_look_at_them(tiny_home, tmp_path, detectors):
    person, kept = Person(tiny_home, tmp_path / "crops"), KeptFeatures()
    pictures = [person.crop(number, looks_fake=False) for number in range(20)]
    verdicts = [PastVerdict(n, sha256, crop) for n, (sha256, crop) in enumerate(pictures)]
    told = []

    def again(decoder):
        changed, judged = judged_again(
            verdicts, detectors, decoder, kept, lambda *step: told.append(step)
        )
        assert [one.after.label for one in changed] == ["fake"] * len(changed)
        return {one.id: one.before for one in changed}, judged

    with Decoder(jobs=1, size=detectors[0].model.image_size, view="kept") as decoder:
        every, judged = again(decoder)
        assert judged == 20
        assert len(every) > 10
        answers = [Answer(sha256, False, crop) for sha256, crop in pictures[::2]]
        see(answers, detectors[0], decoder, kept, lambda *_: None)
        for _, crop in pictures[::2]:
            Path(crop).unlink()
        some, judged = again(decoder)
    assert (list(some), judged) == (list(every), 20)
    assert told[-1] == ("verdicts", 20, 20)
    for number, before in every.items():
        assert some[number].label == before.label
        assert some[number].p_fake == pytest.approx(before.p_fake, abs=1e-3)
