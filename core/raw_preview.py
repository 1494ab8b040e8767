"""Recognises camera RAW files by their bytes, and finds the largest JPEG preview in them.

Most are TIFF structures, some have their own head. The files are not trusted: what is followed
is counted, and offsets may lead anywhere.
"""

import re
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from .orientation import TAG as ORIENTATION

ENOUGH = 1000
"""The longer side, in pixels, of a preview that is judged in place of the picture."""
_HEADS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_TIFF = (b"II*\0", b"MM\0*")
_MAX_DIRECTORIES = 64
_MAX_ENTRIES = 1000
_MAX_VALUES = 16
_MAX_JPEGS = 1000
_MAX_SEGMENTS = 1000

_FORMS = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I"}
_SUBFILE, _COMPRESSION, _PHOTOMETRIC = 0xFE, 0x103, 0x106
_STRIPS, _SUB_IFDS, _TILES = 0x111, 0x14A, 0x144
_JPEG, _DNG_VERSION, _PANASONIC_JPEG = 0x201, 0xC612, 0x2E
_OF_SENSORS = {32803, 34892}
"""Photometric interpretations: colour filter array, linear RAW."""
_OF_CAMERAS = {32767, 34713, 65535}
"""Compressions of Sony, Nikon and Pentax."""
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_FRAMES = (b"\xc0", b"\xc1", b"\xc2")
"""Markers of JPEGs that are pictures; C3 is how cameras pack what the sensor saw."""
_NO_SEGMENTS = tuple(bytes([n]) for n in (0xC3, 0xC5, 0xC6, 0xC7, *range(0xC9, 0xCC), 0xD8))
"""Markers of other JPEGs, and that of another beginning."""


@dataclass(frozen=True)
class Preview:
    """A JPEG in a RAW file, complete, with the RAW file's orientation."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class _Jpeg:
    start: int
    end: int
    width: int
    height: int

    @property
    def is_enough(self) -> bool:
        return max(self.width, self.height) >= ENOUGH


@dataclass(frozen=True)
class _Directory:
    """One directory of a TIFF structure: the first few numbers of each tag."""

    tags: dict[int, list[int]] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)
    """Where the values of a tag are."""

    def first(self, tag: int) -> int | None:
        return next(iter(self.tags.get(tag, ())), None)


def is_raw(data: bytes) -> bool:
    """Returns whether these are the bytes of a camera RAW file, and no ordinary TIFF."""
    if data.startswith(_HEADS) or _is_cr3(data) or data[6:14] == b"HEAPCCDR":
        return True
    if not data.startswith(_TIFF):
        return False
    if data[8:10] == b"CR":
        return True
    directories = list(_directories(data))
    return any(map(_is_of_camera, directories)) or _begins_with_preview(directories)


def preview_in(data: bytes) -> Preview | None:
    """Returns the largest JPEG preview of a RAW file. None if there is none of ENOUGH pixels."""
    directories = list(_directories(data))
    found = [_jpeg(data, at) for one in directories for at in _previews(one)]
    if not any(one and one.is_enough for one in found) and not _is_dng(directories):
        # In a camera's own part of the file. A DNG has all in directories, and its tiles are JPEGs.
        found += [_jpeg(data, at) for at in _places(data)]
    large = [one for one in found if one and one.is_enough]
    if not large:
        return None
    largest = max(large, key=lambda one: one.width * one.height)
    turn = next(filter(None, (one.first(ORIENTATION) for one in directories)), 1)
    jpeg = _turned(data[largest.start : largest.end], turn)
    return Preview(jpeg, largest.width, largest.height)


def _is_cr3(data: bytes) -> bool:
    return data[4:12] == b"ftypcrx "


def _is_of_camera(one: _Directory) -> bool:
    return (
        _DNG_VERSION in one.tags
        or one.first(_PHOTOMETRIC) in _OF_SENSORS
        or one.first(_COMPRESSION) in _OF_CAMERAS
    )


def _begins_with_preview(directories: list[_Directory]) -> bool:
    return bool(directories) and (directories[0].first(_SUBFILE) or 0) & 1 == 1


def _is_dng(directories: list[_Directory]) -> bool:
    return any(_DNG_VERSION in one.tags for one in directories)


# --- TIFF structures ----------------------------------------------------------------------


def _directories(data: bytes) -> Iterator[_Directory]:
    """Yields the directories of a TIFF structure, each once: those in line, and those below."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return
    waiting = deque(struct.unpack_from(f"{order}I", data, 4))
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        at = waiting.popleft()
        if at in seen or not 8 <= at < len(data) - 2:
            continue
        seen.add(at)
        directory, following = _directory(data, order, at)
        yield directory
        waiting += [*directory.tags.get(_SUB_IFDS, []), following]


def _directory(data: bytes, order: str, at: int) -> tuple[_Directory, int]:
    """Returns the directory at a place, and the place of the next one."""
    found = _Directory()
    (count,) = struct.unpack_from(f"{order}H", data, at)
    end = at + 2 + 12 * count
    for place in range(at + 2, min(end, len(data) - 12), 12)[:_MAX_ENTRIES]:
        tag, kind, n = struct.unpack_from(f"{order}HHI", data, place)
        form = _FORMS.get(kind)
        if form is None:
            continue
        n_bytes = n * struct.calcsize(form)
        start = place + 8 if n_bytes <= 4 else struct.unpack_from(f"{order}I", data, place + 8)[0]
        few = min(n, _MAX_VALUES)
        if start + few * struct.calcsize(form) <= len(data):
            found.tags.setdefault(tag, list(struct.unpack_from(f"{order}{few}{form}", data, start)))
            found.offsets.setdefault(tag, start)
    following = struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0
    return found, following


def _previews(one: _Directory) -> Iterator[int]:
    """Yields where JPEGs begin that a directory names as pictures to show."""
    if _JPEG in one.tags:
        yield from one.tags[_JPEG][:1]
    if _PANASONIC_JPEG in one.offsets:
        yield one.offsets[_PANASONIC_JPEG]
    if one.first(_COMPRESSION) in (6, 7) and one.first(_PHOTOMETRIC) not in _OF_SENSORS:
        parts = one.tags.get(_STRIPS, one.tags.get(_TILES, []))
        if len(parts) == 1:
            yield parts[0]


# --- JPEGs --------------------------------------------------------------------------------


def _places(data: bytes) -> Iterator[int]:
    at = -1
    for _ in range(_MAX_JPEGS):
        at = data.find(b"\xff\xd8\xff", at + 1)
        if at < 0:
            return
        yield at


def _jpeg(data: bytes, start: int) -> _Jpeg | None:
    """Returns the JPEG at a place if it is a picture and complete."""
    if data[start : start + 2] != b"\xff\xd8":
        return None
    at, width, height = start + 2, 0, 0
    for _ in range(_MAX_SEGMENTS):
        marker, length = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xd9":
            return _Jpeg(start, at + 2, width, height) if width and height else None
        if data[at : at + 1] != b"\xff" or marker in _NO_SEGMENTS or at + 4 > len(data):
            return None
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9].ljust(4, b"\0"))
        at += 2 + length
        if marker == b"\xda":
            end = _SCAN_END.search(data, at)
            if end is None:
                return None
            at = end.start()
    return None


def _turned(jpeg: bytes, turn: int) -> bytes:
    """Returns a JPEG that says how it is to be turned; its own EXIF says it, too, if it has any."""
    if b"Exif\0" in jpeg[:4096] or not 1 < turn <= 8:
        return jpeg
    tags = struct.pack("<HHHIHHI", 1, ORIENTATION, 3, 1, turn, 0, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + tags
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
