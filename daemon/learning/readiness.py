"""What there is to learn from now, and whether that is enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from antifake.core.bundle import Bundle
from antifake.core.i18n import _
from antifake.daemon.store import corrections, crops, trainings
from antifake.daemon.store.corrections import Word
from antifake.daemon.store.trainings import Training
from antifake.trainer.personal.needed import needed

from . import words
from .place import Place
from .request import CONFIDENCE, Material
from .results import Budget


@dataclass(frozen=True)
class Readiness:
    """The user's words and the last training, read at one moment."""

    bundle: Bundle | None
    """None if there is no model."""
    words: list[Word]
    usable: list[Word]
    """Those whose crop is there, or can perhaps be made again from a file."""
    one_in: int
    """The budget of the settings; 0 for none."""
    last_done: Training | None
    """The last training of this model that came to its end."""
    new_words: int
    """How many words are new, changed or gone since then."""

    @property
    def fingerprint(self) -> str:
        return words.fingerprint(self.words, self.one_in)

    @cached_property
    def needed(self) -> str | None:
        """Returns what is missing before anything can be learned, in a sentence."""
        return needed(words.grouped(self.usable))

    @property
    def objection(self) -> str | None:
        """Returns why there is nothing to learn, in a sentence. None if there is something."""
        if self.new_words == 0:
            return self.needed or _("Nothing has changed since the last training.")
        return self.needed

    @property
    def budget(self) -> Budget:
        """Returns the budget, and what the last training made of it if it had the same one."""
        found = (self.last_done.report or {}).get("budget") if self.last_done else None
        if not self.one_in or not isinstance(found, dict) or found.get("one_in") != self.one_in:
            return Budget(self.one_in, CONFIDENCE)
        names = ("reached", "n_real", "needed", "reason")
        return Budget(self.one_in, CONFIDENCE, **{name: found.get(name) for name in names})


def readiness(place: Place, one_in: int) -> Readiness:
    """Reads how things stand. `one_in`: the budget of the settings."""
    bundle = place.versions.bundle_if_any()
    with place.store.reading() as session:
        all_words = corrections.words(session)
    with place.store.machine.reading() as session:
        last = trainings.last_done(session, bundle.manifest.version) if bundle else None
    return Readiness(
        bundle,
        all_words,
        _usable(place, bundle, all_words),
        one_in,
        last,
        _changed(place, all_words, one_in, last),
    )


def _usable(place: Place, bundle: Bundle | None, all_words: Sequence[Word]) -> list[Word]:
    if bundle is None:
        return list(all_words)
    size = bundle.manifest.image_size
    there = Material(place.store, place.crop_files, size).has(all_words)
    if len(there) < len(all_words):
        with place.store.reading() as session:
            there |= crops.labelled_with_paths(session)
    return [word for word in all_words if word.sha256 in there]


def _changed(place: Place, all_words: Sequence[Word], one_in: int, last: Training | None) -> int:
    if last is None:
        return len(all_words)
    if last.words == words.fingerprint(all_words, one_in):
        return 0
    with place.store.reading() as session:
        return max(1, trainings.changed_since(session, last.at))
