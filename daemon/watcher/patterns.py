"""Which files of a watched folder are accepted: one filter for events, folders and walks.

It does not read the disk. core.patterns says what a pattern means.
"""

from dataclasses import dataclass
from typing import Self

from antifake.core.first_bytes import is_named_like_picture
from antifake.core.patterns import Names, Pattern, exclude_patterns, include_patterns, matches
from antifake.daemon.config import Folder

_UNFINISHED = (".crdownload", ".part", ".partial", ".tmp", ".download", ".opdownload")
"""What browsers append to the name of an unfinished download."""


@dataclass(frozen=True)
class PatternFilter:
    """The patterns of one folder's settings."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    recursive: bool = True

    @classmethod
    def of(cls, folder: Folder) -> Self:
        return cls(
            include_patterns(folder.include),
            exclude_patterns(folder.exclude),
            folder.recursive,
        )

    def accepts(self, names: Names) -> bool:
        """Whether a file of this path is accepted, or may be: see is_sure().

        Whether it exists is not checked.
        """
        if not names or not self.enters(names[:-1]):
            return False
        name = names[-1]
        if name.startswith(".") or name.lower().endswith(_UNFINISHED):
            return False
        if self._excludes(names):
            return False
        if self.include:
            return any(matches(names, pattern) for pattern in self.include)
        return is_named_like_picture(name) is not False

    def is_sure(self, names: Names) -> bool:
        """Whether nothing but the path decides about a file that is accepted.

        Otherwise the name says nothing, and the first bytes decide.
        """
        return bool(self.include) or is_named_like_picture(names[-1]) is not None

    def enters(self, names: Names) -> bool:
        """Whether files directly in this folder can be accepted."""
        if not names:
            return True
        if not self.recursive or any(map(_is_skipped, names)):
            return False
        return not any(self._excludes(names[: n + 1]) for n in range(len(names)))

    def _excludes(self, names: Names) -> bool:
        return any(matches(names, pattern) for pattern in self.exclude)


def _is_skipped(folder: str) -> bool:
    # Safari keeps an unfinished download in a folder of this name.
    return folder.startswith(".") or folder.lower().endswith(".download")
