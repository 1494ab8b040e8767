"""`antifake calibrate` from end to end: judge labelled pictures, fit, say what changed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.errors import NoScoreError, UsageError
from antifake.core.images import Pixels
from antifake.core.pipeline import BATCH
from antifake.core.prompt import SoftPrompt
from antifake.core.prompt_file import PromptMetadata

from .calibrate import ENOUGH, Numbers, Truth, calibrated, enough, quality
from .examples import Example
from .lessons import Say, counts
from .survey import Surveyed, both_classes, survey, without_copies


def calibrate_on(
    detector: Detector,
    decoder: Decoder,
    examples: Sequence[Example],
    false_alarms: float | None,
    say: Say,
) -> tuple[SoftPrompt, list[str]]:
    """The detector's prompt calibrated on these pictures, and a table of what that changed.

    Raises UsageError where the pictures cannot tell.
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
    word = replace(detector.prompt, about=replace(new, made=old.made | {"calibration": made}))
    return word, list(_table(old, new, margins, is_fake))


def _checked(examples: Sequence[Example], decoder: Decoder, say: Say) -> list[Surveyed]:
    found, complaints = survey(examples, decoder)
    pictures, notes = without_copies(found)
    for sentence in complaints + notes:
        say(sentence)
    both_classes(pictures, "to calibrate on")
    if not enough(np.array([one.is_fake for one in pictures])):
        raise UsageError(
            f"There are too few pictures: {ENOUGH} real and {ENOUGH} AI-made ones are the least, "
            f"a few hundred are better."
        )
    return pictures


def _margins(detector: Detector, decoder: Decoder, pictures: Sequence[Surveyed]) -> Iterator[float]:
    """l_no - l_yes of each picture."""
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
    """A header and a line for every number."""
    yield f"{'':<20}{'before':>10}{'after':>10}"
    before, after = quality(old, margins, is_fake), quality(new, margins, is_fake)
    rows = {"threshold": (old.threshold, new.threshold)}
    rows["temperature"] = old.temperature, new.temperature
    rows |= {name: (value, after.to_dict()[name]) for name, value in before.to_dict().items()}
    for name, (was, is_now) in rows.items():
        yield f"{name.replace('_', ' '):<20}{was:>10.4f}{is_now:>10.4f}"
