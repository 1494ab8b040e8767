"""Reads the few fields of an EXIF block, or of a TIFF file, that say who made a picture.

Only the main directory and EXIF's own are looked at, and in them only what is wanted: a parser of
everything can be kept busy for minutes. Format: TIFF 6.0, section 2; CIPA DC-008 (EXIF 3.0).
"""

import struct
from collections.abc import Iterator

LONGEST = 262_144
"""Bytes of one field. Longer ones are passed over."""
MOST_FIELDS = 1_000
"""Of a directory. What follows is passed over."""
_MAIN = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x02BC: "XMLPacket",
}
_SUB = {
    0x829A: "ExposureTime",
    0x829D: "FNumber",
    0x8827: "ISOSpeedRatings",
    0x9003: "DateTimeOriginal",
    0x927C: "MakerNote",
    0x9286: "UserComment",
}
_EXIF_IFD = 0x8769
_C2PA = 0xCD41
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, by its type."""
_TEXT_TYPES = (1, 2, 7)
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


class Exif:
    """A block, of which nothing is copied that is not asked for."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._order = _ORDERS.get(block[:4], "")
        self.is_complete = bool(self._order)
        """False if something was damaged, too long or too many."""

    def texts(self) -> dict[str, str]:
        """Returns the texts by their names; of numbers and notes, that they exist, as ""."""
        main = self._directory(4)
        found = {}
        for number, name in _MAIN.items():
            if text := self._text(main.get(number)):
                found[name] = text
        sub = self._directory(main[_EXIF_IFD][2]) if _EXIF_IFD in main else {}
        for number, name in _SUB.items():
            if number in sub:
                found[name] = self._comment(sub[number]) if name == "UserComment" else ""
        return found

    def n_c2pa_bytes(self) -> int:
        """Returns how long the manifest store of a TIFF is; 0 if it has none."""
        _, n_bytes, _ = self._directory(4).get(_C2PA, (0, 0, 0))
        return n_bytes

    def _directory(self, pointer_at: int) -> dict[int, tuple[int, int, int]]:
        """Returns type, length in bytes and offset of each field of a directory, by its number.

        `pointer_at` is where the offset of the directory is.
        """
        try:
            return dict(self._fields(pointer_at))
        except struct.error:
            self.is_complete = False
            return {}

    def _fields(self, pointer_at: int) -> Iterator[tuple[int, tuple[int, int, int]]]:
        if not self._order:
            return
        (begin,) = struct.unpack_from(f"{self._order}I", self._block, pointer_at)
        (n_fields,) = struct.unpack_from(f"{self._order}H", self._block, begin)
        if n_fields > MOST_FIELDS:
            self.is_complete = False
        for at in range(begin + 2, begin + 2 + 12 * min(n_fields, MOST_FIELDS), 12):
            number, kind, count = struct.unpack_from(f"{self._order}HHI", self._block, at)
            n_bytes = _WIDTHS.get(kind, 1) * count
            is_inside = n_bytes <= 4
            (offset,) = struct.unpack_from(f"{self._order}I", self._block, at + 8)
            yield number, (kind, n_bytes, at + 8 if is_inside else offset)

    def _bytes(self, field: tuple[int, int, int] | None) -> bytes:
        kind, n_bytes, at = field or (0, 0, 0)
        if kind not in _TEXT_TYPES:
            return b""
        if n_bytes > LONGEST or at + n_bytes > len(self._block):
            self.is_complete = False
            return b""
        return self._block[at : at + n_bytes]

    def _text(self, field: tuple[int, int, int] | None) -> str:
        return self._bytes(field).decode("utf-8", "replace").rstrip("\0")

    def _comment(self, field: tuple[int, int, int]) -> str:
        """Returns a UserComment, whose first eight bytes name its encoding."""
        value = self._bytes(field)
        code, content = value[:8], value[8:]
        if code != b"UNICODE\0":
            is_named = code in (b"ASCII\0\0\0", b"\0" * 8)
            return (content if is_named else value).decode("utf-8", "replace").rstrip("\0")
        # Writers differ in the order of bytes; English text has its zeros on one side.
        order = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return content.decode(order, "replace").rstrip("\0")
