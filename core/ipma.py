"""Mends AVIF files whose item properties are in two `ipma` boxes of one kind.

Older encoders wrote them so. Browsers show such a file; libavif refuses it, as the standard wants
one box (ISO 23008-12, 9.3.1). The boxes become one, and a `free` box fills the gap, so that every
other byte stays where the file says that it is.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_BOXES = 100
_MAX_ITEMS = 10_000
_HEAD = 8


@dataclass(frozen=True)
class _Box:
    name: bytes
    start: int
    end: int


def with_one_ipma(data: bytes) -> bytes:
    """Returns an AVIF file without doubled `ipma` boxes; as it is if it has none, or is broken."""
    try:
        meta = _only(data, 0, len(data), b"meta")
        iprp = _only(data, meta.start + _HEAD + 4, meta.end, b"iprp")
        return _mended(data, iprp)
    except (struct.error, LookupError, ValueError, StopIteration):
        return data


def _mended(data: bytes, iprp: _Box) -> bytes:
    """Returns the file with merged boxes. Raises ValueError if there is nothing to merge."""
    boxes = list(_boxes(data, iprp.start + _HEAD, iprp.end))
    kinds: dict[bytes, list[_Box]] = defaultdict(list)
    for box in boxes:
        if box.name == b"ipma":
            kinds[data[box.start + _HEAD : box.start + _HEAD + 4]].append(box)
    if all(len(same) == 1 for same in kinds.values()):
        raise ValueError("no two boxes of one kind")
    kept = b"".join(data[box.start : box.end] for box in boxes if box.name != b"ipma")
    body = kept + b"".join(_merged(data, kind, same) for kind, same in kinds.items())
    # Two boxes in one save at least 16 bytes, twice what an empty box takes.
    gap = iprp.end - iprp.start - _HEAD - len(body)
    mended = _box(b"iprp", body) + _box(b"free", bytes(gap - _HEAD))
    return data[: iprp.start] + mended + data[iprp.end :]


def _merged(data: bytes, kind: bytes, boxes: list[_Box]) -> bytes:
    """Returns one `ipma` box for several of one version and flags."""
    of_items: dict[int, list[int]] = defaultdict(list)
    for box in boxes:
        for item, properties in _associations(data[box.start + _HEAD : box.end]):
            of_items[item] += [one for one in properties if one not in of_items[item]]
    number, property_ = _forms(kind)
    body = kind + struct.pack(">I", len(of_items))
    for item, found in sorted(of_items.items()):
        body += struct.pack(f">{number}B{len(found)}{property_}", item, len(found), *found)
    return _box(b"ipma", body)


def _associations(body: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yields items and their properties, as they are written."""
    number, property_ = _forms(body[:4])
    (count,) = struct.unpack_from(">I", body, 4)
    if count > _MAX_ITEMS:
        raise ValueError("too many items")
    at = 8
    for _ in range(count):
        item, n = struct.unpack_from(f">{number}B", body, at)
        at += struct.calcsize(f">{number}B")
        yield item, struct.unpack_from(f">{n}{property_}", body, at)
        at += struct.calcsize(f">{n}{property_}")


def _forms(kind: bytes) -> tuple[str, str]:
    """Returns how items and properties are written, by version and flags."""
    return ("I" if kind[0] else "H"), ("H" if kind[3] & 1 else "B")


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", _HEAD + len(body), name) + body


def _only(data: bytes, start: int, end: int, name: bytes) -> _Box:
    return next(box for box in _boxes(data, start, end) if box.name == name)


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    """Yields boxes that have their size in 32 bits. Raises ValueError at any other."""
    for _ in range(_MAX_BOXES):
        if start + _HEAD > end:
            return
        size, name = struct.unpack_from(">I4s", data, start)
        if size < _HEAD or start + size > end:
            raise ValueError("a box without an end")
        yield _Box(name, start, start + size)
        start += size
