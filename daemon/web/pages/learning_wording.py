"""The words and figures of the Learning page: what was learned, what it gained, what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from antifake.daemon.config.settings import Learning as Settings
from antifake.daemon.learning import Flip, LearningState, Progress, Version
from antifake.daemon.store.trainings import Training
from antifake.trainer.personal.stages import STAGES

from .wording import local, several, when

KINDS = {
    "shipped": "It has learned nothing from you.",
    "imported": "Not learned on this computer.",
    "bias": "It moves the line between real and AI-made.",
    "calibration": "It moves the line between real and AI-made, and how sure it is.",
    "word": "It has learned more of what AI-made pictures look like, beyond moving the line.",
}
TRIED = {
    "bias": "Move the line",
    "calibration": "Move the line, and how sure it is",
    "word": "Learn more of what AI-made pictures look like",
}
TRIGGERS = {
    "nightly": "in the night",
    "words": "after new answers",
    "cli": "from the command line",
    "page": "from this page",
    "tray": "from the tray",
    "api": "by another program",
}
BUDGETS = (0, 10, 20, 50, 100)
FEW = 3
"""A kind with fewer answers than a third of the other one is worth a remark."""
_EXACT_FROM = 200
"""Of so many pictures a tenth of a percent is worth showing."""


@dataclass(frozen=True)
class Change:
    """How often one kind of picture is judged correctly, before and after."""

    kind: str
    """real or fake."""
    before: float
    after: float
    n: int

    @property
    def name(self) -> str:
        return "Real" if self.kind == "real" else "AI-made"

    def percent(self, share: float) -> str:
        return f"{100 * share:.{1 if self.n >= _EXACT_FROM else 0}f} %"


@dataclass(frozen=True)
class Changes:
    """What a version does on the user's pictures, and on others that it must not get worse on."""

    own: list[Change]
    base: list[Change]

    def __bool__(self) -> bool:
        return bool(self.own)


def changes(scores: dict[str, Any]) -> Changes:
    """Reads the scores of a version, or of a candidate in a report."""
    return Changes(_pairs(scores.get("own")), _pairs(scores.get("base")))


def of_training(training: Training) -> Changes:
    for one in _candidates(training):
        if one.get("kind") == training.chosen:
            return changes(one)
    return Changes([], [])


def tried(training: Training) -> list[tuple[str, bool, str]]:
    """Returns what was tried: its name, whether it was good enough, and why."""
    return [
        (
            TRIED.get(str(one.get("kind")), "Another way"),
            bool(one.get("passes")),
            str(one["reason"]),
        )
        for one in _candidates(training)
        if isinstance(one.get("reason"), str)
    ]


def advice(training: Training) -> str:
    """Returns why a version should not be used, and what it costs elsewhere."""
    costs = [
        f"{one.name} {one.percent(one.before)} before, {one.percent(one.after)} after"
        for one in of_training(training).base
    ]
    told = [training.reason or "It was not found to be better."]
    return " ".join([*told, *([f"On other pictures: {'; '.join(costs)}."] if costs else [])])


def _candidates(training: Training) -> list[dict[str, Any]]:
    found = (training.report or {}).get("candidates")
    return [one for one in (found if isinstance(found, list) else []) if isinstance(one, dict)]


def _pairs(rates: Any) -> list[Change]:
    if not isinstance(rates, dict):
        return []
    found = []
    for kind in ("real", "fake"):
        names = (f"{kind}_before", f"{kind}_after", f"n_{kind}")
        values = [one for name in names if isinstance(one := rates.get(name), (int, float))]
        if len(values) == len(names):
            found.append(Change(kind, values[0], values[1], int(values[2])))
    return found


# --- Sentences ------------------------------------------------------------------------------


def headline(training: Training, active: Version | None) -> str:
    """Returns what came of a training, in a few words."""
    if training.state != "done":
        return {
            "failed": "The last training failed",
            "cancelled": "The last training was cancelled",
            "interrupted": "The last training was interrupted",
        }.get(training.state, "A training is running")
    if training.promoted:
        is_used = active is not None and active.name == training.candidate
        return "A better version was found" + (", and it is in use" if is_used else "")
    if training.candidate is not None:
        return "A new version was made, but is not in use"
    return "Nothing was changed"


def stage(progress: Progress) -> str:
    return STAGES.get(progress.stage, "Working")


def next_run(learning: LearningState, settings: Settings, now: datetime) -> str:
    """Returns when the next training is, as a sentence."""
    if settings.when == "never":
        return "antifake learns only when you start it."
    if settings.when == "words":
        so_far = f"{learning.new_words:,} so far"
        return f"The next training begins after {settings.after_words} new answers ({so_far})."
    if learning.next_run is None:
        return "antifake learns in the night, while it runs."
    at, today = local(learning.next_run), local(now).date()
    if at.date() == today:
        return f"The next training is today at {at:%H:%M}."
    if at.date() == today + timedelta(days=1):
        return f"The next training is tomorrow at {at:%H:%M}."
    return f"The next training is on {when(learning.next_run)}."


def counted(learning: LearningState) -> list[str]:
    """Returns what should be known about the numbers of answers."""
    found = []
    n, groups = _both(learning)
    if groups < n:
        found.append(f"Near-copies count once, so these are {several(groups, 'picture')}.")
    if learning.without_picture:
        is_are = "is" if learning.without_picture == 1 else "are"
        found.append(
            f"Of {several(learning.without_picture, 'picture')} no copy {is_are} kept any more, "
            f"so nothing can be learned from {'it' if is_are == 'is' else 'them'}."
        )
    if learning.new_words not in (0, n):
        are = "is" if learning.new_words == 1 else "are"
        found.append(
            f"{several(learning.new_words, 'answer')} {are} new or changed since antifake last "
            f"learned."
        )
    few = min(learning.groups_real, learning.groups_fake)
    if learning.needed is None and few * FEW < max(learning.groups_real, learning.groups_fake):
        less = "real" if learning.groups_real == few else "AI-made"
        found.append(f"There are few {less} pictures among them; more of these would help most.")
    return found


def _both(learning: LearningState) -> tuple[int, int]:
    n = learning.words_real + learning.words_fake
    return n, learning.groups_real + learning.groups_fake


def version_title(version: Version) -> str:
    return "As the model came" if version.made == "shipped" else version.name


def learned_from(version: Version) -> str:
    """Returns what a version was learned from, in words; "" if nothing is known about it."""
    if not version.words_real + version.words_fake:
        return ""
    return f"Learned from {version.words_real:,} real and {version.words_fake:,} AI-made pictures."


def flip_titles(*, is_used: bool) -> list[tuple[str, str, str]]:
    """Returns the kinds of flips: the key, a title, and what to say where there are none."""
    answered = "None of the pictures that you answered."
    if is_used:
        return [
            ("mended", "Right now, wrong before", answered),
            ("broken", "Wrong now, right before", answered),
            ("changed", "Other verdicts that are different now", "None of the last verdicts."),
        ]
    return [
        ("mended", "Would be right, are wrong", answered),
        ("broken", "Would be wrong, are right", answered),
        ("changed", "Other verdicts that would be different", "None of the last verdicts."),
    ]


def by_kind(flips: Sequence[Flip], kind: str) -> list[Flip]:
    return [one for one in flips if one.kind == kind]


def budgets(now: int) -> list[int]:
    """Returns the limits to choose from, with the one in use."""
    return sorted({*BUDGETS, now})


def size(n_bytes: int) -> str:
    """Returns a size in the units that people know."""
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.{1 if n_bytes < 10 * unit else 0}f} {name}"
    return several(n_bytes, "byte")
