"""Writes AVIF and HEIC files of any structure, also of such as no encoder would write.

Layout: ISO/IEC 14496-12 (boxes, iloc, iref) and 23008-12 (items, properties, grid, iovl).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Literal

import pillow_heif
from kit.pictures import picture

from antifake.core.isobmff import box_ranges, properties

Kind = Literal["AVIF", "HEIF"]
SIDE = 64
_CODED = {"AVIF": b"av01", "HEIF": b"hvc1"}
_CONFIG = {"AVIF": b"av1C", "HEIF": b"hvcC"}
_BRAND = {"AVIF": b"avif", "HEIF": b"heic"}


def box(kind: bytes, *body: bytes | bytearray) -> bytes:
    content = b"".join(body)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full_box(kind: bytes, *body: bytes | bytearray, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *body)


def ispe(width: int, height: int) -> bytes:
    return full_box(b"ispe", struct.pack(">II", width, height))


@dataclass(frozen=True)
class Item:
    """One item of a file. Its number is its place in the list, from 1."""

    kind: bytes
    data: bytes = b""
    properties: tuple[bytes, ...] = ()
    """Whole boxes."""
    refs: Mapping[bytes, Sequence[int]] = field(default_factory=dict)
    extents: tuple[tuple[int, int], ...] | None = None
    """Offset and length within `idat`; None: its own data."""


@cache
def coded(kind: Kind) -> Item:
    """Returns an item with a coded picture of SIDE x SIDE pixels."""
    file = BytesIO()
    image = picture(7, SIDE)
    if kind == "AVIF":
        image.save(file, "AVIF")
    else:
        pillow_heif.from_pillow(image).save(file, quality=50)
    data = file.getvalue()
    config = next(body for name, body in properties(data) if name == _CONFIG[kind])
    start, stop = next(
        (start, stop) for name, start, stop in box_ranges(data, 0, len(data)) if name == b"mdat"
    )
    pixels = data[start:stop]
    return Item(_CODED[kind], pixels, (box(_CONFIG[kind], config), ispe(SIDE, SIDE)))


def iso_file(kind: Kind, items: Sequence[Item], primary: int = 1) -> bytes:
    """Returns a file of these items. `primary`: the number of the one that is shown."""
    kept: dict[bytes, int] = {}
    idat, locations, entries, references, uses = (bytearray() for _ in range(5))
    for number, item in enumerate(items, 1):
        extents = ((len(idat), len(item.data)),) if item.extents is None else item.extents
        idat += item.data
        locations += struct.pack(">IHHH", number, 1, 0, len(extents))
        locations += b"".join(struct.pack(">II", *one) for one in extents)
        entries += full_box(b"infe", struct.pack(">IH4s", number, 0, item.kind), b"\0", version=3)
        for name, targets in item.refs.items():
            body = struct.pack(f">IH{len(targets)}I", number, len(targets), *targets)
            references += box(name, body)
        indexes = [kept.setdefault(one, len(kept) + 1) for one in item.properties]
        uses += struct.pack(">IB", number, len(indexes))
        uses += b"".join(struct.pack(">H", 0x8000 | one) for one in indexes)
    meta = [
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">I", primary), version=1),
        full_box(b"iinf", struct.pack(">I", len(items)), entries, version=1),
        full_box(b"iref", references, version=1) if references else b"",
        box(
            b"iprp",
            box(b"ipco", *kept),
            full_box(b"ipma", struct.pack(">I", len(items)), uses, version=1, flags=1),
        ),
        full_box(b"iloc", b"\x44\x00", struct.pack(">I", len(items)), locations, version=2),
        box(b"idat", idat),
    ]
    brands = _BRAND[kind] + b"mif1miaf"
    return box(b"ftyp", _BRAND[kind], bytes(4), brands) + full_box(b"meta", *meta)


def grid(rows: int, columns: int, width: int, height: int, tile: Sequence[int]) -> Item:
    """Returns an item made of tiles. One tile stands for all."""
    data = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    tiles = list(tile) * (rows * columns) if len(tile) == 1 else list(tile)
    return Item(b"grid", data, (ispe(width, height),), {b"dimg": tiles})


def overlay(width: int, height: int, layers: Sequence[int]) -> Item:
    data = struct.pack(">BB4HII", 0, 1, 0, 0, 0, 65_535, width, height) + bytes(8 * len(layers))
    return Item(b"iovl", data, (ispe(width, height),), {b"dimg": layers})
