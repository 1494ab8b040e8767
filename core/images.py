"""Decodes a picture file into upright RGB squares that can be judged.

Whatever is wrong with a file raises UnreadableImageError with a sentence for the user: wrong
format, too large, damaged, or unsuitable (tiny, one colour, pure noise), as a verdict on such a
picture would mean nothing.

This module does not protect against a codec that hangs or crashes. core.decoder does, which runs
it in a child process.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from .color import to_rgb
from .content import is_blank, with_content
from .errors import UnreadableImageError
from .file_formats import kind_of, opened, shown_in
from .frames import ANIMATED, later_frames
from .orientation import SIDEWAYS, turn_of
from .parts import MAX_PARTS_OF_FIRST_FRAME, MAX_PARTS_OF_LATER_FRAME, WHOLE, Part
from .pixels import Pixels
from .squares import resized_to, squares

MAX_BYTES = 100_000_000
MAX_PIXELS = 64_000_000
MAX_JPEG_PIXELS = 256_000_000  # 200-megapixel phones exist; see _draft
FULL_JPEG_PIXELS = 24_000_000
MIN_SIDE = 64
PREVIEW = 480, 320
"""Width and height, in pixels, that a preview fits into. Dense screens show it at half of that."""
MIN_PREVIEW_SIDE = 24


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
    shown = shown_in(data)
    data, kind = shown.data, shown.kind
    try:
        image, (width, height) = _read(data, kind, size)
        found = with_content(image, list(squares(image, size, most)))
        preview = _preview(image) if with_preview else None
    except MemoryError as error:
        raise UnreadableImageError(
            "This picture needs more memory than one picture may take.", "memory"
        ) from error
    judged = [(Part(box), square) for box, square in found]
    if most > 1 and kind in ANIMATED:
        judged += _of_later_frames(data, kind, size)
    crops = np.stack([np.asarray(square) for _, square in judged])
    parts = tuple(part for part, _ in judged)
    return Picture(crops, parts, width, height, shown.format, preview, shown.note)


def _preview(image: Image.Image) -> Pixels | None:
    """Returns an image in its own shape, reduced to fit into PREVIEW.

    None for a strip that would be too narrow to see anything in it.
    """
    scale = min(1.0, *(room / side for room, side in zip(PREVIEW, image.size, strict=True)))
    width, height = (max(1, round(scale * side)) for side in image.size)
    if min(width, height) < MIN_PREVIEW_SIDE:
        return None
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0))


def _of_later_frames(data: bytes, kind: str, size: int) -> list[tuple[Part, Image.Image]]:
    """Returns squares of an animation's middle and last frame, as far as they can be decoded."""
    judged: list[tuple[Part, Image.Image]] = []
    # What is wrong with a later frame is no reason to refuse the first.
    with suppress(Exception):
        animation = opened(data, kind)
        for number in later_frames(animation, data):
            _check_sides(animation, kind)
            animation.load()
            image, turn = to_rgb(animation, data), turn_of(animation, data)
            upright = image if turn is None else image.transpose(turn)
            found = squares(upright, size, MAX_PARTS_OF_LATER_FRAME)
            judged += [(Part(box, number), one) for box, one in found if not is_blank(one)]
    return judged


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
        raise UnreadableImageError("This kept crop is damaged.", "unreadable") from error
    if pixels is None:
        raise UnreadableImageError(f"This is not a crop of {size} x {size} pixels.", "not_a_crop")
    return Picture(pixels[np.newaxis], (WHOLE,), size, size, kind)


def resized(data: bytes, size: int = 224) -> Image.Image:
    """Returns the first frame in upright RGB, with `size` as its shorter side.

    Training takes other crops of it than the centre. Raises UnreadableImageError.
    """
    _check_bytes(len(data), MAX_BYTES)
    shown = shown_in(data)
    return resized_to(_read(shown.data, shown.kind, size)[0], size)


def whole(data: bytes, longest: int = MAX_PIXELS) -> Image.Image:
    """Returns the whole first frame in upright RGB, its longer side at most `longest`.

    Raises UnreadableImageError.
    """
    _check_bytes(len(data), MAX_BYTES)
    shown = shown_in(data)
    image = _read(shown.data, shown.kind, longest)[0]
    image.thumbnail((longest, longest))
    return image.convert("RGB")


def read_file(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Returns the bytes of a regular file of at most max_bytes. Raises UnreadableImageError."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise UnreadableImageError("This is a device, not a file.", "not_a_file")
            _check_bytes(info.st_size, max_bytes)
            return file.read(info.st_size)
    except FileNotFoundError:
        raise UnreadableImageError("There is no such file (any more).", "no_file") from None
    except IsADirectoryError:
        raise UnreadableImageError(
            "This is a folder. `antifake scan` judges the pictures in one.", "not_a_file"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UnreadableImageError(
            "This file cannot be read: it may be locked, or you may not read it.", "no_access"
        ) from error


def _open_at_once(path: str, flags: int) -> int:
    """Opens without blocking: a FIFO without a writer would block for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(data: bytes, kind: str, size: int) -> tuple[Image.Image, tuple[int, int]]:
    try:
        return _upright(data, kind, size)
    except (UnreadableImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # a frame of a GIF, larger than its header
        raise UnreadableImageError(
            "This picture is too large: it unpacks to more pixels than it may.", "too_many_pixels"
        ) from error
    # Broken files make Pillow's plugins raise nearly anything: OSError, SyntaxError,
    # struct.error, KeyError, RuntimeError. To the user they all mean the same.
    except Exception as error:
        raise UnreadableImageError(
            "This picture is damaged or incomplete, so it cannot be checked.", "unreadable"
        ) from error


def _upright(data: bytes, kind: str, size: int) -> tuple[Image.Image, tuple[int, int]]:
    """Returns the picture in upright RGB, and its full width and height."""
    image = opened(data, kind)
    _check_sides(image, kind)
    full = _draft(image, size) if kind == "JPEG" else None
    _check_pixels(image, MAX_PIXELS)
    image.load()
    width, height = full or image.size
    turn = turn_of(image, data)
    rgb = to_rgb(image, data)
    del image  # frees up to 256 MB
    if turn is None:
        return rgb, (width, height)
    return rgb.transpose(turn), (height, width) if turn in SIDEWAYS else (width, height)


# --- Size ---------------------------------------------------------------------------------


def _check_bytes(n_bytes: int, max_bytes: int) -> None:
    if n_bytes == 0:
        raise UnreadableImageError("This file is empty.", "empty")
    if n_bytes > max_bytes:
        raise UnreadableImageError(
            f"This file is too large: a picture may have {max_bytes / 1e6:.0f} MB.",
            "too_large_bytes",
        )


def _check_sides(image: Image.Image, kind: str) -> None:
    _check_pixels(image, MAX_JPEG_PIXELS if kind == "JPEG" else MAX_PIXELS)
    if min(image.size) < MIN_SIDE:
        raise UnreadableImageError(
            f"This picture is too small to tell: it is {image.width} x {image.height} pixels, "
            f"and the shorter side must have {MIN_SIDE}.",
            "too_small",
        )


def _check_pixels(image: Image.Image, limit: int) -> None:
    if image.width * image.height > limit:
        raise UnreadableImageError(
            f"This picture is too large: {image.width} x {image.height} pixels, "
            f"where {limit / 1e6:.0f} megapixels are the limit.",
            "too_many_pixels",
        )


def _draft(image: ImageFile.ImageFile, size: int) -> tuple[int, int]:
    """Lets a large JPEG be decoded at 1/2, 1/4 or 1/8, and returns its full size.

    That needs a fraction of the time and memory. It changes the crop by up to a few grey levels,
    so pictures of usual size are decoded in full.
    """
    width, height = image.size
    scales = [s for s in (1, 2, 4, 8) if min(width, height) // s >= 2 * size] or [1]
    enough = [s for s in scales if width * height <= FULL_JPEG_PIXELS * s * s]
    scale = enough[0] if enough else scales[-1]
    if scale > 1:
        image.draft(None, (width // scale, height // scale))
    return width, height
