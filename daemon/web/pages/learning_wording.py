"""The words and figures of the Learning page: what was learned, what it gained, what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from antifake.core.i18n import _, ngettext
from antifake.daemon.config.settings import Learning as Settings
from antifake.daemon.learning import Flip, LearningState, Progress, Version
from antifake.daemon.store.trainings import Training
from antifake.trainer.personal.stages import STAGES

from .wording import local, when

KINDS = {
    "shipped": _("It has learned nothing from you."),
    "imported": _("Not learned on this computer."),
    "bias": _("It moves the line between real and AI-made."),
    "calibration": _("It moves the line between real and AI-made, and how sure it is."),
    "word": _("It has learned more of what AI-made pictures look like, beyond moving the line."),
}
TRIED = {
    "bias": _("Move the line"),
    "calibration": _("Move the line, and how sure it is"),
    "word": _("Learn more of what AI-made pictures look like"),
}
TRIGGERS = {
    "nightly": _("in the night"),
    "words": _("after new answers"),
    "cli": _("from the command line"),
    "page": _("from this page"),
    "tray": _("from the tray"),
    "api": _("by another program"),
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
        return _("Real") if self.kind == "real" else _("AI-made")

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
            TRIED.get(str(one.get("kind")), _("Another way")),
            bool(one.get("passes")),
            str(one["reason"]),
        )
        for one in _candidates(training)
        if isinstance(one.get("reason"), str)
    ]


def advice(training: Training) -> str:
    """Returns why a version should not be used, and what it costs elsewhere."""
    told = training.reason or _("It was not found to be better.")
    costs = "; ".join(
        _(
            "{kind} {before} before, {after} after",
            kind=one.name,
            before=one.percent(one.before),
            after=one.percent(one.after),
        )
        for one in of_training(training).base
    )
    if not costs:
        return told
    elsewhere = _("On other pictures: {costs}.", costs=costs)
    return f"{told} {elsewhere}"


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
            "failed": _("The last training failed"),
            "cancelled": _("The last training was cancelled"),
            "interrupted": _("The last training was interrupted"),
        }.get(training.state, _("A training is running"))
    if training.promoted:
        if active is not None and active.name == training.candidate:
            return _("A better version was found, and it is in use")
        return _("A better version was found")
    if training.candidate is not None:
        return _("A new version was made, but is not in use")
    return _("Nothing was changed")


def stage(progress: Progress) -> str:
    return STAGES.get(progress.stage, _("Working"))


def next_run(learning: LearningState, settings: Settings, now: datetime) -> str:
    """Returns when the next training is, as a sentence."""
    if settings.when == "never":
        return _("antifake learns only when you start it.")
    if settings.when == "words":
        return ngettext(
            "The next training begins after {n:,} new answer ({so_far:,} so far).",
            "The next training begins after {n:,} new answers ({so_far:,} so far).",
            settings.after_words,
            so_far=learning.new_words,
        )
    if learning.next_run is None:
        return _("antifake learns in the night, while it runs.")
    at, today = local(learning.next_run), local(now).date()
    if at.date() == today:
        return _("The next training is today at {time:%H:%M}.", time=at)
    if at.date() == today + timedelta(days=1):
        return _("The next training is tomorrow at {time:%H:%M}.", time=at)
    return _("The next training is on {date}.", date=when(learning.next_run))


def counted(learning: LearningState) -> list[str]:
    """Returns what should be known about the numbers of answers."""
    found = []
    n, groups = _both(learning)
    if groups < n:
        found.append(
            ngettext(
                "Near-copies count once, so these are {n:,} picture.",
                "Near-copies count once, so these are {n:,} pictures.",
                groups,
            )
        )
    if learning.without_picture:
        found.append(
            ngettext(
                "No copy of {n:,} picture is kept any more, so nothing can be learned from it.",
                "No copies of {n:,} pictures are kept any more, so nothing can be learned from"
                " them.",
                learning.without_picture,
            )
        )
    if learning.new_words not in (0, n):
        found.append(
            ngettext(
                "{n:,} answer is new or changed since antifake last learned.",
                "{n:,} answers are new or changed since antifake last learned.",
                learning.new_words,
            )
        )
    few = min(learning.groups_real, learning.groups_fake)
    if learning.needed is None and few * FEW < max(learning.groups_real, learning.groups_fake):
        found.append(
            _("There are few real pictures among them; more of these would help most.")
            if learning.groups_real == few
            else _("There are few AI-made pictures among them; more of these would help most.")
        )
    return found


def _both(learning: LearningState) -> tuple[int, int]:
    n = learning.words_real + learning.words_fake
    return n, learning.groups_real + learning.groups_fake


def version_title(version: Version) -> str:
    return _("As the model came") if version.made == "shipped" else version.name


def learned_from(version: Version) -> str:
    """Returns what a version was learned from, in words; "" if nothing is known about it."""
    if not version.words_real + version.words_fake:
        return ""
    return _(
        "Learned from {real:,} real and {fake:,} AI-made pictures.",
        real=version.words_real,
        fake=version.words_fake,
    )


def flip_titles(*, is_used: bool) -> list[tuple[str, str, str]]:
    """Returns the kinds of flips: the key, a title, and what to say where there are none."""
    answered = _("None of the pictures that you answered.")
    others = _("None of the last verdicts.")
    if is_used:
        return [
            ("mended", _("Right now, wrong before"), answered),
            ("broken", _("Wrong now, right before"), answered),
            ("changed", _("Other verdicts that are different now"), others),
        ]
    return [
        ("mended", _("Would be right, are wrong"), answered),
        ("broken", _("Would be wrong, are right"), answered),
        ("changed", _("Other verdicts that would be different"), others),
    ]


def by_kind(flips: Sequence[Flip], kind: str) -> list[Flip]:
    return [one for one in flips if one.kind == kind]


def budgets(now: int) -> list[int]:
    """Returns the limits to choose from, with the one in use."""
    return sorted({*BUDGETS, now})


def size(n_bytes: int) -> str:
    """Returns a size in the units that people know."""
    if n_bytes >= 10**9:
        return _("{n} GB", n=_rounded(n_bytes / 10**9))
    if n_bytes >= 10**6:
        return _("{n} MB", n=_rounded(n_bytes / 10**6))
    if n_bytes >= 10**3:
        return _("{n} KB", n=_rounded(n_bytes / 10**3))
    return ngettext("{n} byte", "{n} bytes", n_bytes)


def _rounded(n: float) -> str:
    return f"{n:.{1 if n < 10 else 0}f}"
