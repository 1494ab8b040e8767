"""What a file says of itself: marks of generators, and Content Credentials.

It is the same for the same bytes, whatever model is in use and whatever a person says, so it is
kept by the hash of the bytes.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from . import trust_lists
from .file_marks import FileMarks
from .provenance import Provenance, checked

_LOOKED_FOR = 1
VERSION = _LOOKED_FOR * 100_000_000 + int(trust_lists.dates()[-1].replace("-", ""))
"""Of what is looked for, and the day of the lists of known signers: a higher one may say more of
the same file."""

FileBasis = Literal["signed", "marked", "none"]
"""How a file says that AI made it: a known signer does, or anybody does, or it does not."""
SAYS_AI: tuple[FileBasis, ...] = ("signed", "marked")
"""The bases of a file that says so."""


@dataclass(frozen=True)
class FileEvidence:
    """All that a file says."""

    marks: FileMarks = field(default_factory=FileMarks)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def basis(self) -> FileBasis:
        """The strongest way in which it says that AI made it."""
        signed = self.provenance
        if self.is_signed_as_ai and signed.is_known:
            return "signed"
        if self.has_mark or (self.is_signed_as_ai and signed.signer != "revoked"):
            return "marked"
        return "none"

    @property
    def is_signed_as_ai(self) -> bool:
        return self.provenance.content == "intact" and self.provenance.says == "ai"

    @property
    def has_mark(self) -> bool:
        """Whether a recipe or a label in it says that AI made it."""
        return any(mark.kind in ("recipe", "declared") for mark in self.marks.found)

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "marks": self.marks.to_dict(),
            "provenance": asdict(self.provenance),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns what `to_dict` made. Raises ValueError, TypeError or LookupError for others."""
        if not all(isinstance(values[name], dict) for name in ("marks", "provenance")):
            raise TypeError("marks and provenance are objects")
        return cls(FileMarks.from_dict(values["marks"]), checked(values["provenance"]))
