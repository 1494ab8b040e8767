"""What a candidate would change: of the person's answers, and of verdicts of the past."""

from collections.abc import Sequence
from itertools import islice

import torch

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.images import Pixels
from antifake.core.prompt import SoftPrompt

from .material import Material, logits_of
from .pictures import Progress, read_crops
from .report import Changed, Judgement
from .request import PastVerdict

BATCH = 8


def answer_flips(
    material: Material, before: SoftPrompt, after: SoftPrompt
) -> tuple[list[str], list[str]]:
    """Returns the answers that `after` mends and those that it breaks, by sha256."""
    was, is_now = (logits_of(prompt, material.margins(prompt)) > 0 for prompt in (before, after))
    mended: list[str] = []
    broken: list[str] = []
    for one, old, new in zip(material.samples, was.tolist(), is_now.tolist(), strict=True):
        if old != new:
            (mended if new == one.is_fake else broken).append(one.sha256)
    return mended, broken


def judged_again(
    verdicts: Sequence[PastVerdict],
    detectors: tuple[Detector, Detector],
    decoder: Decoder,
    progress: Progress,
) -> tuple[list[Changed], int]:
    """Returns the verdicts whose label would change, and how many could be judged again.

    `detectors` have the prompt in use and the new one; they share the model.
    """
    changed: list[Changed] = []
    judged = 0
    crops = read_crops([one.crop for one in verdicts], decoder)
    while batch := list(islice(crops, BATCH)):
        pairs = _both([crop for _, crop in batch], detectors)
        for (position, _), (before, after) in zip(batch, pairs, strict=True):
            if before.label != after.label:
                changed.append(Changed(verdicts[position].id, before, after))
        judged += len(batch)
        progress("verdicts", batch[-1][0] + 1, len(verdicts))
    return changed, judged


@torch.inference_mode()
def _both(
    crops: Sequence[Pixels], detectors: tuple[Detector, Detector]
) -> list[tuple[Judgement, Judgement]]:
    """Returns both judgements of each crop. The pictures go through the tower once."""
    features = detectors[0].model.vision_features(detectors[0].pixels(crops))
    both = [_judgements(detector, features) for detector in detectors]
    return list(zip(*both, strict=True))


def _judgements(detector: Detector, features: torch.Tensor) -> list[Judgement]:
    margins = detector.model.margin(features, detector.model.question(detector.prompt))
    bands = detector.prompt.about.bands
    scores = detector.p_fake(margins).tolist()
    return [Judgement(bands.label(p), round(p, 6)) for p in scores]
