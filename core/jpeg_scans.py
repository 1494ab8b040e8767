"""The scans of a JPEG that ends before its end marker: how much of the picture they hold."""

import re
from dataclasses import dataclass

END = b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Within the data of a scan. A zero is stuffing, D0 to D7 are restarts."""
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SCAN, _END, _COEFFICIENTS = 0xDA, 0xD9, range(64)


@dataclass(frozen=True)
class Scan:
    components: tuple[int, ...]
    coefficients: range
    is_refinement: bool
    """Of coefficients that earlier scans have in less precision."""

    def first_seen(self) -> set[tuple[int, int]]:
        """Returns the coefficients, with their component, that no scan had before."""
        if self.is_refinement:
            return set()
        return {(one, place) for one in self.components for place in self.coefficients}


@dataclass(frozen=True)
class CutJpeg:
    """What is there of a JPEG: all of its scans but the last are whole."""

    data: bytes
    """Up to where it can be decoded, without an end marker."""
    components: tuple[int, ...]
    scans: tuple[Scan, ...]

    @property
    def is_all_outlined(self) -> bool:
        """Whether every row is there, if only in less precision, without the last scan."""
        return self._covers(self.scans[:-1])

    @property
    def may_have_whole_rows(self) -> bool:
        """Whether those rows are there that the last scan has reached."""
        return self._covers(self.scans)

    def _covers(self, scans: tuple[Scan, ...]) -> bool:
        seen = set().union(*(one.first_seen() for one in scans))
        return all((one, place) in seen for one in self.components for place in _COEFFICIENTS)


def cut_jpeg(data: bytes) -> CutJpeg | None:
    """Returns what is there of a JPEG without its end; None if it has an end, or no scan."""
    components: tuple[int, ...] = ()
    scans: list[Scan] = []
    at = 2
    while (begin := _segment(data, at)) is not None:
        marker = data[begin + 1]
        if marker == _END:
            return None
        body = data[begin + 4 : begin + 2 + int.from_bytes(data[begin + 2 : begin + 4], "big")]
        at = begin + 4 + len(body)
        if marker in _FRAMES:
            components = tuple(body[6::3])
        elif marker == _SCAN:
            scans.append(_scan(body))
            found = _MARKER.search(data, at)
            at = found.start() if found else len(data)
    if not scans or not components:
        return None
    # Zeros are room that was made for a download.
    return CutJpeg(data[:at].rstrip(b"\xff\0"), components, tuple(scans))


def _segment(data: bytes, at: int) -> int | None:
    """Returns where the next marker begins, or None if its segment is not whole."""
    while data[at : at + 2] == b"\xff\xff":
        at += 1
    if data[at : at + 2] == END:
        return at
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    is_whole = at + 4 <= len(data) and at + 2 + length <= len(data)
    return at if is_whole and data[at] == 0xFF and length >= 2 else None


def _scan(body: bytes) -> Scan:
    n = body[0]
    first, last, precision = body[1 + 2 * n : 4 + 2 * n]
    return Scan(tuple(body[1 : 1 + 2 * n : 2]), range(first, last + 1), precision >> 4 > 0)
