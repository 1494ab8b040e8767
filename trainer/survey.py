"""Every picture looked at once before anything is learned: is it readable, is it there twice?

Decoding is core.decoder's, in child processes. What is kept of a picture is its hash and a
look of 200 bytes, so a hundred thousand of them fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from antifake.core.decoder import Decoder
from antifake.core.errors import UsageError
from antifake.core.images import Pixels
from antifake.core.perceptual_hash import dhash

from .examples import Example

THUMB = 8
"""Side of the thumbnail, in pixels."""


@dataclass(frozen=True)
class Surveyed:
    """A readable picture."""

    example: Example
    sha256: str
    """Of the file's bytes."""
    dhash: int
    thumb: bytes
    """RGB of 8 x 8 cells. Smooth pictures share a dhash; this tells them apart."""

    @property
    def is_fake(self) -> bool:
        return self.example.is_fake


def survey(examples: Sequence[Example], decoder: Decoder) -> tuple[list[Surveyed], list[str]]:
    """The readable pictures in their order, and a sentence for each of the others."""
    found: list[Surveyed] = []
    complaints: list[str] = []
    decoded = decoder.decode_many(example.path for example in examples)
    for example, (path, one) in zip(examples, decoded, strict=True):
        if one.picture is None or one.sha256 is None:
            complaints.append(f"{path}: {one.error} It is left out.")
        else:
            found.append(Surveyed(example, one.sha256, *look(one.picture.crop)))
    return found, complaints


def look(crop: Pixels) -> tuple[int, bytes]:
    """The dhash and the thumbnail of a crop [S, S, 3]."""
    thumb = Image.fromarray(crop).resize((THUMB, THUMB), Image.Resampling.BOX)
    return dhash(crop), thumb.tobytes()


def without_copies(pictures: Sequence[Surveyed]) -> tuple[list[Surveyed], list[str]]:
    """Each file's bytes once. Raises UsageError where the same bytes bear both labels."""
    first: dict[str, Surveyed] = {}
    for one in pictures:
        other = first.setdefault(one.sha256, one)
        if other.is_fake != one.is_fake:
            raise UsageError(
                f"{other.example.path} and {one.example.path} are the same picture, "
                f"once called real and once AI-made: take one of them away."
            )
    copies = len(pictures) - len(first)
    notes = [f"{copies} copies of pictures that are there already are left out."] if copies else []
    return list(first.values()), notes


def both_classes(pictures: Sequence[Surveyed], what: str) -> None:
    """Raises UsageError where there is nothing to tell apart."""
    fakes = sum(one.is_fake for one in pictures)
    if not pictures:
        raise UsageError(f"There are no readable pictures {what}.")
    if fakes in (0, len(pictures)):
        kind, other = ("AI-made", "real") if fakes else ("real", "AI-made")
        raise UsageError(f"All pictures {what} are {kind}: some {other} ones are needed, too.")
