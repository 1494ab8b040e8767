"""What is there of a picture whose file is damaged or ends too early.

Decoders fill up what is missing, with grey, with black or with what came before. Such filler must
not be judged, so only rows count that are whole. How many there are, decoders do not say. What is
missing is therefore filled in two ways: the rows that are the same both times are there.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile

from .errors import UnreadableImageError
from .i18n import _
from .jpeg_reader import JpegFile
from .jpeg_scans import END, scans_of
from .orientation import TAG
from .png_chunks import with_all_rows
from .webp_chunks import filled_up, with_whole_chunks

Prepare = Callable[[bytes], ImageFile.ImageFile]
"""Opens bytes as a picture that can be loaded."""

_ANYTHING = 0.01
ENOUGH = 0.5
"""The share of the rows that must be there for a verdict."""
_LOOP_FILTER = 16
"""Rows of a WebP above the missing ones that may have taken something from them."""
_NOISE = random.Random(1).randbytes(4096).replace(b"\xff", b"\x5a")  # noqa: S311
# A decoder that waits for a restart skips everything before.
_NOISE_OF_JPEG = _NOISE + b"".join(bytes((0xFF, 0xD0 + n)) + _NOISE for n in range(8))
_FILLERS_OF_WEBP = (
    *(_NOISE, b"\0", *(bytes((1 << n,)) for n in range(8))),
    *(random.Random(seed).randbytes(4096) for seed in range(2, 100)),  # noqa: S311
)
"""Of few colors, hardly any filler can be decoded."""
_FILLERS_OF_ANY, _TRIED_PIXELS = 10, 40_000_000
"""So many fillers are tried even if the picture is large; others up to so many pixels."""
_DECODED = 3


@dataclass(frozen=True)
class Rest:
    """A loaded picture of which only some rows are there."""

    image: ImageFile.ImageFile
    top: int
    bottom: int
    """The rows [top, bottom) are whole, as they lie in the file."""
    is_coarse: bool = False
    """Whether all rows are there, but without the details that come last."""

    @property
    def share(self) -> float:
        return (self.bottom - self.top) / self.image.height


def note_of(rest: Rest) -> str:
    """Returns what a person should know of it. Raises UnreadableImageError if too little is there.

    What is judged of the top of a picture says little of a picture that goes on below.
    """
    percent = round(100 * rest.share)
    if rest.share < ENOUGH:
        raise UnreadableImageError(
            _(
                "Only {percent} % of this picture is there, which is too little to judge. "
                "Get the file again from where it came.",
                percent=percent,
            ),
            "incomplete",
        )
    if rest.is_coarse:
        return _("The file ends too early: fine details are missing. What is there was judged.")
    if rest.share == 1:
        return _("The file is damaged, but all of the picture is there.")
    return _(
        "About {percent} % of this picture is missing; the rest was judged.",
        percent=max(1, 100 - percent),
    )


def rest_of(data: bytes, kind: str, prepare: Prepare) -> Rest | None:
    """Returns what is there of a damaged picture; None if it is nothing, or cannot be told."""
    find = {
        "JPEG": _rest_of_jpeg,
        "PNG": _rest_of_png,
        "WEBP": _rest_of_webp,
        "GIF": _rest_by_pixels,
        "BMP": _rest_by_pixels,
        "TIFF": _rest_by_pixels,
    }
    rest = find[kind](data, prepare) if kind in find else None
    return None if rest is None or rest.share < _ANYTHING else rest


def _rest_of_png(data: bytes, prepare: Prepare) -> Rest | None:
    found = with_all_rows(data)
    return None if found is None else Rest(_loaded(prepare(found[0])), 0, found[1])


def _rest_of_jpeg(data: bytes, prepare: Prepare) -> Rest | None:
    scans = scans_of(data)
    if scans is None or not (scans.is_all_outlined or scans.may_have_whole_rows):
        return None
    cut = scans.cut(data)
    other = _digests(_filled_up(prepare(cut + _NOISE_OF_JPEG + END)))
    image = _filled_up(prepare(cut + END))
    rest = _from_top(image, [_digests(image), other])
    is_all = rest.share == 1 and scans.are_all
    is_outlined = rest.share == 1 or scans.is_all_outlined
    return Rest(image, 0, image.height, is_coarse=True) if is_outlined and not is_all else rest


def _filled_up(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    if isinstance(image, JpegFile):
        image.is_filled_up = True
    return _loaded(image)


def _rest_of_webp(data: bytes, prepare: Prepare) -> Rest | None:
    if (whole := with_whole_chunks(data)) is not None:
        with suppress(OSError, EOFError):  # its picture is short
            image = _loaded(prepare(whole))
            return Rest(image, 0, image.height)
    digests: list[list[int]] = []
    for tried, filler in enumerate(_FILLERS_OF_WEBP):
        filled = filled_up(data, filler)
        if filled is None:
            return None
        image = prepare(filled)
        if tried >= _FILLERS_OF_ANY and tried * image.width * image.height > _TRIED_PIXELS:
            return None
        try:
            image.load()
        except (OSError, EOFError):
            continue  # not every filler can be decoded
        digests.append(_digests(image))
        if len(digests) == _DECODED:
            return _from_top(image, digests, _LOOP_FILTER)
    return None


def _rest_by_pixels(data: bytes, prepare: Prepare) -> Rest | None:
    """Decodes onto two colors, of which decoders leave alone what they do not reach."""
    if prepare(data).getexif().get(TAG, 1) != 1:
        return None  # a TIFF is turned when all of it is read
    other = _digests(_loaded_onto(prepare(data), 1))
    image = _loaded_onto(prepare(data), 0)
    return Rest(image, *_longest_run(_are_same([_digests(image), other])))


def _loaded(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    image.load()
    return image


def _loaded_onto(image: ImageFile.ImageFile, level: int) -> ImageFile.ImageFile:
    prepare = image.load_prepare

    def prepare_filled() -> None:
        prepare()
        for tile in image.tile:
            left, top, right, bottom = tile.extents or (0, 0, *image.size)
            filler = Image.new(image.im.mode, (right - left, bottom - top), level)
            image.im.paste(filler.im, (left, top, right, bottom))

    image.load_prepare = prepare_filled  # type: ignore[method-assign]
    with suppress(OSError, ValueError, SyntaxError):
        image.load()
    image.tile = []  # what is decoded can be used
    return image


def _digests(image: Image.Image) -> list[int]:
    """Returns a number for each row, the same for the same pixels."""
    found: list[int] = []
    for top in range(0, image.height, 64):
        strip = np.asarray(image.crop((0, top, image.width, min(image.height, top + 64))))
        found += [hash(row.tobytes()) for row in strip]
    return found


def _are_same(digests: list[list[int]]) -> list[bool]:
    """Returns for each row whether it is the same every time."""
    return [len(set(row)) == 1 for row in zip(*digests, strict=True)]


def _from_top(image: ImageFile.ImageFile, digests: list[list[int]], margin: int = 0) -> Rest:
    """Returns the rows from the top that are the same every time."""
    are_same = _are_same(digests)
    bottom = max(0, are_same.index(False) - margin) if False in are_same else image.height
    return Rest(image, 0, bottom)


def _longest_run(are_same: list[bool]) -> tuple[int, int]:
    """Returns the longest run [begin, end) of rows."""
    best, begin = (0, 0), 0
    for at, is_same in enumerate([*are_same, False]):
        if not is_same:
            best = max(best, (begin, at), key=lambda run: run[1] - run[0])
            begin = at + 1
    return best
