"""Chooses the pictures that the user's word would help most with, at most ten a day."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Literal

from sqlalchemy.orm import Session

from antifake.core.i18n import _
from antifake.daemon.store import Store, checks, history, reviews, similarity
from antifake.daemon.store.checks import Check
from antifake.daemon.store.history import Entry

from .results import ReviewItem, ReviewQueue

Order = Literal["useful", "oldest", "unsure"]
_Kind = Literal["site", "folder", "format"]
A_DAY = 10
SKIPPED_FOR = timedelta(days=30)
LOOKED_AT = 2_000
"""So many of the last pictures are looked at."""
SHARES = {"unsure": 5, "contrary": 3, "new": 2}
"""How many of ten each reason gets, if there are enough; what is left over goes to the others."""
_CONTRARY = {
    ("real", "fake"): _("You said that a near-copy of it is real; the model says AI-made."),
    ("real", "unsure"): _("You said that a near-copy of it is real; the model cannot tell."),
    ("fake", "real"): _("You said that a near-copy of it is AI-made; the model says real."),
    ("fake", "unsure"): _("You said that a near-copy of it is AI-made; the model cannot tell."),
}
"""By what the user said, and by the verdict."""


@dataclass(frozen=True)
class Review:
    """What the user reviews. Thread-safe."""

    store: Store
    clock: Callable[[], datetime]

    def today(self, order: Order = "useful") -> ReviewQueue:
        """Returns the pictures to ask about today, at most ten."""
        with self.store.reading() as session:
            return queue(session, self.clock(), order)

    def skip(self, names: Collection[str]) -> None:
        """Asks about the pictures of these checks no more for 30 days. Raises NotThereError."""
        with self.store.writing() as session:
            found = [checks.get(session, name).sha256 for name in names]
            reviews.skip(session, [one for one in found if one], self.clock())


def queue(session: Session, now: datetime, order: Order = "useful") -> ReviewQueue:
    """Returns today's pictures; a day begins at midnight of the local time.

    Which ones they are does not depend on the order.

    What was labelled or skipped today counts, so that answering ten does not bring ten others.
    """
    today = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    done = reviews.done_since(session, today)
    found = reviews.candidates(session, now - SKIPPED_FOR, LOOKED_AT)
    entries = [entry for entry in history.entries(session, found) if entry.has_thumbnail]
    reasons = _reasons(session, entries)
    open_ = {
        entry.check.sha256: entry
        for entry in entries
        if entry.check.sha256 is not None and entry.check.sha256 in reasons
    }
    ranked = _chosen(reasons, open_)
    chosen = ranked[: max(0, A_DAY - done)]
    if order == "useful":
        chosen.sort(key=lambda one: list(SHARES).index(reasons[one][0]))
    elif order == "oldest":
        chosen.sort(key=lambda one: open_[one].check.id)
    else:
        chosen.sort(key=lambda one: _certainty(open_[one]))
    items = [ReviewItem(open_[sha256], reasons[sha256][1]) for sha256 in chosen]
    return ReviewQueue(tuple(items), done, len(ranked) - len(chosen))


def _chosen(reasons: dict[str, tuple[str, str]], entries: dict[str, Entry]) -> list[str]:
    """Returns which to ask about, the most useful first and near-copies once."""
    ranked = {kind: [one for one in entries if reasons[one][0] == kind] for kind in SHARES}
    ranked["unsure"].sort(key=lambda one: _certainty(entries[one]))
    in_order = [one for kind, share in SHARES.items() for one in ranked[kind][:share]]
    in_order += [one for kind, share in SHARES.items() for one in ranked[kind][share:]]
    groups = similarity.groups([entries[one].check.phash for one in in_order])
    return [in_order[group[0]] for group in groups]


def _certainty(entry: Entry) -> float:
    return checks.certainty(entry.check.p_fake) or 0.0


def _reasons(session: Session, entries: Sequence[Entry]) -> dict[str, tuple[str, str]]:
    """Returns, by sha256, the kind of reason and the sentence, for pictures worth asking about."""
    known = {kind for check in reviews.labelled(session, LOOKED_AT) for kind in _kinds(check)}
    found: dict[str, tuple[str, str]] = {}
    for entry in entries:
        check, near = entry.check, entry.near_copy_correction
        if check.sha256 is None or check.p_fake is None or check.label is None:
            continue
        if near is not None and near.label not in ("unsure", check.label):
            found[check.sha256] = "contrary", _CONTRARY[near.label, check.label]
        elif near is not None:
            continue  # what the user said of the near-copy is enough
        elif check.label == "unsure":
            percent = round(100 * check.p_fake)
            why = _("The model cannot tell: {percent} % for AI-made.", percent=percent)
            found[check.sha256] = "unsure", why
        elif new := [kind for kind in _kinds(check) if kind not in known]:
            found[check.sha256] = "new", _first_of(*new[0])
            known.update(_kinds(check))
    return found


def _kinds(check: Check) -> list[tuple[_Kind, str]]:
    """Returns where a picture comes from."""
    found: list[tuple[_Kind, str]] = []
    if check.page:
        found.append(("site", _site(check.page)))
    if check.path:
        found.append(("folder", PurePath(check.path).parent.name or check.path))
    if check.format:
        found.append(("format", check.format))
    return found


def _first_of(kind: _Kind, name: str) -> str:
    """Returns the sentence that is true of the first picture that comes from there."""
    if kind == "site":
        return _("You have not yet said anything about a picture from {site}.", site=name)
    if kind == "folder":
        return _("You have not yet said anything about a picture in the folder {name}.", name=name)
    return _("You have not yet said anything about a {format} picture.", format=name)


def _site(page: str) -> str:
    return page.split("//", 1)[-1].split("/", 1)[0][:100]
