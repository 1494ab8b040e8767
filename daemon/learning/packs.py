"""What the user does with packs: save one, look into one, take one in."""

import threading

from . import merging, pack
from .merging import Merge
from .place import LearningCallbacks, Place
from .version_choice import VersionChoice


class Packs:
    """Thread-safe."""

    def __init__(self, place: Place, callbacks: LearningCallbacks, choice: VersionChoice) -> None:
        self._place, self._callbacks, self._choice = place, callbacks, choice
        self._lock = threading.Lock()

    def save(self, *, with_crops: bool) -> bytes:
        """Returns what was learned here as a zip. See learning/pack."""
        bundle = self._place.versions.bundle()
        return pack.write(merging.export(self._place, bundle, self._one_in, with_crops=with_crops))

    def preview(self, data: bytes, *, use: bool | None = None) -> Merge:
        """Returns what a pack would change. Raises PackError."""
        return self._plan(data, use=use).merge()

    def take_in(self, data: bytes, *, use: bool | None = None) -> Merge:
        """Takes a pack in beside what is here. Raises PackError, and then nothing has changed.

        `use`: whether its version answers afterwards; None: if the shipped one does now.
        """
        with self._lock:
            wanted = self._plan(data, use=use)
            if wanted.uses is not None:
                self._place.versions.refuse_if_set()
            done = merging.carry_out(wanted, self._callbacks.clock)
        if wanted.one_in is not None:
            self._callbacks.put_setting("learning.false_alarms", wanted.one_in)
        if wanted.uses is not None:
            self._choice.now_used()
        self._callbacks.tell(imported=done.words_new + done.words_changed)
        return done

    @property
    def _one_in(self) -> int:
        return self._callbacks.config().learning.false_alarms

    def _plan(self, data: bytes, *, use: bool | None) -> merging.Plan:
        bundle = self._place.versions.bundle()
        found = pack.read(data, bundle.manifest)
        return merging.plan(self._place, bundle, found, self._one_in, use=use)
