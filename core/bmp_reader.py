"""Reads the kinds of BMP that browsers show and Pillow refuses, and leaves all others to Pillow.

These are bit fields of any width, and run lengths that end before the picture does. As in
Chromium, pixels that are left out are black, and those after the end of the file transparent.
"""

import struct
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile

_RGB, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
_USUAL = {16: (0x7C00, 0x3E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}
"""The fields where none are told, by depth."""
_WITH_ALPHA = 56
"""A header of this size tells a field of alpha, too, which counts even where the others do not."""
_FILE_HEAD = 14
_LEAST_SHARE = 0.5
"""Of the pixels that run lengths must tell: what is left out is no picture."""
_OS2_HEAD = 64
"""The size of a header whose compressions mean something else."""
_DECODER = "antifake_bmp"


def bmp_file(file: IO[bytes]) -> ImageFile.ImageFile:
    """Reads the header. Raises nearly anything if it is broken, as Pillow does."""
    head = file.read(138)
    file.seek(0)
    size = int.from_bytes(head[14:18], "little")
    depth, compression = struct.unpack_from("<HI", head.ljust(34, b"\0"), 28)
    ours = {_RLE8: (8,), _RLE4: (4,), _RGB: _USUAL, _FIELDS: _USUAL, _ALPHA_FIELDS: _USUAL}
    if size < 40 or size == _OS2_HEAD or depth not in ours.get(compression, ()):
        return BmpImagePlugin.BmpImageFile(file)
    return BmpFile(file)


class BmpFile(ImageFile.ImageFile):
    """A BMP with bit fields or run lengths, as RGBA."""

    format = "BMP"

    def _open(self) -> None:
        head = self.fp.read(138) if self.fp else b""
        (offset,) = struct.unpack_from("<I", head, 10)
        size, width, height, _, depth, compression = struct.unpack_from("<IiiHHI", head, 14)
        if width < 1 or height == 0:
            raise ValueError("a BMP without pixels")
        is_upside_down = height > 0
        self._size, self._mode = (width, abs(height)), "RGBA"
        has_alpha = compression == _ALPHA_FIELDS or size >= _WITH_ALPHA
        masks = struct.unpack_from(f"<{4 if has_alpha else 3}I", head, _FILE_HEAD + 40)
        if compression == _RGB:
            masks = (*_USUAL[depth], *masks[3:])
        palette = (_FILE_HEAD + size, struct.unpack_from("<I", head, 46)[0])
        told = palette if compression in (_RLE8, _RLE4) else masks
        arguments = (depth, told, is_upside_down)
        box = (0, 0, *self._size)
        self.tile = [ImageFile._Tile(_DECODER, box, offset, arguments)]  # noqa: SLF001 - as plugins do


class _Decoder(ImageFile.PyDecoder):
    _pulls_fd = True

    def decode(self, _: Any) -> tuple[int, int]:
        depth, told, is_upside_down = self.args
        if self.fd is None:
            return -1, 0
        width, height = self.state.xsize, self.state.ysize
        if depth < 16:
            start = self.fd.tell()
            colours = _palette(self.fd, *told, most=2**depth)
            self.fd.seek(start)
            rows = _run_lengths(self.fd.read(), width, height, depth, colours)
        else:
            rows = _fields(self.fd.read(), width, height, depth, told)
        self.set_as_raw(np.ascontiguousarray(rows[::-1] if is_upside_down else rows).tobytes())
        return -1, 0


Image.register_decoder(_DECODER, _Decoder)


def _fields(
    data: bytes, width: int, height: int, depth: int, masks: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Returns RGBA [height, width, 4], in the order of the file. Raises ValueError if it ends."""
    stride = (width * depth + 31) // 32 * 4
    rows = np.frombuffer(data, np.uint8, count=stride * height).reshape(height, stride)
    values = rows.view("<u2" if depth == 16 else "<u4")[:, :width]
    rgba = np.full((height, width, 4), 255, np.uint8)
    for channel, mask in enumerate(masks):
        if mask or channel < 3:
            rgba[..., channel] = _eight_bits(values, mask)
    return rgba


def _eight_bits(values: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    if mask == 0:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    largest = mask >> shift
    found = (values & values.dtype.type(mask)) >> values.dtype.type(shift)
    if largest > 255:
        more = largest.bit_length() - 8
        return np.asarray(found >> values.dtype.type(more), np.uint8)
    table = np.round(np.arange(largest + 1) * 255 / largest)
    return np.asarray(table[found], np.uint8)


def _palette(file: IO[bytes], place: int, n: int, *, most: int) -> NDArray[np.uint8]:
    """Returns opaque RGBA [256, 4]; colours that are missing are black."""
    file.seek(place)
    n = n if 0 < n <= most else most
    data = np.frombuffer(file.read(4 * n).ljust(4 * n, b"\0"), np.uint8).reshape(n, 4)
    colours = np.zeros((256, 4), np.uint8)
    colours[:n, :3] = data[:, 2::-1]
    colours[:, 3] = 255
    return colours


def _run_lengths(
    data: bytes, width: int, height: int, depth: int, colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Returns RGBA [height, width, 4], the lowest row first. Raises OSError if most is missing."""
    indexes, is_told, end = bytearray(width * height), bytearray(width * height), 0
    for start, run in _runs(data, width, height, depth):
        end = start + len(run)
        indexes[start:end] = run
        is_told[start:end] = b"\1" * len(run)
    if is_told.count(1) < _LEAST_SHARE * len(is_told):
        raise OSError("most pixels are missing")
    rgba = colours[np.frombuffer(indexes, np.uint8)]
    rgba[np.frombuffer(is_told, np.uint8) == 0] = 0, 0, 0, 255
    rgba[end:] = 0
    return rgba.reshape(height, width, 4)


def _runs(data: bytes, width: int, height: int, depth: int) -> Iterator[tuple[int, bytes]]:
    """Yields where runs begin, in pixels from the lowest row's left, and their colours.

    The last one, which may be empty, ends where the picture does.
    """
    at, x, y = 0, 0, 0
    while at + 2 <= len(data) and y < height:
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            run = _repeated(value, count, depth)
        elif value == 0:  # the end of a row
            x, y, run = 0, y + 1, b""
        elif value == 1:  # the end of the picture
            x, y, run = 0, height, b""
        elif value == 2:  # a jump
            if at + 2 > len(data):
                return
            x, y, run = x + data[at], y + data[at + 1], b""
            at += 2
        else:
            n_bytes = value if depth == 8 else (value + 1) // 2
            if at + n_bytes > len(data):
                return
            run = _unpacked(data[at : at + n_bytes], depth)[:value]
            at += n_bytes + n_bytes % 2
        run = run[: max(0, width - x)]
        yield min(y * width + x, width * height), run
        x += len(run)


def _repeated(value: int, count: int, depth: int) -> bytes:
    if depth == 8:
        return bytes([value]) * count
    return (bytes([value >> 4, value & 15]) * ((count + 1) // 2))[:count]


def _unpacked(data: bytes, depth: int) -> bytes:
    if depth == 8:
        return data
    return bytes(half for one in data for half in (one >> 4, one & 15))
