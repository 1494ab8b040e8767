"""Judges crops in batches, and in smaller ones where that fails. Imports no torch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import cast

from .errors import NoMemoryError, NoScoreError
from .parts import combined
from .pixels import Pixels
from .verdict import Bands, Verdict

MOST_CROPS = 32
"""That the model gets at once. A batch of pictures may have more, as each has several parts."""

Judge = Callable[[Sequence[Pixels]], list[Verdict]]
"""uint8 crops [S, S, 3] -> a verdict for each, as `Detector.judge`."""


def judge_pictures(
    judge: Judge, bands: Bands, pictures: Sequence[Pixels]
) -> list[Verdict | NoScoreError]:
    """Returns one verdict for each picture: the uint8 crops [n, S, S, 3] of its parts."""
    crops = [crop for picture in pictures for crop in picture]
    starts = range(0, len(crops), MOST_CROPS)
    found = iter(
        [one for at in starts for one in judge_in_batches(judge, crops[at : at + MOST_CROPS])]
    )
    return [_of_parts(list(islice(found, len(picture))), bands) for picture in pictures]


def _of_parts(found: Sequence[Verdict | NoScoreError], bands: Bands) -> Verdict | NoScoreError:
    for one in found:
        if not isinstance(one, Verdict):
            return one
    verdicts = cast(Sequence[Verdict], found)
    scores = tuple(one.p_fake for one in verdicts)
    p_fake = combined(scores)
    return replace(verdicts[0], p_fake=p_fake, label=bands.label(p_fake), part_scores=scores)


def judge_in_batches(judge: Judge, crops: Sequence[Pixels]) -> list[Verdict | NoScoreError]:
    """Judges all crops in one batch, or in smaller ones where that fails.

    A batch that needs too much memory is halved. A batch with a score that is not a number is
    judged one by one, so that only the picture at fault gets the error.
    """
    if not crops:
        return []
    try:
        return list(judge(crops))
    except NoScoreError as error:
        failure: NoScoreError = error
        part = 1
    except (MemoryError, RuntimeError) as error:
        if not _is_short_of_memory(error):
            raise
        failure = NoMemoryError()
        part = (len(crops) + 1) // 2
    if len(crops) == 1:
        return [failure]
    starts = range(0, len(crops), part)
    return [found for at in starts for found in judge_in_batches(judge, crops[at : at + part])]


def _is_short_of_memory(error: Exception) -> bool:
    """Torch has a class for graphics cards; for the CPU and Apple's GPU only the text tells."""
    says = ("out of memory", "allocate memory", "not enough memory")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error).lower() for words in says)
    )
