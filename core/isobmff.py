"""Reads the properties of the main picture of AVIF and HEIC files (ISO 14496-12, 23008-12)."""

import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice

_MAX_BOXES = 10_000
MAX_ITEMS = 10_000
"""Of which a picture is made. A decoder looks for each of them among all."""
_CONTAINERS = {b"meta": 4, b"moov": 0, b"trak": 0, b"iprp": 0}
"""Boxes with other boxes in them, and how many bytes come before those."""
_LISTS = (b"iinf", b"iloc", b"ipma", b"iref")
_MAX_DEPTH = 4


def properties(data: bytes) -> list[tuple[bytes, bytes]]:
    """Returns type and content of the properties of the primary item; empty if there are none."""
    try:
        return _properties(memoryview(data))  # slices of a view are no copies
    except (struct.error, LookupError):
        return []


def has_too_many_items(data: bytes) -> bool:
    """Returns whether the lists of items, in pictures and sequences together, exceed MAX_ITEMS."""
    n_boxes, counts = 0, Counter[bytes]()
    try:
        for name, start, stop in islice(_inside(data, 0, len(data), 0), _MAX_BOXES):
            n_boxes += 1
            counts[name] += _n_items(data, name, start, stop)
    except struct.error:  # it ends early, and so it does for a decoder
        return False
    return n_boxes == _MAX_BOXES or max(counts.values(), default=0) > MAX_ITEMS


def _n_items(data: bytes, name: bytes, start: int, stop: int) -> int:
    """Returns how many items a box lists; of `iref`, how many it may refer to at most."""
    version = data[start] if name in _LISTS and start < stop else 0
    if name == b"iref":
        return (stop - start) // (4 if version else 2) // 2
    form = {b"iinf": ">I" if version else ">H", b"iloc": ">I" if version == 2 else ">H"}
    at = start + (6 if name == b"iloc" else 4)
    return int(struct.unpack_from(form.get(name, ">I"), data, at)[0]) if name in _LISTS else 0


def _inside(data: bytes, at: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the boxes of a file and of its containers, up to what is broken."""
    for name, start, stop in box_ranges(data, at, end):
        if not start <= stop <= end:
            return
        yield name, start, stop
        if name in _CONTAINERS and depth < _MAX_DEPTH:
            yield from _inside(data, start + _CONTAINERS[name], stop, depth + 1)


def _properties(data: memoryview) -> list[tuple[bytes, bytes]]:
    meta = dict(_boxes(data))[b"meta"][4:]
    inside = dict(_boxes(meta))
    pitm = inside[b"pitm"]
    primary = int.from_bytes(pitm[4 : 6 if pitm[0] == 0 else 8], "big")
    of_items = list(_boxes(inside[b"iprp"]))
    known = list(_boxes(dict(of_items)[b"ipco"]))
    numbers = [
        number
        for name, body in of_items
        if name == b"ipma"
        for item, number in _associations(body)
        if item == primary
    ]
    found = [known[number - 1] for number in numbers if 0 < number <= len(known)]
    return [(name, bytes(body)) for name, body in found]


def box_ranges(data: bytes | memoryview, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields type, start and stop of the content of the boxes within [at, end).

    A last one that is broken stops before its start or beyond `end`.
    """
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = at + size if size else end
        yield name, start, stop
        if stop < start:
            return
        at = stop


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    for name, start, stop in islice(box_ranges(data, 0, len(data)), _MAX_BOXES):
        if stop < start:
            return
        yield name, data[start:stop]


def _associations(ipma: memoryview) -> Iterator[tuple[int, int]]:
    """Yields items with the numbers, from 1, of their properties."""
    version, flags, count = struct.unpack_from(">B3sI", ipma)
    item, property_ = ("I" if version else "H"), ("H" if flags[2] & 1 else "B")
    at = 8
    for _ in range(min(count, _MAX_BOXES)):
        number, n = struct.unpack_from(f">{item}B", ipma, at)
        at += struct.calcsize(f">{item}B")
        for index in struct.unpack_from(f">{n}{property_}", ipma, at):
            yield number, index & (0x7FFF if property_ == "H" else 0x7F)
        at += n * struct.calcsize(property_)
