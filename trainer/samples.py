"""Samples: pictures that were read once before training, to find unreadable and double ones.

core.decoder decodes them in child processes. Of each picture only hashes and a thumbnail of 192
bytes are kept, so a hundred thousand fit into memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from antifake.core.decoder import Decoder
from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext
from antifake.core.perceptual_hash import dhash
from antifake.core.pixels import Pixels

from .examples import Example

THUMB = 8
"""Side of the thumbnail, in pixels."""


@dataclass(frozen=True)
class Sample:
    """A readable picture with its label."""

    example: Example
    sha256: str
    """Hash of the file's bytes."""
    dhash: int
    thumb: bytes
    """RGB of 8 x 8 cells, 192 bytes. It tells smooth pictures apart that share a dhash."""

    @property
    def is_fake(self) -> bool:
        return self.example.is_fake


def read_samples(examples: Sequence[Example], decoder: Decoder) -> tuple[list[Sample], list[str]]:
    """Returns the readable pictures in their order, and a sentence for each of the others."""
    found: list[Sample] = []
    complaints: list[str] = []
    decoded = decoder.decode_many(example.path for example in examples)
    for example, (path, one) in zip(examples, decoded, strict=True):
        if one.picture is None or one.sha256 is None:
            complaints.append(_("{file}: {why} It is left out.", file=path, why=one.error))
        else:
            found.append(Sample(example, one.sha256, *appearance(one.picture.crop)))
    return found, complaints


def appearance(crop: Pixels) -> tuple[int, bytes]:
    """Returns the dhash and the thumbnail of a crop uint8 [S, S, 3]."""
    thumb = Image.fromarray(crop).resize((THUMB, THUMB), Image.Resampling.BOX)
    return dhash(crop), thumb.tobytes()


def without_duplicates(pictures: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """Returns each file once, and notes. Raises UsageError where one file has both labels."""
    first: dict[str, Sample] = {}
    for one in pictures:
        other = first.setdefault(one.sha256, one)
        if other.is_fake != one.is_fake:
            raise UsageError(
                _(
                    "{file} and {other} are the same picture, once called real and once AI-made: "
                    "take one of them away.",
                    file=other.example.path,
                    other=one.example.path,
                )
            )
    copies = len(pictures) - len(first)
    note = ngettext(
        "{n} copy of a picture that is already there is left out.",
        "{n} copies of pictures that are already there are left out.",
        copies,
    )
    return list(first.values()), [note] if copies else []


Purpose = Literal["learn", "validate", "calibrate"]
_NONE: dict[Purpose, str] = {
    "learn": _("There are no readable pictures to learn from."),
    "validate": _("There are no readable pictures to validate on."),
    "calibrate": _("There are no readable pictures to calibrate on."),
}
_NO_FAKES: dict[Purpose, str] = {
    "learn": _("All pictures to learn from are real: some AI-made ones are needed, too."),
    "validate": _("All pictures to validate on are real: some AI-made ones are needed, too."),
    "calibrate": _("All pictures to calibrate on are real: some AI-made ones are needed, too."),
}
_NO_REALS: dict[Purpose, str] = {
    "learn": _("All pictures to learn from are AI-made: some real ones are needed, too."),
    "validate": _("All pictures to validate on are AI-made: some real ones are needed, too."),
    "calibrate": _("All pictures to calibrate on are AI-made: some real ones are needed, too."),
}


def require_both_classes(pictures: Sequence[Sample], purpose: Purpose) -> None:
    """Raises UsageError where a class is missing."""
    fakes = sum(one.is_fake for one in pictures)
    if not pictures:
        raise UsageError(_NONE[purpose])
    if not fakes:
        raise UsageError(_NO_FAKES[purpose])
    if fakes == len(pictures):
        raise UsageError(_NO_REALS[purpose])
