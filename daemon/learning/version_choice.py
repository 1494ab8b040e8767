"""Which version answers: put into use, taken back or pinned by the user."""

from dataclasses import dataclass

from antifake.core.bundle import Bundle
from antifake.core.errors import AntifakeError, ModelError
from antifake.core.i18n import _
from antifake.daemon.store import NotThereError, trainings

from .place import LearningCallbacks, Place
from .results import Comparison, Version


@dataclass(frozen=True)
class VersionChoice:
    """Thread-safe."""

    place: Place
    callbacks: LearningCallbacks

    def all(self) -> list[Version]:
        """Returns the shipped one, then the others, newest first. Raises ModelError."""
        return self._all(self.place.versions.bundle())

    def get(self, name: str) -> Version:
        """Raises NotThereError."""
        found = next((one for one in self.all() if name in (one.name, one.version)), None)
        if found is None:
            raise NotThereError(_("There is no version {name}.", name=name[:80]))
        return found

    def active(self) -> Version | None:
        """Returns the one that answers. None if there is no model."""
        try:
            return next((one for one in self.all() if one.is_active), None)
        except AntifakeError:
            return None

    def use(self, name: str) -> Version:
        """Puts a version into use, and unpins another one. Raises AntifakeError."""
        self.place.versions.use(self.get(name).name)
        return self.now_used()

    def roll_back(self) -> Version:
        """Takes the last change of the version back. Raises UsageError if there was none."""
        self.place.versions.roll_back()
        return self.now_used()

    def pin(self, name: str | None) -> Version:
        """Keeps a version in use whatever is learned; None ends that. Returns the one in use."""
        if name is not None:
            name = self.use(name).name
        self.callbacks.put_setting("learning.pinned", name)
        return self.now_used()

    def now_used(self) -> Version:
        """Tells of a change by hand, which unpins another version. Returns the one in use."""
        found = next((one for one in self.all() if one.is_active), None)
        if found is None:
            raise ModelError(_("No version is in use."))
        if self.callbacks.config().learning.pinned not in ("", found.name):
            self.callbacks.put_setting("learning.pinned", None)
        self.callbacks.tell(version=found.version)
        return found

    def compare(self, a: str, b: str) -> Comparison:
        """Raises NotThereError."""
        return self.place.versions.compare(self.get(a), self.get(b))

    def _all(self, bundle: Bundle) -> list[Version]:
        with self.place.store.machine.reading() as session:
            makers = trainings.makers(session)
        try:
            return self.place.versions.all(bundle, self.callbacks.config().learning.pinned, makers)
        except ModelError:
            return []
