"""`antifake calibrate` from end to end: judge labelled pictures, fit, and say what changed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.errors import NoScoreError, UsageError
from antifake.core.pipeline import BATCH
from antifake.core.pixels import Pixels
from antifake.core.prompt import SoftPrompt
from antifake.core.prompt_file import PromptMetadata

from .calibration import ENOUGH, Numbers, Truth, calibrated, enough, quality
from .dataset import Say, counts
from .examples import Example
from .samples import Sample, read_samples, require_both_classes, without_duplicates


def recalibrate(
    detector: Detector,
    decoder: Decoder,
    examples: Sequence[Example],
    false_alarms: float | None,
    say: Say,
) -> tuple[SoftPrompt, list[str]]:
    """Returns the detector's prompt, calibrated on these pictures, and a table of the changes.

    Raises UsageError where the pictures are too few or do not allow it.
    """
    pictures = _checked(examples, decoder, say)
    is_fake = np.array([one.is_fake for one in pictures])
    margins = np.fromiter(_margins(detector, decoder, pictures), np.float64, len(pictures))
    if not np.isfinite(margins).all():
        raise NoScoreError
    old = detector.prompt.about
    new = calibrated(old, margins, is_fake, false_alarms)
    made = {
        **counts(pictures),
        "false_alarms_wanted": false_alarms,
        **quality(new, margins, is_fake).to_dict(),
    }
    prompt = replace(detector.prompt, about=replace(new, made=old.made | {"calibration": made}))
    return prompt, list(_table(old, new, margins, is_fake))


def _checked(examples: Sequence[Example], decoder: Decoder, say: Say) -> list[Sample]:
    found, complaints = read_samples(examples, decoder)
    pictures, notes = without_duplicates(found)
    for sentence in complaints + notes:
        say(sentence)
    require_both_classes(pictures, "to calibrate on")
    if not enough(np.array([one.is_fake for one in pictures])):
        raise UsageError(
            f"There are too few pictures: {ENOUGH} real and {ENOUGH} AI-made ones are the least, "
            f"a few hundred are better."
        )
    return pictures


def _margins(detector: Detector, decoder: Decoder, pictures: Sequence[Sample]) -> Iterator[float]:
    """Yields l_no - l_yes of each picture."""
    decoded = decoder.decode_many(one.example.path for one in pictures)
    crops: list[Pixels] = []
    for number, (path, one) in enumerate(decoded, 1):
        if one.picture is None:
            raise UsageError(f"{path} has changed while it was read.")
        crops.append(one.picture.crop)
        if len(crops) == BATCH or number == len(pictures):
            yield from detector.margins(crops).tolist()
            crops = []


def _table(
    old: PromptMetadata, new: PromptMetadata, margins: Numbers, is_fake: Truth
) -> Iterator[str]:
    """Yields a header and a line for each number."""
    yield f"{'':<20}{'before':>10}{'after':>10}"
    before, after = quality(old, margins, is_fake), quality(new, margins, is_fake)
    rows = {"threshold": (old.threshold, new.threshold)}
    rows["temperature"] = old.temperature, new.temperature
    rows |= {name: (value, after.to_dict()[name]) for name, value in before.to_dict().items()}
    for name, (was, is_now) in rows.items():
        yield f"{name.replace('_', ' '):<20}{was:>10.4f}{is_now:>10.4f}"
