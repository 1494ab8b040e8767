"""What a candidate would change: of the person's answers, and of verdicts of the past."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.prompt import SoftPrompt

from .material import Material, logits_of
from .pictures import KeptFeatures, Progress, read_crops
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
    kept: KeptFeatures,
    progress: Progress,
) -> tuple[list[Changed], int]:
    """Returns the verdicts whose label would change, and how many could be judged again.

    `detectors` have the prompt in use and the new one; they share the model. Pictures whose
    features are kept, as those of answers are, do not go through the tower again.
    """
    changed: dict[int, Changed] = {}
    judged = 0
    for positions, pairs in _pairs(verdicts, detectors, decoder, kept):
        for position, (before, after) in zip(positions, pairs, strict=True):
            if before.label != after.label:
                changed[position] = Changed(verdicts[position].id, before, after)
        judged += len(positions)
        progress("verdicts", judged, len(verdicts))
    progress("verdicts", len(verdicts), len(verdicts))
    return [changed[position] for position in sorted(changed)], judged


@torch.inference_mode()
def _pairs(
    verdicts: Sequence[PastVerdict],
    detectors: tuple[Detector, Detector],
    decoder: Decoder,
    kept: KeptFeatures,
) -> Iterator[tuple[list[int], list[tuple[Judgement, Judgement]]]]:
    """Yields positions, and the judgements before and after, a batch at a time."""
    model = detectors[0].model
    known = [place for place, one in enumerate(verdicts) if one.sha256 in kept]
    for at in range(0, len(known), BATCH):
        batch = known[at : at + BATCH]
        rows = kept.rows([verdicts[place].sha256 for place in batch])
        with model.reading_keys_and_values():
            pairs = _both(rows, detectors)
        yield batch, pairs
    others = [place for place, one in enumerate(verdicts) if one.sha256 not in kept]
    crops = read_crops([verdicts[place].crop for place in others], decoder)
    while read := list(islice(crops, BATCH)):
        pixels = detectors[0].pixels([crop for _, crop in read])
        pairs = _both(model.vision_features(pixels), detectors)
        yield [others[place] for place, _ in read], pairs


def _both(
    features: Tensor, detectors: tuple[Detector, Detector]
) -> list[tuple[Judgement, Judgement]]:
    """Returns both judgements of each picture."""
    both = [_judgements(detector, features) for detector in detectors]
    return list(zip(*both, strict=True))


def _judgements(detector: Detector, features: Tensor) -> list[Judgement]:
    margins = detector.model.margin(features, detector.model.question(detector.prompt))
    bands = detector.prompt.about.bands
    scores = detector.p_fake(margins).tolist()
    return [Judgement(bands.label(p), round(p, 6)) for p in scores]
