"""The scans of a JPEG: what work they are, and what they hold of the picture if its file is cut."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

END = b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Within the data of a scan. A zero is stuffing, D0 to D7 are restarts."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_NEXT_MARKER = re.compile(rb"\xff+([\x01-\xfe])")
"""Decoders pass over anything before it."""
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})
"""Frames whose decoder can wait for more data, unlike that of arithmetic codes."""
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN, _END, _COEFFICIENTS = 0xDA, 0xD9, range(64)
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_MOST_IN_SCAN = 4


@dataclass(frozen=True)
class Scan:
    components: tuple[int, ...]
    coefficients: range
    is_refinement: bool
    """Of coefficients that earlier scans have in less precision."""
    is_exact: bool
    """Whether no later scan refines them."""

    def covered(self) -> set[tuple[int, int]]:
        """Returns the coefficients, with their component."""
        return {(one, place) for one in self.components for place in self.coefficients}


@dataclass(frozen=True)
class Scans:
    """The scans of a JPEG. All of them but the last are whole."""

    frame: int
    """The marker of the frame."""
    components: tuple[int, ...]
    scans: tuple[Scan, ...]
    begin: int
    """Where the data of the last scan begins."""
    end: int
    """Where it ends."""
    has_end: bool
    """Whether an end marker is there."""

    @property
    def can_wait(self) -> bool:
        """Whether a decoder can be given the file piece by piece."""
        return self.frame in _HUFFMAN

    def lacks_end(self, data: bytes) -> bool:
        """Whether a decoder waits for an end marker that is nowhere before it shows anything."""
        return self.frame in _PROGRESSIVE and END not in data[self.end :]

    @property
    def are_all(self) -> bool:
        """Whether they hold every coefficient in full precision, if the last one is whole."""
        return self._covers(one for one in self.scans if one.is_exact)

    @property
    def is_all_outlined(self) -> bool:
        """Whether every row is there, if only in less precision, without the last scan."""
        return self._covers(one for one in self.scans[:-1] if not one.is_refinement)

    @property
    def may_have_whole_rows(self) -> bool:
        """Whether those rows are there that the last scan has reached."""
        return self._covers(one for one in self.scans if not one.is_refinement)

    def next_restart(self, data: bytes) -> bytes:
        """Returns the restart marker that would come next."""
        before = len(_RESTART.findall(data, self.begin, self.end))
        return bytes((0xFF, 0xD0 + before % 8))

    def cut(self, data: bytes) -> bytes:
        """Returns the file up to where it can be decoded, without an end marker."""
        # Zeros are room that was made for a download.
        return data[: self.end].rstrip(b"\xff\0")

    def _covers(self, scans: Iterable[Scan]) -> bool:
        seen = set().union(*(one.covered() for one in scans))
        return all((one, place) in seen for one in self.components for place in _COEFFICIENTS)


def scans_of(data: bytes) -> Scans | None:
    """Returns what the segments of a JPEG say; None if there is no scan, or no frame before it."""
    frame = 0
    components: tuple[int, ...] = ()
    scans: list[Scan] = []
    at, last, end, has_end = 2, 0, 0, False
    while (begin := _segment(data, at)) is not None:
        marker = data[begin + 1]
        if marker == _END:
            has_end = True
            break
        body = data[begin + 4 : begin + 2 + int.from_bytes(data[begin + 2 : begin + 4], "big")]
        at = begin + 4 + len(body)
        if marker in _FRAMES:
            frame, components = marker, tuple(body[6::3])
        elif marker == _SCAN:
            scans.append(_scan(body, frame))
            last, found = at, _MARKER.search(data, at)
            at = end = found.start() if found else len(data)
    if not scans or not components:
        return None
    return Scans(frame, components, tuple(scans), last, end, has_end)


def passes_of(data: bytes, most: int) -> int:
    """Returns how often a decoder goes over a component of a JPEG; its scans may be next to empty.

    Counts no further than beyond `most`. A damaged file is read as patiently as decoders do.
    """
    found, at = 0, 2
    while found <= most and (marker := _NEXT_MARKER.search(data, at)) is not None:
        code, at = marker[1][0], marker.end()
        if code == _END:
            break
        if code == _SCAN:
            found += min(_MOST_IN_SCAN, int.from_bytes(data[at + 2 : at + 3], "big"))
        if code not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
    return found


def _segment(data: bytes, at: int) -> int | None:
    """Returns where the next marker begins, or None if its segment is not whole."""
    while data[at : at + 2] == b"\xff\xff":
        at += 1
    if data[at : at + 2] == END:
        return at
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    is_whole = at + 4 <= len(data) and at + 2 + length <= len(data)
    return at if is_whole and data[at] == 0xFF and length >= 2 else None


def _scan(body: bytes, frame: int) -> Scan:
    n = body[0]
    components = tuple(body[1 : 1 + 2 * n : 2])
    if frame not in _PROGRESSIVE:  # what such a scan says besides is not looked at
        return Scan(components, _COEFFICIENTS, is_refinement=False, is_exact=True)
    first, last, precision = body[1 + 2 * n : 4 + 2 * n]
    return Scan(components, range(first, last + 1), precision >> 4 > 0, precision & 15 == 0)
