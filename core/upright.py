"""Reads a picture file into upright RGB frames, within limits of size.

Raises UnreadableImageError with a sentence for the user.
"""

from dataclasses import dataclass, replace
from functools import partial

from PIL import Image, ImageFile

from .color import to_rgb
from .errors import UnreadableImageError
from .file_formats import opened
from .i18n import _
from .icc import Conversion
from .jpeg_scans import passes_of
from .orientation import SIDEWAYS, TURNED_TO_END, turn_of
from .parts import WHOLE, Box
from .png_chunks import appearance
from .tiff_reader import TiffFile
from .truncation import note_of, rest_of

MAX_PIXELS = 64_000_000
MAX_JPEG_PIXELS = 256_000_000  # 200-megapixel phones exist; see _draft
FULL_JPEG_PIXELS = 24_000_000
MAX_PASSES = 1000
"""Of a decoder over the components of a JPEG."""
ALWAYS_PASSES = 16
"""A picture in color has 3 as usual, 14 if libjpeg wrote it as progressive, and up to 16 from
encoders that try out what is smallest. Four inks have 24; they are not printed this large."""
MAX_PASSED_PIXELS = ALWAYS_PASSES * MAX_PIXELS
"""Pixels times passes beyond ALWAYS_PASSES. A pass over nothing takes 0.7 ns a pixel, so they take
0.7 s, and 1.4 s where they end too early. Up to 42 megapixels any encoder's 24 passes are taken."""
MIN_SIDE = 64
_FILTER = 3
"""Pixels of the result that a bicubic filter reaches beyond a part."""


@dataclass(frozen=True)
class Upright:
    """A frame in upright RGB."""

    image: Image.Image
    """What is there of it, perhaps reduced; for its colors see `in_srgb`."""
    width: int
    """Of all of it, in the file."""
    height: int
    number: int = 0
    """Of an animation, from 0."""
    there: Box = WHOLE.box
    """Which part of it is there."""
    note: str | None = None
    """What is wrong with the file, in a sentence."""
    to_srgb: Conversion | None = None
    """None if it is in sRGB."""

    def in_srgb(self, part: Image.Image) -> Image.Image:
        """Returns a part of the image, perhaps reduced, in sRGB."""
        return part if self.to_srgb is None else self.to_srgb(part)

    @property
    def is_whole(self) -> bool:
        return self.there == WHOLE.box

    def canvas(self, missing: tuple[int, int, int]) -> Image.Image:
        """Returns an image of all of it, in one color where it is missing."""
        if self.is_whole:
            return self.image
        there, (width, height) = self.there, self.image.size
        full = round(width / there.width), round(height / there.height)
        canvas = Image.new("RGB", full, missing)
        canvas.paste(self.image, (round(there.left * full[0]), round(there.top * full[1])))
        return canvas

    def has(self, box: Box, size: int) -> bool:
        """Returns whether a part, reduced to `size` pixels, has nothing of what is missing."""
        there = self.there
        return _is_within(box.left, box.width, there.left, there.width, size) and _is_within(
            box.top, box.height, there.top, there.height, size
        )


def first_frame(data: bytes, kind: str, size: int) -> Upright:
    """Returns the first frame, of a damaged file what is there of it. Raises UnreadableImageError.

    Large JPEGs are reduced, to no less than twice `size`.
    """
    try:
        return _first_frame(data, kind, size)
    except (UnreadableImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # a frame of a GIF, larger than its header
        raise UnreadableImageError(
            _("This picture is too large: it unpacks to more pixels than it may."),
            "too_many_pixels",
        ) from error
    # Broken files make Pillow's plugins raise nearly anything: OSError, SyntaxError,
    # struct.error, KeyError, RuntimeError. To the user they all mean the same.
    except Exception as error:
        raise UnreadableImageError(
            _("This picture is damaged or incomplete, so it cannot be checked."), "unreadable"
        ) from error


def readable(data: bytes, kind: str) -> bytes:
    """Returns a file without what a reader should not even look at."""
    return appearance(data) if kind == "PNG" else data


def frame_of(image: ImageFile.ImageFile, data: bytes, kind: str, number: int) -> Upright:
    """Loads the frame that an image, opened from `data`, is at. Raises what its decoder raises."""
    check_sides(image, kind)
    image.load()
    rgb, to_srgb = to_rgb(image, data)
    found = _turned(rgb, turn_of(image, data), image.size)
    return replace(found, number=number, to_srgb=to_srgb)


def _first_frame(data: bytes, kind: str, size: int) -> Upright:
    full = (0, 0)

    def prepare(data: bytes, always: int = ALWAYS_PASSES) -> ImageFile.ImageFile:
        nonlocal full
        image = opened(data, kind)
        check_sides(image, kind)
        full = image.size
        if kind == "JPEG":
            _check_passes(image, data, always)
            _draft(image, size)
        _check_pixels(image, MAX_PIXELS)
        return image

    data = readable(data, kind)
    rest = None
    try:
        image = prepare(data)
        image.load()
    except (UnreadableImageError, MemoryError, Image.DecompressionBombError):
        raise
    except Exception:
        # Decoded twice more, so no passes are for nothing.
        rest = rest_of(data, kind, partial(prepare, always=0))
        if rest is None:
            raise
        image = rest.image
    turn, size_in_file = turn_of(image, data), full if kind == "JPEG" else image.size
    notes = None if rest is None else note_of(rest), _note_of_reader(image)
    note = " ".join(filter(None, notes)) or None
    rgb, to_srgb = to_rgb(image, data)
    del image  # frees up to 256 MB
    if rest is None or rest.share == 1:
        return replace(_turned(rgb, turn, size_in_file), note=note, to_srgb=to_srgb)
    top, bottom = rest.top, rest.bottom
    there = _turned_box(Box(0, top / rgb.height, 1, (bottom - top) / rgb.height), turn)
    rows = rgb.crop((0, top, rgb.width, bottom))
    found = _turned(rows, turn, size_in_file)
    return replace(found, there=there, note=note, to_srgb=to_srgb)


def _note_of_reader(image: ImageFile.ImageFile) -> str | None:
    """Returns what the reader of a loaded picture had to guess, in a sentence."""
    return image.note if isinstance(image, TiffFile) else None


def _is_within(begin: float, length: float, first: float, extent: float, size: int) -> bool:
    end, last = begin + length, first + extent
    reach = _FILTER * length / size
    return (first == 0 or begin - reach >= first) and (last >= 1 or end + reach <= last)


def _turned(image: Image.Image, turn: Image.Transpose | None, size: tuple[int, int]) -> Upright:
    width, height = size
    if turn is None:
        return Upright(image, width, height)
    if turn in SIDEWAYS:
        width, height = height, width
    return Upright(image.transpose(turn), width, height)


def _turned_box(box: Box, turn: Image.Transpose | None) -> Box:
    """Returns where rows of a picture are when it is upright."""
    begin = 1 - box.top - box.height if turn in TURNED_TO_END else box.top
    if turn in SIDEWAYS:
        return Box(begin, 0, box.height, 1)
    return Box(0, begin, 1, box.height)


# --- Size ---------------------------------------------------------------------------------


def check_sides(image: Image.Image, kind: str) -> None:
    _check_pixels(image, MAX_JPEG_PIXELS if kind == "JPEG" else MAX_PIXELS)
    if min(image.size) < MIN_SIDE:
        raise UnreadableImageError(
            _(
                "This picture is too small to tell: it is {width} x {height} pixels, and the "
                "shorter side must have {least}.",
                width=image.width,
                height=image.height,
                least=MIN_SIDE,
            ),
            "too_small",
        )


def _check_pixels(image: Image.Image, limit: int) -> None:
    if image.width * image.height > limit:
        raise UnreadableImageError(
            _(
                "This picture is too large: {width} x {height} pixels, where {limit:.0f} "
                "megapixels are the limit.",
                width=image.width,
                height=image.height,
                limit=limit / 1e6,
            ),
            "too_many_pixels",
        )


def _check_passes(image: Image.Image, data: bytes, always: int) -> None:
    """Refuses a JPEG whose scans are far more work than its bytes and pixels show."""
    most = MAX_PASSED_PIXELS // (image.width * image.height)
    most = min(MAX_PASSES, max(always, most))
    if passes_of(data, most) > most:
        raise UnreadableImageError(
            _(
                "This picture is stored in more than {n:,} passes, which would take too long to "
                "decode. Save it again as JPEG or PNG and check that.",
                n=most,
            ),
            "too_much_work",
        )


def _draft(image: ImageFile.ImageFile, size: int) -> None:
    """Lets a large JPEG be decoded at 1/2, 1/4 or 1/8.

    That needs a fraction of the time and memory. It changes the crop by up to a few grey levels,
    so pictures of usual size are decoded in full.
    """
    width, height = image.size
    scales = [s for s in (1, 2, 4, 8) if min(width, height) // s >= 2 * size] or [1]
    enough = [s for s in scales if width * height <= FULL_JPEG_PIXELS * s * s]
    scale = enough[0] if enough else scales[-1]
    if scale > 1:
        image.draft(None, (width // scale, height // scale))
