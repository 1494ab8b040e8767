"""AVIF and HEIC files whose items are too many, too large, or made of themselves."""

import struct
from collections.abc import Iterable
from dataclasses import replace

from kit.iso_files import Item, Kind, box, coded, full_box, grid, iso_file, ispe, overlay
from kit.profile_bombs import Bombs, piled_exif

LARGE = 8000
"""Its square has as many pixels as a picture may have."""


def copies(kind: Kind, n: int) -> list[Item]:
    """Returns `n` items that all have the same bytes."""
    first = coded(kind)
    other = replace(first, data=b"", extents=((0, len(first.data)),))
    return [first, *[other] * (n - 1)]


def _sized(kind: Kind, side: int) -> Item:
    item = coded(kind)
    return replace(item, properties=(item.properties[0], ispe(side, side)))


def _identity(of: int) -> Item:
    return Item(b"iden", b"", (ispe(64, 64),), {b"dimg": [of]})


def _thumbnails(kind: Kind, n: int) -> list[Item]:
    first, *others = copies(kind, n)
    return [first, *(replace(one, refs={b"thmb": [1]}) for one in others)]


def _tracks(kind: Kind) -> bytes:
    """Returns a file whose many items are in a track."""
    lists = full_box(b"iloc", b"\x44\0", struct.pack(">I", 60_000), bytes(8 * 60_000), version=2)
    track = box(b"moov", box(b"trak", full_box(b"meta", lists)))
    return iso_file(kind, [coded(kind)]) + track


def iso_bombs(kind: Kind) -> Bombs:
    one = coded(kind)
    hidden = full_box(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    all_same = ((0, 10**6),) * 65_535
    return {
        "a size of 2^31": lambda: iso_file(kind, [_sized(kind, 2**31 - 1)]),
        "a size that is not so": lambda: iso_file(kind, [_sized(kind, LARGE)]),
        "a grid of 65,280 tiles, all the same": lambda: iso_file(
            kind, [one, grid(255, 256, 16_384, 16_320, [1])], 2
        ),
        "a grid of 65,280 copies": lambda: iso_file(
            kind, [*copies(kind, 65_280), grid(255, 256, 16_384, 16_320, range(1, 65_281))], 65_281
        ),
        "a grid of 900 tiles": lambda: iso_file(kind, [one, grid(30, 30, 1920, 1920, [1])], 2),
        "a grid of itself": lambda: iso_file(kind, [grid(2, 2, 128, 128, [1])]),
        "grids of grids": lambda: iso_file(
            kind, [one, *(grid(2, 2, 64, 64, [n]) for n in range(1, 14))], 14
        ),
        "a copy of itself": lambda: iso_file(kind, [_identity(1)]),
        "copies of each other": lambda: iso_file(kind, [_identity(2), _identity(1)]),
        "copies, 900 deep": lambda: iso_file(kind, [one, *map(_identity, range(1, 900))], 900),
        "copies, 60,000 deep": lambda: iso_file(
            kind, [one, *map(_identity, range(1, 60_000))], 60_000
        ),
        "layers of itself": lambda: iso_file(kind, [overlay(128, 128, [1, 1])]),
        "layers of layers": lambda: iso_file(
            kind, [one, *(overlay(64, 64, [n] * 10) for n in range(1, 12))], 12
        ),
        "60,000 layers": lambda: iso_file(kind, [one, overlay(64, 64, [1] * 60_000)], 2),
        "layers on 2^62 pixels": lambda: iso_file(
            kind, [one, overlay(2**31 - 1, 2**31 - 1, [1])], 2
        ),
        "its own thumbnail": lambda: iso_file(kind, [replace(one, refs={b"thmb": [1]})]),
        "its own transparency": lambda: iso_file(
            kind, [replace(one, refs={b"auxl": [1]}, properties=(*one.properties, hidden))]
        ),
        "900 thumbnails": lambda: iso_file(kind, _thumbnails(kind, 900)),
        "60,000 thumbnails": lambda: iso_file(kind, _thumbnails(kind, 60_000)),
        "60,000 items in a track": lambda: _tracks(kind),
        "65,535 extents of the same megabyte": lambda: iso_file(
            kind, [replace(one, data=one.data.ljust(10**6, b"\0"), extents=all_same)]
        ),
        "a clean aperture of 2^31": lambda: iso_file(
            kind,
            [
                replace(
                    one,
                    properties=(*one.properties, box(b"clap", struct.pack(">8I", *[2**31, 1] * 4))),
                )
            ],
        ),
        "300 EXIF blocks of the same megabyte": lambda: iso_file(
            kind, [one, *_metadata(len(one.data), 300)]
        ),
    }


def _metadata(begin: int, n: int) -> Iterable[Item]:
    block = bytes(4) + piled_exif(1, 10**6)
    first = Item(b"Exif", block, refs={b"cdsc": [1]})
    yield first
    for _ in range(n - 1):
        yield replace(first, data=b"", extents=((begin, len(block)),))
