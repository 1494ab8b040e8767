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
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageStat

from .errors import UnreadableImageError
from .frames import ANIMATED, later_frames
from .parts import MAX_PARTS_OF_FIRST_FRAME, MAX_PARTS_OF_LATER_FRAME, WHOLE, Box, Part
from .squares import resized_to, squares

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Grey = np.ndarray[Any, np.dtype[np.float32]]
_Square = tuple[Box, Image.Image]

ACCEPTED = "JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF and HEIC"
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
    kind = _kind(data)
    try:
        image, (width, height) = _read(data, kind, size)
        found = _with_content(image, list(squares(image, size, most)))
        preview = _preview(image) if with_preview else None
    except MemoryError as error:
        raise UnreadableImageError(
            "This picture needs more memory than one picture may take.", "memory"
        ) from error
    judged = [(Part(box), square) for box, square in found]
    if most > 1 and kind in ANIMATED:
        judged += _of_later_frames(data, kind, size)
    crops = np.stack([np.asarray(square) for _, square in judged])
    return Picture(crops, tuple(part for part, _ in judged), width, height, kind, preview)


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
        animation = _open(data, kind)
        for number in later_frames(animation, data):
            _check_sides(animation, kind)
            animation.load()
            image, turn = _to_rgb(animation), _turn(animation)
            upright = image if turn is None else image.transpose(turn)
            found = squares(upright, size, MAX_PARTS_OF_LATER_FRAME)
            judged += [(Part(box, number), one) for box, one in found if not _is_blank(one)]
    return judged


def kept_crop(data: bytes, size: int) -> Picture:
    """Decodes a crop of size x size that `decode` once made and that was kept without loss.

    Nothing is cut, scaled or judged by its content again. Raises UnreadableImageError.
    """
    _check_bytes(len(data), MAX_BYTES)
    kind = _kind(data)
    try:
        is_crop = _open(data, kind).size == (size, size)
        pixels = np.array(_open(data, kind).convert("RGB")) if is_crop else None
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
    return resized_to(_read(data, _kind(data), size)[0], size)


def whole(data: bytes, longest: int) -> Image.Image:
    """Returns the whole first frame in upright RGB, its longer side at most `longest`.

    Raises UnreadableImageError.
    """
    _check_bytes(len(data), MAX_BYTES)
    image = _read(data, _kind(data), longest)[0]
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
    image = _open(data, kind)
    _check_sides(image, kind)
    full = _draft(image, size) if kind == "JPEG" else None
    _check_pixels(image, MAX_PIXELS)
    image.load()
    width, height = full or image.size
    turn = _turn(image)
    rgb = _to_rgb(image)
    del image  # frees up to 256 MB
    if turn is None:
        return rgb, (width, height)
    return rgb.transpose(turn), (height, width) if turn in _SIDEWAYS else (width, height)


# --- Format -------------------------------------------------------------------------------

_READERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
# The brands of an ISO media file, of which AVIF, HEIC and MP4 are three kinds.
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"mif1": "HEIF", b"msf1": "HEIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIF"
)
_NO_PICTURES = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"PK\3\4": "a ZIP archive or an office document",
    b"8BPS": "a Photoshop document",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\1\0": "an icon",
    b"icns": "an icon",
    b"\x1aE\xdf\xa3": "a video",
}


def _kind(data: bytes) -> str:
    """Returns the format by the first bytes, as names and declared types are often wrong."""
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    # mif1 and msf1 only mean "some picture": both AVIF and HEIC files have them.
    for brand in sorted(brands, key=lambda brand: brand in (b"mif1", b"msf1")):
        if brand in _BRANDS:
            return _BRANDS[brand]
    what = "a video" if brands else _no_picture(data)
    raise UnreadableImageError(f"This is {what}. Accepted are {ACCEPTED}.", "unknown_format")


def _brands(data: bytes) -> list[bytes]:
    """Returns the major and the compatible brands of an ISO media file."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256)
    return [data[at : at + 4] for at in (8, *range(16, end, 4))]


def _no_picture(data: bytes) -> str:
    for magic, what in _NO_PICTURES.items():
        if data.startswith(magic):
            return what
    text = data[:512].lower()
    if b"<svg" in text:
        return "an SVG drawing"
    return (
        "a web page"
        if b"<html" in text or b"<!doctype html" in text
        else "not a picture of a known kind"
    )


def _open(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Reads the header with the reader class of this format.

    Image.open would import every plugin of Pillow, and refuse large JPEGs by its own pixel limit
    before draft() can reduce them.
    """
    module, name = _READERS[kind]
    image: ImageFile.ImageFile = getattr(import_module(module), name)(BytesIO(data))
    return image


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


# --- Pixels -------------------------------------------------------------------------------

# EXIF orientation -> the transposition that turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = [_TURNS[n] for n in (5, 6, 7, 8)]


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Returns what turns a picture upright by its EXIF orientation; None if it is.

    ImageOps.exif_transpose would also rewrite the EXIF block, which fails if it is broken
    elsewhere.
    """
    try:
        value = image.getexif().get(0x0112)
    except Exception:  # noqa: BLE001 - as in decode(); the picture itself is good
        return None
    return _TURNS.get(value) if isinstance(value, int) else None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Returns 8-bit RGB. Transparent pixels become white, colour profiles are ignored."""
    if image.mode.startswith("I;16"):
        # convert() would clip all values above 255. Pillow takes the high byte of 16-bit RGB, too.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_to_8_bits(np.array(image, np.float32))).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _to_8_bits(values: Grey) -> Pixels:
    """Maps values [H, W] of any range to 0 .. 255; values within that range are kept."""
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255:
        values -= low
        values *= 255 / (high - low) if high > low else 0
    return values.astype(np.uint8)


# --- Content ---------------------------------------------------------------------------------


def _with_content(image: Image.Image, found: list[_Square]) -> list[_Square]:
    """Returns the squares that are not blank. Raises UnreadableImageError if there is none."""
    found = [(box, square) for box, square in found if not _is_blank(square)]
    if not found:
        raise UnreadableImageError(
            "This picture shows nothing but one colour, so there is nothing to check.", "blank"
        )
    if all(_is_noise(image, box, square) for box, square in found):
        raise UnreadableImageError(
            "This picture is nothing but random noise, so there is nothing to check.", "noise"
        )
    return found


def _is_blank(square: Image.Image) -> bool:
    return max(ImageStat.Stat(square).stddev) < 1


def _is_noise(image: Image.Image, box: Box, square: Image.Image) -> bool:
    """Returns whether neighbouring pixels are unrelated and there is no structure on a large scale.

    The first alone is true of a grainy night sky and some dithering, the second alone of sand
    and grass.
    """
    middle = _middle(image, box)
    # The square of a small picture is enlarged, so its noise is not that of single pixels.
    coarse = middle if min(image.size) < min(square.size) else square
    return _neighbours(_grey(middle)) < 0.2 and _structure(_grey(coarse)) < 3


def _grey(image: Image.Image) -> Grey:
    return np.asarray(image.convert("L"), np.float32)


def _middle(image: Image.Image, box: Box) -> Image.Image:
    """Returns the central 256 x 256 pixels of a part, as in the file; the square has averages."""
    across = int(image.width * (box.left + box.width / 2))
    down = int(image.height * (box.top + box.height / 2))
    left, top = max(0, across - 128), max(0, down - 128)
    return image.crop((left, top, min(image.width, left + 256), min(image.height, top + 256)))


def _neighbours(grey: Grey) -> float:
    """Returns the larger correlation of pixels [H, W] with right or lower neighbours; noise: 0."""
    grey = grey - grey.mean()
    right = abs(float((grey[:, 1:] * grey[:, :-1]).mean()))
    below = abs(float((grey[1:] * grey[:-1]).mean()))
    return max(right, below) / (float(grey.var()) or 1.0)


def _structure(grey: Grey) -> float:
    """Returns the variance of 8 x 8 block means of [H, W], relative to noise (about 1)."""
    rows, columns = grey.shape[0] // 8, grey.shape[1] // 8
    blocks = grey[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).mean(axis=(1, 3))
    return float(blocks.var() * 64 / (grey.var() or 1.0))
