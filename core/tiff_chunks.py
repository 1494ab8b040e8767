"""Reads the samples of a TIFF, chunk by chunk: a chunk is a strip or a tile.

libtiff unpacks chunks as if they were bytes of a grey picture, so that samples of every kind stay
what they are. What comes after that (predictors, byte order, packed bits, planes) is done here.
Never is more than one batch of chunks in memory.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .tiff_layout import DIFFERENCES, FLOAT_DIFFERENCES, NONE, Layout

_Bytes = NDArray[np.uint8]
_Reader = Callable[[int, int, int], _Bytes]
"""Returns of a chunk, by its number, `n` rows of bytes from a row on, or fewer if it ends."""
_BATCH_BYTES = 8_000_000
"""So much is unpacked at once, as each start of libtiff takes time: tiles may be tiny."""
_MAX_CHUNK_BYTES = 800_000_000
"""Of one chunk: more does not fit into the memory of a decoder's process."""
_BLOCK_SAMPLES = 2_000_000
_REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1
)[:, 0]


@dataclass(frozen=True)
class Block:
    """A part of a picture."""

    left: int
    top: int
    values: NDArray[Any]
    """[height, width, samples], in the byte order of this machine."""


def blocks(layout: Layout, data: bytes, chunk_rows: Iterable[int] | None = None) -> Iterator[Block]:
    """Yields all of a picture from the top, or only some rows of chunks.

    Raises OSError where the file ends or is broken, after all that comes before.
    """
    chosen = range(layout.down) if chunk_rows is None else chunk_rows
    for batch in _batches(layout, chosen):
        for rows, read in _readers(layout, data, batch):
            for row in rows:
                for column in range(layout.across):
                    yield from _of_chunk(layout, read, row, column)


def _readers(layout: Layout, data: bytes, batch: list[int]) -> Iterator[tuple[list[int], _Reader]]:
    """Yields what reads a batch: at once, or row by row if one chunk is broken."""
    try:
        together = _reader(layout, data, batch)
    except OSError:
        if len(batch) == 1:
            raise
        for row in batch:
            yield [row], _reader(layout, data, [row])
    else:
        yield batch, together


def _batches(layout: Layout, chunk_rows: Iterable[int]) -> Iterator[list[int]]:
    """Yields rows of chunks that are unpacked together. The last may be shorter, so it is alone."""
    row_bytes = layout.row_bytes * layout.chunk_height * layout.across * layout.planes
    most = max(1, _BATCH_BYTES // row_bytes)
    batch: list[int] = []
    for row in chunk_rows:
        if batch and (len(batch) == most or row == layout.down - 1):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _of_chunk(layout: Layout, read: _Reader, row: int, column: int) -> Iterator[Block]:
    top, left = row * layout.chunk_height, column * layout.chunk_width
    width = min(layout.chunk_width, layout.width - left)
    n_rows = layout.rows_of(row)
    step = max(1, _BLOCK_SAMPLES // (layout.chunk_width * layout.samples))
    for first in range(0, n_rows, step):
        n = min(step, n_rows - first)
        numbers = [layout.chunk(row, column, plane) for plane in range(layout.planes)]
        planes = [_samples(layout, read(number, first, n)) for number in numbers]
        n_there = min(len(plane) for plane in planes)
        if n_there:
            values = np.concatenate([plane[:n_there, :width] for plane in planes], axis=2)
            yield Block(left, top + first, values)
        if n_there < n:
            raise OSError("a chunk ends early")


# --- Bytes --------------------------------------------------------------------------------


def _reader(layout: Layout, data: bytes, chunk_rows: list[int]) -> _Reader:
    """Returns what reads rows of the chunks in some rows. Raises OSError if one is broken."""
    if layout.compression == NONE:
        return _reader_of_plain(layout, data)
    numbers = [
        layout.chunk(row, column, plane)
        for row in chunk_rows
        for column in range(layout.across)
        for plane in range(layout.planes)
    ]
    height = layout.chunk_height if layout.is_tiled else layout.rows_of(chunk_rows[0])
    image = _unpacked(layout, [_packed(layout, data, number) for number in numbers], height)
    places = {number: height * at for at, number in enumerate(numbers)}

    def read(number: int, first: int, n: int) -> _Bytes:
        top = places[number] + first
        return np.asarray(image.crop((0, top, image.width, top + n)))

    return read


def _reader_of_plain(layout: Layout, data: bytes) -> _Reader:
    view, row_bytes = memoryview(data), layout.row_bytes

    def read(number: int, first: int, n: int) -> _Bytes:
        if layout.offsets[number] <= 0:
            raise OSError("a chunk is missing")
        start = layout.offsets[number] + first * row_bytes
        piece = view[start : start + n * row_bytes]
        n_there = len(piece) // row_bytes
        rows = np.frombuffer(piece, np.uint8, n_there * row_bytes).reshape(n_there, row_bytes)
        return _REVERSED[rows] if layout.is_reversed else rows

    return read


def _packed(layout: Layout, data: bytes, number: int) -> bytes:
    start = layout.offsets[number]
    n_bytes = layout.counts[number] if number < len(layout.counts) else len(data)
    packed = data[start : start + n_bytes] if start > 0 else b""
    if not packed:
        raise OSError("a chunk is missing")
    return packed


def _unpacked(layout: Layout, chunks: list[bytes], height: int) -> Image.Image:
    """Returns chunks of the same height below each other, a byte a pixel. Raises OSError."""
    if layout.row_bytes * height > _MAX_CHUNK_BYTES:
        raise MemoryError
    image = Image.new("L", (layout.row_bytes, height * len(chunks)))
    # As TiffImageFile does, without its limit of pixels: these are bytes.
    decoder = Image._getdecoder("L", "libtiff", ("L", False, 8), ())  # noqa: SLF001
    decoder.setimage(image.im, (0, 0, *image.size))
    _, error = decoder.decode(_tiff(layout, chunks, image.size, height))
    if error < 0:
        raise OSError("a chunk is broken")
    return image


def _tiff(layout: Layout, chunks: list[bytes], size: tuple[int, int], height: int) -> bytes:
    """Returns a TIFF of grey bytes with these strips."""
    tags = {
        256: [size[0]],
        257: [size[1]],
        258: [8],
        259: [layout.compression],
        262: [1],
        266: [2 if layout.is_reversed else 1],
        273: [0] * len(chunks),
        277: [1],
        278: [height],
        279: [len(chunk) for chunk in chunks],
    }
    start = 8 + 2 + 12 * len(tags) + 4
    place = start + 8 * len(chunks) if len(chunks) > 1 else start
    for at, chunk in enumerate(chunks):
        tags[273][at] = place
        place += len(chunk)
    entries, more = b"", b""
    for tag, values in tags.items():
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            packed, more = struct.pack("<I", start + len(more)), more + packed
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    return b"".join((head, entries, bytes(4), more, *chunks))


# --- Samples ------------------------------------------------------------------------------


def _samples(layout: Layout, rows: _Bytes) -> NDArray[Any]:
    """Returns the samples [n, width, samples] in rows of bytes [n, row_bytes]."""
    shape = len(rows), layout.chunk_width, layout.samples_together
    n_bytes = layout.bits // 8
    if layout.bits % 8:
        return _of_bits(layout, rows).reshape(shape)
    if layout.predictor == FLOAT_DIFFERENCES:
        return _from_float_differences(rows, shape, n_bytes)
    if layout.predictor != DIFFERENCES:
        found = np.ascontiguousarray(rows).view(f"{layout.byte_order}{layout.kind}{n_bytes}")
        return found.astype(found.dtype.newbyteorder("="), copy=False).reshape(shape)
    found = np.ascontiguousarray(rows).view(f"{layout.byte_order}u{n_bytes}").reshape(shape)
    summed = np.cumsum(found, axis=1, dtype=f"u{n_bytes}")
    return summed.view(f"{layout.kind}{n_bytes}")


def _from_float_differences(
    rows: _Bytes, shape: tuple[int, int, int], n_bytes: int
) -> NDArray[Any]:
    """Undoes predictor 3: all first bytes of a row, then all second ones, as differences."""
    n, width, samples = shape
    summed = np.cumsum(rows.reshape(n, width * n_bytes, samples), axis=1, dtype=np.uint8)
    together = np.ascontiguousarray(summed.reshape(n, n_bytes, -1).transpose(0, 2, 1))
    return together.view(f">f{n_bytes}").astype(f"f{n_bytes}").reshape(shape)


def _of_bits(layout: Layout, rows: _Bytes) -> NDArray[Any]:
    """Returns samples of 1 to 15 bits, which begin anew with each row."""
    bits, n_samples = layout.bits, layout.chunk_width * layout.samples_together
    single = np.unpackbits(rows, axis=1)[:, : n_samples * bits].reshape(-1, bits)
    wide = np.packbits(np.pad(single, ((0, 0), (0, 16 - bits))), axis=1)
    found = wide.view(f">{layout.kind}2").astype(f"{layout.kind}2")
    return found >> (16 - bits)
