"""How the samples of a page of a TIFF lie in the file, by its tags."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from PIL import TiffImagePlugin as Tags

from .errors import UnreadableImageError
from .i18n import _

S_MIN, S_MAX = 340, 341
NONE = 1
"""The compression, and the predictor, of samples that lie there as they are."""
LZW, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD = 5, 8, 32773, 32946, 34925, 50000
_PREDICTED = (LZW, DEFLATE, OLD_DEFLATE, LZMA, ZSTD)
DIFFERENCES, FLOAT_DIFFERENCES = 2, 3
_KINDS: dict[int, Literal["u", "i", "f"]] = {1: "u", 2: "i", 3: "f", 4: "u"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5
_COLORS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_PREMULTIPLIED, _STRAIGHT = 1, 2
_MAX_SAMPLES = 32
_NAMES = {
    Tags.COMPRESSION: "Compression",
    Tags.PHOTOMETRIC_INTERPRETATION: "PhotometricInterpretation",
    Tags.BITSPERSAMPLE: "BitsPerSample",
    Tags.SAMPLEFORMAT: "SampleFormat",
    Tags.SAMPLESPERPIXEL: "SamplesPerPixel",
    Tags.PREDICTOR: "Predictor",
}


@dataclass(frozen=True)
class Layout:
    """Where samples are, and what they are."""

    width: int
    height: int
    chunk_width: int
    """Of a strip or a tile, in pixels."""
    chunk_height: int
    is_tiled: bool
    """A tile goes beyond the edge of the picture, a strip does not."""
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    """Bytes of each chunk, as far as they are told."""
    compression: int
    predictor: int
    is_reversed: bool
    """Whether the lowest bit of a byte comes first."""
    byte_order: Literal["<", ">"]
    kind: Literal["u", "i", "f"]
    """Unsigned and signed integers, and floating point."""
    bits: int
    """Of a sample."""
    samples: int
    """Of a pixel."""
    is_planar: bool
    """Whether each sample has chunks of its own."""
    colors: int
    """The first samples of a pixel: 1 is grey, 3 RGB, 4 CMYK."""
    has_alpha: bool
    """Whether the sample after the colors is alpha."""
    is_premultiplied: bool
    is_white_zero: bool
    told: tuple[float, float] | None
    """The samples that are black and white, if the file says so."""

    @property
    def mode(self) -> str:
        return {1: "L", 3: "RGB", 4: "CMYK"}[self.colors] + ("A" if self.has_alpha else "")

    @property
    def planes(self) -> int:
        return self.samples if self.is_planar else 1

    @property
    def samples_together(self) -> int:
        """How many samples of a pixel lie side by side."""
        return 1 if self.is_planar else self.samples

    @property
    def row_bytes(self) -> int:
        """Of a row of a chunk, unpacked."""
        return (self.chunk_width * self.samples_together * self.bits + 7) // 8

    @property
    def across(self) -> int:
        return math.ceil(self.width / self.chunk_width)

    @property
    def down(self) -> int:
        return math.ceil(self.height / self.chunk_height)

    def rows_of(self, chunk_row: int) -> int:
        """Returns how many rows of the picture a row of chunks has."""
        return min(self.chunk_height, self.height - chunk_row * self.chunk_height)

    def chunk(self, chunk_row: int, column: int, plane: int) -> int:
        """Returns the number of a chunk."""
        return (plane * self.down + chunk_row) * self.across + column


def kind_error(kind: str) -> UnreadableImageError:
    """Returns the refusal of a TIFF of a kind, which is told by the names of its tags."""
    return UnreadableImageError(
        _(
            "This is a TIFF of a kind that antifake cannot read ({kind}). Save the picture as "
            "JPEG or PNG and check that.",
            kind=kind,
        ),
        "unknown_format",
    )


def _tags_error(tags: Mapping[int, Any], *which: int) -> UnreadableImageError:
    told = [
        " ".join([_NAMES[tag], *map(str, _numbers(tags, tag)[:4])]) for tag in which if tag in tags
    ]
    return kind_error(", ".join(told))


def layout_of(tags: Mapping[int, Any], size: tuple[int, int], byte_order: bytes) -> Layout:
    """Returns the layout of a page of this size, not turned.

    Raises UnreadableImageError for a kind that cannot be read, ValueError for broken tags.
    """
    compression = _compression(tags)
    bits, kind = _sample(tags)
    colors = _colors(tags)
    samples = _number(tags, Tags.SAMPLESPERPIXEL, 1)
    alpha = _alpha(tags, samples, colors)
    offsets, counts, chunk_size = _chunks(tags, size)
    layout = Layout(
        *size,
        *chunk_size,
        Tags.STRIPOFFSETS not in tags,
        offsets,
        counts,
        compression,
        _predictor(tags, compression, bits, kind),
        is_reversed=_number(tags, Tags.FILLORDER, 1) == 2,
        byte_order=">" if byte_order == Tags.MM else "<",
        kind=kind,
        bits=bits,
        samples=samples,
        is_planar=_number(tags, Tags.PLANAR_CONFIGURATION, 1) == 2 and samples > 1,
        colors=colors,
        has_alpha=alpha is not None,
        is_premultiplied=alpha == _PREMULTIPLIED,
        is_white_zero=_photometric(tags) == _WHITE_IS_ZERO,
        told=_told(tags, kind, bits, colors),
    )
    if len(offsets) < layout.across * layout.down * layout.planes:
        raise ValueError("chunks are missing")
    return layout


def is_simple(tags: Mapping[int, Any]) -> bool:
    """Returns whether samples are integers that fill a byte or two, as Pillow takes all."""
    if set(_numbers(tags, Tags.SAMPLEFORMAT, 1)) != {1}:
        return False
    bits = max(_numbers(tags, Tags.BITSPERSAMPLE, 1))
    is_planar = _number(tags, Tags.PLANAR_CONFIGURATION, 1) == 2
    is_inverted = tags.get(Tags.PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO) == _WHITE_IS_ZERO
    if bits <= 8:
        is_packed = _number(tags, Tags.COMPRESSION, NONE) != NONE
        return is_packed or not (is_planar and is_inverted)
    is_full = S_MIN not in tags and S_MAX not in tags
    return bool(bits == 16 and is_full and not is_inverted and not is_planar)


def _sample(tags: Mapping[int, Any]) -> tuple[int, Literal["u", "i", "f"]]:
    """Returns the bits and the kind, which must be the same for all samples."""
    bits, formats = (
        set(_numbers(tags, Tags.BITSPERSAMPLE, 1)),
        set(_numbers(tags, Tags.SAMPLEFORMAT, 1)),
    )
    kind = _KINDS.get(min(formats))
    known = {16, 32, 64} if kind == "f" else {*range(1, 17), 32, 64}
    if len(bits) > 1 or len(formats) > 1 or kind is None or not bits <= known:
        raise _tags_error(tags, Tags.BITSPERSAMPLE, Tags.SAMPLEFORMAT)
    return int(min(bits)), kind


def _photometric(tags: Mapping[int, Any]) -> int:
    """Returns it as libtiff does where it is missing."""
    usual = _BLACK_IS_ZERO if _number(tags, Tags.SAMPLESPERPIXEL, 1) < 3 else _RGB
    return _number(tags, Tags.PHOTOMETRIC_INTERPRETATION, usual)


def _colors(tags: Mapping[int, Any]) -> int:
    colors = _COLORS.get(_photometric(tags))
    if colors is None:
        raise _tags_error(tags, Tags.PHOTOMETRIC_INTERPRETATION, Tags.BITSPERSAMPLE)
    return colors


def _alpha(tags: Mapping[int, Any], samples: int, colors: int) -> int | None:
    """Returns what kind of alpha follows the colors, if any."""
    more = samples - colors
    if more < 0:
        raise ValueError("samples are missing")
    what = _numbers(tags, Tags.EXTRASAMPLES) or ((_STRAIGHT,) if (colors, more) == (3, 1) else (0,))
    is_alpha = more > 0 and what[0] in (_PREMULTIPLIED, _STRAIGHT)
    if samples > _MAX_SAMPLES or (colors == 1 and more > 1 and not is_alpha):
        # Bands of a satellite or of a microscope: none of them is the picture.
        raise _tags_error(tags, Tags.SAMPLESPERPIXEL, Tags.PHOTOMETRIC_INTERPRETATION)
    return int(what[0]) if is_alpha and colors != 4 else None


def _compression(tags: Mapping[int, Any]) -> int:
    compression = _number(tags, Tags.COMPRESSION, NONE)
    if compression not in (NONE, PACKBITS, *_PREDICTED):
        raise _tags_error(tags, Tags.COMPRESSION, Tags.BITSPERSAMPLE)
    return compression


def _predictor(tags: Mapping[int, Any], compression: int, bits: int, kind: str) -> int:
    predictor = _number(tags, Tags.PREDICTOR, NONE) if compression in _PREDICTED else NONE
    can_be_undone = {
        NONE: True,
        DIFFERENCES: bits in (8, 16, 32, 64),
        FLOAT_DIFFERENCES: kind == "f",
    }
    if not can_be_undone.get(predictor, False):
        raise _tags_error(tags, Tags.PREDICTOR, Tags.BITSPERSAMPLE, Tags.SAMPLEFORMAT)
    return predictor


def _chunks(
    tags: Mapping[int, Any], size: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, int]]:
    """Returns where chunks begin, how long they are, and their width and height in pixels."""
    width, height = size
    if Tags.STRIPOFFSETS in tags:
        rows = min(height, _number(tags, Tags.ROWSPERSTRIP, height) or height)
        places, lengths = Tags.STRIPOFFSETS, Tags.STRIPBYTECOUNTS
        chunk = width, rows
    else:
        places, lengths = Tags.TILEOFFSETS, Tags.TILEBYTECOUNTS
        chunk = _number(tags, Tags.TILEWIDTH), _number(tags, Tags.TILELENGTH)
    if min(*size, *chunk) < 1:
        raise ValueError("no pixels")
    return _numbers(tags, places), _numbers(tags, lengths), chunk


def _told(tags: Mapping[int, Any], kind: str, bits: int, colors: int) -> tuple[float, float] | None:
    """Returns the range that the file tells, the widest of its colors; None if that is none."""
    if S_MIN not in tags and S_MAX not in tags:
        return None
    black, white = range_of_type(kind, bits)
    try:
        black = min(map(float, _numbers(tags, S_MIN, black)[:colors]))
        white = max(map(float, _numbers(tags, S_MAX, white)[:colors]))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (black, white) if black < white and math.isfinite(white - black) else None


def range_of_type(kind: str, bits: int) -> tuple[float, float]:
    """Returns the least and the greatest integer, and 0 and 1 for floating point."""
    if kind == "f":
        return 0.0, 1.0
    least = -(2 ** (bits - 1)) if kind == "i" else 0
    return float(least), float(least + 2**bits - 1)


def _numbers(tags: Mapping[int, Any], tag: int, *usual: Any) -> tuple[Any, ...]:
    value = tags.get(tag, usual)
    return value if isinstance(value, tuple) else (value,)


def _number(tags: Mapping[int, Any], tag: int, usual: int | None = None) -> int:
    """Returns the first number of a tag. Raises ValueError if there is none."""
    found = _numbers(tags, tag, *(() if usual is None else (usual,)))
    if not found or not isinstance(found[0], int):
        raise ValueError("not a number")
    return found[0]
