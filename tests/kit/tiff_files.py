"""Writes TIFFs with samples of every kind, byte by byte, as encoders of pictures write few."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[Any]
"""[height, width] or [height, width, samples]."""
Tags = dict[int, tuple[int, list[Any]]]
"""Types and values by number."""

SHORT, LONG, FLOAT, DOUBLE, LONG8 = 3, 4, 11, 12, 16
BYTE, UNDEFINED = 1, 7
_FORMS = {BYTE: "B", SHORT: "H", LONG: "I", UNDEFINED: "B", FLOAT: "f", DOUBLE: "d", LONG8: "Q"}
PLAIN, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
_FORMATS = {"u": 1, "i": 2, "f": 3, "c": 6}
_BACKWARDS = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))
_LITERALS = 250
"""Codes of LZW between two resets, so that all have nine bits."""


def as_samples(pixels: NDArray[np.uint8], kind: str) -> Samples:
    """Returns 8-bit pixels as samples that fill the range of a type, such as "i2" or "f4"."""
    if kind[0] == "f":
        return (pixels / 255).astype(kind)
    bits = 8 * int(kind[1:])
    spread = pixels.astype(np.uint64) * np.uint64((2**bits - 1) // 255)
    if kind[0] == "i":
        spread = spread + np.uint64(2 ** (bits - 1))
    return spread.astype(f"u{kind[1:]}").view(kind)


def tiff(
    samples: Samples,
    *,
    order: str = "<",
    is_big: bool = False,
    compression: int = PLAIN,
    predictor: int = 1,
    rows: int = 2**16,
    tile: tuple[int, int] | None = None,
    is_planar: bool = False,
    bits: int | None = None,
    is_backwards: bool = False,
    tags: Tags | None = None,
) -> bytes:
    """Encodes samples in strips of some rows, or in tiles of (width, height).

    `bits` packs integers into fewer bits; backwards, the lowest bit of a byte is the first.
    `tags` replace those that are written.
    """
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, n = samples.shape
    size = tile or (width, min(rows, height))
    planes = np.split(samples, n, axis=2) if is_planar else [samples]
    chunks = [
        _packed(_encoded(chunk, order, predictor, bits), compression)
        for plane in planes
        for chunk in _chunks(plane, size, is_tiled=tile is not None)
    ]
    if is_backwards:
        chunks = [chunk.translate(_BACKWARDS) for chunk in chunks]
    depth = bits or 8 * samples.dtype.itemsize
    entries: Tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [depth] * n),
        259: (SHORT, [compression]),
        266: (SHORT, [2 if is_backwards else 1]),
        262: (SHORT, [2 if n > 2 else 1]),
        277: (SHORT, [n]),
        284: (SHORT, [2 if is_planar else 1]),
        317: (SHORT, [predictor]),
        339: (SHORT, [_FORMATS[samples.dtype.kind]] * n),
    }
    if tile:
        entries |= {322: (LONG, [size[0]]), 323: (LONG, [size[1]])}
    else:
        entries |= {278: (LONG, [size[1]])}
    return _file(entries | (tags or {}), chunks, order, (324, 325) if tile else (273, 279), is_big)


def _chunks(plane: Samples, size: tuple[int, int], *, is_tiled: bool) -> Iterator[Samples]:
    width, height = size
    for top in range(0, plane.shape[0], height):
        for left in range(0, plane.shape[1], width):
            chunk = plane[top : top + height, left : left + width]
            room = ((0, height - chunk.shape[0]), (0, width - chunk.shape[1]), (0, 0))
            yield np.pad(chunk, room) if is_tiled else chunk


def _encoded(chunk: Samples, order: str, predictor: int, bits: int | None) -> bytes:
    if bits is not None:
        wide = chunk.reshape(len(chunk), -1).astype(">u2").view(np.uint8)
        single = np.unpackbits(wide, axis=1).reshape(len(chunk), -1, 16)[..., 16 - bits :]
        return np.packbits(single.reshape(len(chunk), -1), axis=1).tobytes()
    size = chunk.dtype.itemsize
    if predictor == 3:
        n, width, samples = chunk.shape
        single = np.ascontiguousarray(chunk.astype(f">f{size}")).view(np.uint8)
        apart = single.reshape(n, width * samples, size).transpose(0, 2, 1)
        return _differences(apart.reshape(n, width * size, samples)).tobytes()
    if predictor == 2:
        whole = np.ascontiguousarray(chunk).view(f"u{size}")
        return _differences(whole).astype(f"{order}u{size}").tobytes()
    return chunk.astype(f"{order}{chunk.dtype.kind}{size}").tobytes()


def _differences(values: Samples) -> Samples:
    return np.concatenate([values[:, :1], np.diff(values, axis=1)], axis=1)


def _packed(data: bytes, compression: int) -> bytes:
    if compression == DEFLATE:
        return zlib.compress(data)
    if compression == PACKBITS:
        runs = (data[at : at + 128] for at in range(0, len(data), 128))
        return b"".join(bytes([len(run) - 1]) + run for run in runs)
    return _lzw(data) if compression == LZW else data


def _lzw(data: bytes) -> bytes:
    """Returns a stream of LZW without a repetition."""
    codes: list[int] = []
    for at in range(0, len(data), _LITERALS):
        codes += [256, *data[at : at + _LITERALS]]
    wide = np.array([*codes, 257], ">u2").view(np.uint8).reshape(-1, 2)
    return np.packbits(np.unpackbits(wide, axis=1)[:, 7:].reshape(-1)).tobytes()


def _file(
    entries: Tags, chunks: list[bytes], order: str, names: tuple[int, int], is_big: bool
) -> bytes:
    place, entry, count = ("Q", 20, "Q") if is_big else ("I", 12, "H")
    kind = LONG8 if is_big else LONG
    entries = {names[0]: (kind, [0] * len(chunks)), names[1]: (kind, [*map(len, chunks)])} | entries
    room, start = struct.calcsize(place), 16 if is_big else 8
    at = start + struct.calcsize(count) + entry * len(entries) + room

    def pack(tag: int) -> bytes:
        type_, numbers = entries[tag]
        return struct.pack(f"{order}{len(numbers)}{_FORMS[type_]}", *numbers)

    first = at + sum(len(pack(tag)) for tag in entries if len(pack(tag)) > room)
    if names[0] in entries and not any(entries[names[0]][1]):
        ends = np.cumsum([0, *map(len, chunks)])[:-1] + first
        entries[names[0]] = kind, ends.tolist()
    directory, more = b"", b""
    for tag in sorted(entries):
        packed = pack(tag)
        if len(packed) > room:
            packed, more = struct.pack(f"{order}{place}", at + len(more)), more + packed
        type_, numbers = entries[tag]
        head = struct.pack(f"{order}HH{place}", tag, type_, len(numbers))
        directory += head + packed.ljust(room, b"\0")
    magic = (
        struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if is_big else struct.pack(f"{order}HI", 42, 8)
    )
    head = (b"II" if order == "<" else b"MM") + magic + struct.pack(f"{order}{count}", len(entries))
    return head + directory + bytes(room) + more + b"".join(chunks)


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns RGBA on white, as it is shown."""
    image = Image.fromarray(pixels)
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return np.asarray(white)
