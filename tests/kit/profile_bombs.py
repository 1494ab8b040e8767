"""Color profiles (ICC) and EXIF blocks that ask for far more than their bytes."""

import struct
from collections.abc import Callable

Bombs = dict[str, Callable[[], bytes]]
"""By what they are."""


# --- ICC ------------------------------------------------------------------------------------


def profile(*tags: tuple[bytes, bytes], count: int | None = None, kind: bytes = b"RGB ") -> bytes:
    """Returns an ICC profile of version 4.3. `count`: of tags, if it lies."""
    table, body = struct.pack(">I", len(tags) if count is None else count), b""
    for name, data in tags:
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x12s48x",
        128 + len(table) + len(body),
        0x04300000,
        b"mntr",
        kind,
        b"XYZ ",
        b"acsp",
        struct.pack(">3i", 63190, 65536, 54061),
    )
    return head + table + body


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * one) for one in (x, y, z)))


def display(curve: bytes, *more: tuple[bytes, bytes], count: int | None = None) -> bytes:
    """Returns the profile of a display."""
    colors = {b"rXYZ": (0.44, 0.22, 0.01), b"gXYZ": (0.39, 0.72, 0.1), b"bXYZ": (0.14, 0.06, 0.7)}
    tags = [(name, _xyz(*value)) for name, value in colors.items()]
    tags += [(b"wtpt", _xyz(0.96, 1, 0.82))]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return profile(*tags, *more, count=count)


def _curve(n: int, n_there: int = 0) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", n) + bytes(2 * n_there)


def _table(inputs: int, side: int, *, n_bytes: int, entries: int = 2) -> bytes:
    """Returns a table of type mft2 with three outputs."""
    head = b"mft2\0\0\0\0" + bytes([inputs, 3, side, 0]) + struct.pack(">9i", *[65536] * 9)
    curves = bytes(2 * entries * (inputs + 3))
    return head + struct.pack(">HH", entries, entries) + curves + bytes(n_bytes)


def _steps(n: int) -> bytes:
    """Returns a table whose steps, one beside the other, are all the same one."""
    identity = b"matf\0\0\0\0" + struct.pack(">HH12f", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    places = struct.pack(">II", 16 + 8 * n, len(identity)) * n
    return b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, n) + places + identity


_LINE = _curve(0)
PROFILES: Bombs = {
    "a curve of 2^31 entries": lambda: display(_curve(2**31)),
    "a curve of 2^32 - 1 entries": lambda: display(_curve(2**32 - 1, 1000)),
    "a curve of 1,900,000 entries": lambda: display(_curve(1_900_000, 1_900_000)),
    "65,535 tags": lambda: display(_LINE, count=65_535) + bytes(12 * 65_535),
    "2^32 - 1 tags": lambda: display(_LINE, count=2**32 - 1),
    "a table of 16 inputs": lambda: display(_LINE, (b"A2B0", _table(16, 2, n_bytes=6 * 2**16))),
    "a table of 255^15 colors": lambda: display(_LINE, (b"A2B0", _table(15, 255, n_bytes=0))),
    "a table of 255^3 colors": lambda: display(_LINE, (b"A2B0", _table(3, 255, n_bytes=1000))),
    "a table of 60,000 steps": lambda: display(_LINE, (b"D2B0", _steps(60_000))),
    "a table of 60,000 steps back": lambda: display(_LINE, (b"B2D0", _steps(60_000))),
    "tags of a name": lambda: profile(*[(b"rXYZ", _xyz(1, 1, 1))] * 90),
    "less than a header": lambda: display(_LINE)[:130],
}


# --- EXIF -----------------------------------------------------------------------------------


def piled_exif(n: int, n_bytes: int) -> bytes:
    """Returns EXIF with `n` fields that all have the same megabytes."""
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", n)
    fields = (struct.pack("<HHII", 0x8000 + one, 7, n_bytes, 0) for one in range(n))
    return head + b"".join(fields) + bytes(4) + bytes(n_bytes)


def looped_exif() -> bytes:
    """Returns EXIF whose directories, in line and below, are all the same one."""
    tags = (0x8769, 0x8825, 0xA005, 0x014A, 0x927C)
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + fields + struct.pack("<I", 8)


def chained_exif(n: int) -> bytes:
    """Returns EXIF whose directories are below each other, `n` deep."""
    links = (
        struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8 + 18 * (one + 1), 8 + 18 * (one + 1))
        for one in range(n)
    )
    return b"II*\0\x08\0\0\0" + b"".join(links)


EXIF: Bombs = {
    "5,000 fields of the same megabyte": lambda: piled_exif(5_000, 1_000_000),
    "65,535 fields": lambda: piled_exif(32_000, 300_000),
    "in itself": looped_exif,
    "3,000 deep": lambda: chained_exif(3_000),
}
