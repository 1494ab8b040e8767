"""Decodes a picture file into upright RGB squares that can be judged.

Whatever is wrong with a file raises UnreadableImageError with a sentence for the user: wrong
format, too large, damaged, or unsuitable (tiny, one colour, pure noise), as a verdict on such a
picture would mean nothing.

This module does not protect against a codec that hangs or crashes. core.decoder does, which runs
it in a child process.
"""

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .content import Square, is_blank, with_content
from .errors import UnreadableImageError
from .file_formats import kind_of, opened, shown_in
from .files import PlainFile, open_without_links
from .frames import ANIMATED, later_frames, middle_and_last
from .i18n import _
from .parts import MAX_PARTS_OF_FIRST_FRAME, MAX_PARTS_OF_LATER_FRAME, WHOLE, Part
from .pixels import Pixels
from .squares import resized_to, squares
from .upright import MAX_PIXELS, Upright, first_frame

Judged = tuple[Part, Image.Image]
"""A part with its square."""

MAX_BYTES = 100_000_000
PREVIEW = 480, 320
"""Width and height, in pixels, that a preview fits into. Dense screens show it at half of that."""
MIN_PREVIEW_SIDE = 24
_MISSING = (192, 192, 192)


@dataclass(frozen=True)
class Picture:
    """The parts of a picture that are judged, and facts about the whole file."""

    crops: Pixels
    """RGB, uint8 [n, size, size, 3]: one square for each of `parts`."""
    parts: tuple[Part, ...]
    """Where they are. The first is the middle of the picture, unless that is blank."""
    width: int
    """Of the upright picture in the file, not of the crops."""
    height: int
    format: str
    """The real format, such as "JPEG", whatever the file name says."""
    preview: Pixels | None = None
    """All of the picture in small, uint8 [h, w, 3], if it was asked for. See `_preview`."""
    note: str | None = None
    """What a person should know of what was judged, in a sentence; the same for the same bytes."""

    @property
    def crop(self) -> Pixels:
        """The first square, uint8 [size, size, 3]."""
        first: Pixels = self.crops[0]
        return first


def decode(data: bytes, size: int = 224) -> Picture:
    """Decodes the middle square of the first frame, size x size. Raises UnreadableImageError."""
    return _decode(data, size, most=1)


def decode_whole(data: bytes, size: int = 224) -> Picture:
    """Decodes squares of size x size from all over a picture. Raises UnreadableImageError."""
    return _decode(data, size, most=MAX_PARTS_OF_FIRST_FRAME)


def decode_shown(data: bytes, size: int = 224) -> Picture:
    """Does the same, and adds a preview of the picture."""
    return _decode(data, size, most=MAX_PARTS_OF_FIRST_FRAME, with_preview=True)


def _decode(data: bytes, size: int, most: int, *, with_preview: bool = False) -> Picture:
    _check_bytes(len(data), MAX_BYTES)
    in_file = shown_in(data)
    data, kind = in_file.data, in_file.kind
    try:
        first = first_frame(data, kind, size)
        shown, judged = _judged(data, kind, first, size, most)
        preview = _preview(shown) if with_preview else None
    except MemoryError as error:
        raise UnreadableImageError(
            _("This picture needs more memory than one picture may take."), "memory"
        ) from error
    if most > 1 and kind in ANIMATED and first.is_whole:
        judged += _of_later_frames(data, kind, size, shown.number)
    crops = np.stack([np.asarray(square) for _part, square in judged])
    parts = tuple(part for part, _square in judged)
    note = " ".join(filter(None, (in_file.note, first.note))) or None
    return Picture(crops, parts, first.width, first.height, in_file.format, preview, note)


def _judged(
    data: bytes, kind: str, first: Upright, size: int, most: int
) -> tuple[Upright, list[Judged]]:
    """Returns the first frame that shows something, and the squares to judge of it."""
    try:
        return first, _of_first_frame(first, size, most)
    except UnreadableImageError as error:
        if error.code != "blank" or kind not in ANIMATED or not first.is_whole:
            raise
        for frame in later_frames(data, kind):
            with suppress(UnreadableImageError):
                return frame, _of_first_frame(frame, size, most)
        raise


def _of_first_frame(frame: Upright, size: int, most: int) -> list[Judged]:
    """Returns the squares to judge. If rows are missing, none has anything of them.

    They are those of the whole picture if its middle square is there, otherwise those of the rest.
    """
    if not frame.is_whole:
        canvas = frame.canvas(_MISSING)
        middle, *others = _squares(frame, canvas, size, most)
        if frame.has(middle[0], size):
            there = [one for one in others if frame.has(one[0], size)]
            found = with_content(canvas, [middle, *there])
            return [(Part(box, frame.number), square) for box, square in found]
    found = with_content(frame.image, _squares(frame, frame.image, size, most))
    return [(Part(box.within(frame.there), frame.number), square) for box, square in found]


def _squares(frame: Upright, image: Image.Image, size: int, most: int) -> list[Square]:
    """Returns squares of an image of a frame, in sRGB."""
    return [(box, frame.in_srgb(square)) for box, square in squares(image, size, most)]


def _of_later_frames(data: bytes, kind: str, size: int, first: int) -> list[Judged]:
    """Returns squares of an animation's middle and last frame, if they come after the first."""
    judged: list[Judged] = []
    # What is wrong with a later frame is no reason to refuse the first.
    with suppress(Exception):
        for frame in middle_and_last(data, kind):
            if frame.number > first:
                found = _squares(frame, frame.image, size, MAX_PARTS_OF_LATER_FRAME)
                judged += [
                    (Part(box, frame.number), one) for box, one in found if not is_blank(one)
                ]
    return judged


def _preview(shown: Upright) -> Pixels | None:
    """Returns a picture in its own shape, reduced to fit into PREVIEW; what is missing is grey.

    None for a strip that would be too narrow to see anything in it.
    """
    image = shown.canvas(_MISSING)
    scale = min(1.0, *(room / side for room, side in zip(PREVIEW, image.size, strict=True)))
    width, height = (max(1, round(scale * side)) for side in image.size)
    if min(width, height) < MIN_PREVIEW_SIDE:
        return None
    small = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(shown.in_srgb(small))


def require_picture(data: bytes) -> None:
    """Raises UnreadableImageError for what is no picture of an accepted kind by its first bytes."""
    _check_bytes(len(data), MAX_BYTES)
    kind_of(data)


def kept_crop(data: bytes, size: int) -> Picture:
    """Decodes a crop of size x size that `decode` once made and that was kept without loss.

    Nothing is cut, scaled or judged by its content again. Raises UnreadableImageError.
    """
    _check_bytes(len(data), MAX_BYTES)
    kind = kind_of(data)
    try:
        is_crop = opened(data, kind).size == (size, size)
        pixels = np.array(opened(data, kind).convert("RGB")) if is_crop else None
    except Exception as error:
        raise UnreadableImageError(_("This kept crop is damaged."), "unreadable") from error
    if pixels is None:
        raise UnreadableImageError(
            _("This is not a crop of {size} x {size} pixels.", size=size), "not_a_crop"
        )
    return Picture(pixels[np.newaxis], (WHOLE,), size, size, kind)


def resized(data: bytes, size: int = 224) -> Image.Image:
    """Returns the first frame in upright RGB, with `size` as its shorter side.

    Training takes other crops of it than the centre. Raises UnreadableImageError.
    """
    _check_bytes(len(data), MAX_BYTES)
    in_file = shown_in(data)
    first = first_frame(in_file.data, in_file.kind, size)
    return first.in_srgb(resized_to(first.image, size))


def whole(data: bytes, longest: int = MAX_PIXELS) -> Image.Image:
    """Returns the whole first frame in upright RGB, its longer side at most `longest`.

    Raises UnreadableImageError.
    """
    _check_bytes(len(data), MAX_BYTES)
    in_file = shown_in(data)
    first = first_frame(in_file.data, in_file.kind, longest)
    first.image.thumbnail((longest, longest))
    return first.in_srgb(first.image.convert("RGB"))


def read_file(file: Path | PlainFile, max_bytes: int = MAX_BYTES) -> bytes:
    """Returns the bytes of a regular file of at most max_bytes. Raises UnreadableImageError."""
    is_plain = isinstance(file, PlainFile)
    path = file.path if isinstance(file, PlainFile) else file
    try:
        with open(path, "rb", opener=open_without_links if is_plain else _open_at_once) as found:
            info = os.fstat(found.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise UnreadableImageError(_("This is a device, not a file."), "not_a_file")
            _check_bytes(info.st_size, max_bytes)
            return found.read(info.st_size)
    except FileNotFoundError:
        raise UnreadableImageError(_("There is no such file (any more)."), "no_file") from None
    except IsADirectoryError:
        raise UnreadableImageError(
            _("This is a folder. `antifake scan` judges the pictures in one."), "not_a_file"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if is_plain and getattr(error, "errno", None) in (errno.ELOOP, errno.ENOTDIR):
            raise UnreadableImageError(_("There is no such file (any more)."), "no_file") from None
        raise UnreadableImageError(
            _("This file cannot be read: it may be locked, or you may not read it."), "no_access"
        ) from error


def _open_at_once(path: str, flags: int) -> int:
    """Opens without blocking: a FIFO without a writer would block for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_bytes(n_bytes: int, max_bytes: int) -> None:
    if n_bytes == 0:
        raise UnreadableImageError(_("This file is empty."), "empty")
    if n_bytes > max_bytes:
        raise UnreadableImageError(
            _(
                "This file is too large: a picture may have {limit:.0f} MB.",
                limit=max_bytes / 1e6,
            ),
            "too_large_bytes",
        )
