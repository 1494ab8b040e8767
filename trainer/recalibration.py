"""`antifake calibrate` from end to end: judge labelled pictures, fit, and say what changed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.errors import NoScoreError, UsageError
from antifake.core.i18n import _
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
    require_both_classes(pictures, "calibrate")
    if not enough(np.array([one.is_fake for one in pictures])):
        raise UsageError(
            _(
                "There are too few pictures: at least {n} real and {n} AI-made ones are needed, a "
                "few hundred are better.",
                n=ENOUGH,
            )
        )
    return pictures


def _margins(detector: Detector, decoder: Decoder, pictures: Sequence[Sample]) -> Iterator[float]:
    """Yields l_no - l_yes of each picture."""
    decoded = decoder.decode_many(one.example.path for one in pictures)
    crops: list[Pixels] = []
    for number, (path, one) in enumerate(decoded, 1):
        if one.picture is None:
            raise UsageError(_("{file} was changed while it was being read.", file=path))
        crops.append(one.picture.crop)
        if len(crops) == BATCH or number == len(pictures):
            yield from detector.margins(crops).tolist()
            crops = []


def _table(
    old: PromptMetadata, new: PromptMetadata, margins: Numbers, is_fake: Truth
) -> Iterator[str]:
    """Yields a header and a line for each number."""
    before, after = quality(old, margins, is_fake), quality(new, margins, is_fake)
    rows = (
        (_("threshold"), old.threshold, new.threshold),
        (_("temperature"), old.temperature, new.temperature),
        (_("Brier score"), before.brier, after.brier),
        (_("log loss"), before.log_loss, after.log_loss),
        (_("calibration error"), before.calibration_error, after.calibration_error),
        (_("false alarms"), before.false_alarms, after.false_alarms),
        (_("missed"), before.missed, after.missed),
    )
    was, is_now = _("before"), _("after")
    yield f"{'':<20}{was:>10}{is_now:>10}"
    for name, old_value, new_value in rows:
        yield f"{name:<20}{old_value:>10.4f}{new_value:>10.4f}"
