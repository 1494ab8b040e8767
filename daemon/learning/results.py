"""What learning answers: plain values for the API, the pages and the command line.

A *word* is what the user said last of one picture: real or AI-made. The user's "cannot tell" is
none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from antifake.core import Label
from antifake.daemon.store.crops import CropStats
from antifake.daemon.store.history import Entry
from antifake.daemon.store.tables import Trigger
from antifake.daemon.store.trainings import Training


@dataclass(frozen=True)
class Progress:
    """A training that is running."""

    id: int
    trigger: Trigger
    at: datetime
    stage: str
    """A word of the trainer, such as "features"."""
    done: int
    total: int
    """0 if that is not known."""
    is_suspended: bool
    """It stands still, because pictures are being judged or the computer runs on its battery."""


@dataclass(frozen=True)
class Budget:
    """How many of the user's real pictures may be called AI-made."""

    one_in: int
    """At most one in so many; 0: there is no limit."""
    confidence: float
    reached: bool | None = None
    """Whether the last training kept within it. None if none has tried."""
    n_real: int | None = None
    """How many real pictures of the user it was measured on."""
    needed: int | None = None
    """How many real pictures that takes."""
    reason: str | None = None
    """What came of it, in a sentence."""


@dataclass(frozen=True)
class Version:
    """A prompt that can answer."""

    name: str
    version: str
    """With its id, as verdicts name it: `personal-0001@1f3a90c2`."""
    is_active: bool
    is_pinned: bool
    made: str
    """shipped, imported, or how it was learned: bias, calibration or word."""
    words_real: int
    words_fake: int
    """How many of the user's words it was trained on."""
    scores: dict[str, Any]
    """Measured when it was made. See trainer/personal."""
    parent: str | None
    """The version that it was trained from."""
    at: datetime | None
    """When it came to this computer; None for the one that the model was shipped with."""
    training: int | None
    """The id of the training that made it."""


@dataclass(frozen=True)
class Comparison:
    """Two versions, and by which words of the user they differ."""

    a: Version
    b: Version
    only_a: int
    """Words that only the first was trained on."""
    only_b: int
    contrary: int
    """Words that changed between the two."""
    threshold_a: float
    threshold_b: float
    temperature_a: float
    temperature_b: float


@dataclass(frozen=True)
class LearningState:
    """How things stand, to be understood at once."""

    words_real: int
    words_fake: int
    groups_real: int
    groups_fake: int
    """The same with near-copies counted once."""
    without_picture: int
    """Words whose picture is not kept any more, so that nothing can be learned from them."""
    new_words: int
    """How many words are new, changed or gone since the last training."""
    needed: str | None
    """What is missing before anything can be learned, in a sentence."""
    running: Progress | None
    last: Training | None
    next_run: datetime | None
    """When the schedule tries it next. None: only by hand, or when there are enough new words."""
    why_not: str | None
    """Why a training would not start now, in a sentence."""
    skipped: str | None
    """Why the schedule did not train the last time, in a sentence. None if it did."""
    version: Version | None
    """The version that answers. None if there is no model."""
    held: CropStats
    kept: CropStats
    budget: Budget


@dataclass(frozen=True)
class Flip:
    """A verdict that a new version changes."""

    entry: Entry
    """The check, with the correction and whether there is a thumbnail."""
    kind: str
    """mended or broken, by what the user said; changed, where the user said nothing."""
    before: Label | None
    after: Label | None
    p_before: float | None
    p_after: float | None


@dataclass(frozen=True)
class ReviewItem:
    """A picture that the user's word would help most with."""

    entry: Entry
    why: str
    """Why it is asked about, in a sentence."""


@dataclass(frozen=True)
class ReviewQueue:
    """The pictures that are asked about today."""

    items: tuple[ReviewItem, ...]
    done_today: int
    """How many pictures were labelled or skipped today, here or elsewhere."""
    later: int = 0
    """How many more are worth asking about, on another day."""
