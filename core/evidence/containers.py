"""Walks a picture's container for the texts that programs write into it. Nothing is decoded.

Only what lies inside the container counts: what follows its end was appended by anybody. Chunks
of JPEG, PNG, WebP, AVIF, HEIC and TIFF are looked at, within bounds that hostile files meet.
Formats: PNG specification 3rd edition; ITU-T T.81; RFC 9649; ISO/IEC 14496-12 and 23008-12;
C2PA technical specification 2.2, appendix A.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from antifake.core.isobmff import box_ranges
from antifake.core.png_chunks import chunks, is_sound

from .exif import Exif

MAX_CHUNKS = 5_000
MAX_FIELDS = 200
"""Of IPTC's in one segment. Newsrooms write a few dozens."""
MAX_TEXT = 262_144
"""Bytes of one text, also after inflating. Longer ones are passed over."""
MAX_TEXTS = 2_000_000
"""Bytes that all texts of a file together may have, also after inflating."""
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_CREDIT = 110
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_START_OF_SCAN, _END_OF_IMAGE, _FILL = 0xDA, 0xD9, 0xFF


@dataclass(frozen=True)
class Field:
    """One text of a container."""

    place: str
    """The family and the name, such as "PNG parameters" or "EXIF Make"."""
    text: str


@dataclass
class Container:
    """What the walk found."""

    fields: list[Field] = field(default_factory=list)
    xmp: str = ""
    n_c2pa_bytes: int = 0
    """Of the manifest store inside the file; 0 if there is none."""
    is_c2pa_elsewhere: bool = False
    """Whether XMP names an address where a manifest store is kept."""
    is_complete: bool = True
    """False if something was passed over as it was too long, too many or damaged."""
    _n_left: int = field(default=MAX_TEXTS, repr=False)

    def takes(self, n_bytes: int) -> bool:
        """Returns whether so many bytes more may be looked at. Those that may are counted."""
        if n_bytes > min(MAX_TEXT, self._n_left):
            self.is_complete = False
            return False
        self._n_left -= n_bytes
        return True

    def inflated(self, packed: bytes) -> bytes | None:
        """Returns what a compressed text inflates to; None if that is too much.

        Raises zlib.error.
        """
        most = min(MAX_TEXT, self._n_left)
        if most <= 0:
            self.is_complete = False
            return None
        text = zlib.decompressobj().decompress(packed, most + 1)
        self._n_left -= len(text)
        if len(text) > most:
            self.is_complete = False
            return None
        return text

    def get(self, place: str) -> str | None:
        """Returns the first text at a place."""
        return next((one.text for one in self.fields if one.place == place), None)


def walk(data: bytes) -> Container:
    """Returns the texts in a file; an empty container for a format that is not known."""
    found = Container()
    for is_kind, reader in _READERS:
        if is_kind(data):
            # A container may break off anywhere; what was read before that counts.
            try:
                reader(data, found)
            except (struct.error, ValueError, LookupError, OverflowError, zlib.error):
                found.is_complete = False
            break
    found.is_complete = found.is_complete and len(found.xmp) <= MAX_TEXT
    found.xmp = found.xmp[:MAX_TEXT]
    found.is_c2pa_elsewhere = 'provenance="http' in found.xmp or ":provenance>http" in found.xmp
    return found


# --- PNG ----------------------------------------------------------------------------------


def _read_png(data: bytes, found: Container) -> None:
    for kind, body in _png_chunks(data, found):
        if kind == b"eXIf":
            _add_exif(body, found)
        else:
            _add_png_text(kind, body, found)


def _png_chunks(data: bytes, found: Container) -> Iterator[tuple[bytes, bytes]]:
    """Yields name and content of the chunks up to IEND that may say something."""
    for n, one in enumerate(chunks(data)):
        if n == MAX_CHUNKS or one.end > len(data):
            break
        if one.name == b"IEND":
            return
        if one.name == b"caBX":
            found.n_c2pa_bytes += one.end - one.begin - 12
        elif one.name in _TEXTS or one.name == b"eXIf":
            if one.end - one.begin > 2 * MAX_TEXT + 12:
                found.is_complete = False
            elif is_sound(data, one):
                yield one.name, one.body(data)
    found.is_complete = False


def _add_png_text(kind: bytes, body: bytes, found: Container) -> None:
    key, _, rest = body.partition(b"\0")
    encoding, packed = "latin-1", rest[1:] if kind == b"zTXt" else None
    if kind == b"iTXt":
        encoding, content = "utf-8", rest[2:].split(b"\0", 2)[-1]
        rest, packed = content, content if rest[:1] == b"\1" else None
    if packed is not None:
        text = found.inflated(packed)
    else:
        text = rest if found.takes(len(rest)) else None
    if text is None:
        return
    if key == b"XML:com.adobe.xmp":
        found.xmp += text.decode(encoding, "replace")
    else:
        name = key[:79].decode("latin-1")
        found.fields.append(Field(f"PNG {name}", text.decode(encoding, "replace")))


# --- JPEG ---------------------------------------------------------------------------------


def _read_jpeg(data: bytes, found: Container) -> None:
    for marker, body in _jpeg_segments(data, found):
        if marker == 0xE1 and body.startswith(_EXIF):
            _add_exif(body[len(_EXIF) :], found)
        elif marker == 0xE1 and body.startswith(_XMP):
            _add_xmp(body[len(_XMP) :], found)
        elif marker == 0xEB and body.startswith(b"JP"):
            found.n_c2pa_bytes += _c2pa_part(body, is_first=not found.n_c2pa_bytes)
        elif marker == 0xED and body.startswith(_PHOTOSHOP):
            _add_iptc(body[len(_PHOTOSHOP) :], found)
        elif marker == 0xFE and found.takes(len(body)):
            found.fields.append(Field("JPEG comment", body.decode("utf-8", "replace")))


def _jpeg_segments(data: bytes, found: Container) -> Iterator[tuple[int, bytes]]:
    """Yields marker and content of the segments before the first scan."""
    at = 2
    for _ in range(MAX_CHUNKS):
        if at + 4 > len(data) or data[at] != 0xFF:
            found.is_complete = False
            return
        marker = data[at + 1]
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        if marker == _FILL:
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)
    found.is_complete = False


def _c2pa_part(body: bytes, *, is_first: bool) -> int:
    """Returns the bytes of a manifest store in one APP11 segment. Its first part names it."""
    return len(body) if not is_first or b"c2pa" in body[:256] else 0


def _add_iptc(blocks: bytes, found: Container) -> None:
    """Reads the credit line of IPTC-IIM, which is in a resource of Photoshop's."""
    if not found.takes(len(blocks)):
        return
    at = blocks.find(b"8BIM\x04\x04")
    for _ in range(MAX_FIELDS):
        if at < 0 or (at := blocks.find(b"\x1c\x02", at)) < 0:
            return
        number, length = blocks[at + 2], struct.unpack_from(">H", blocks, at + 3)[0]
        if number == _CREDIT:
            text = blocks[at + 5 : at + 5 + length].decode("utf-8", "replace")
            found.fields.append(Field("IPTC Credit", text))
        at += 5 + length
    found.is_complete = False


# --- WebP ---------------------------------------------------------------------------------


def _read_webp(data: bytes, found: Container) -> None:
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > end:
            return
        kind, length = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = data[at + 8 : min(end, at + 8 + length)]
        if kind == b"EXIF":
            _add_exif(body.removeprefix(_EXIF), found)
        elif kind == b"XMP ":
            _add_xmp(body, found)
        elif kind == b"C2PA":
            found.n_c2pa_bytes += len(body)
        at += 8 + length + length % 2
    found.is_complete = False


# --- AVIF and HEIC ------------------------------------------------------------------------


def _read_iso_media(data: bytes, found: Container) -> None:
    for kind, start, end in _boxes(data, 0, len(data), found):
        if kind == b"uuid" and data[start : start + 16] == _C2PA_BOX:
            found.n_c2pa_bytes += end - start - 16
        elif kind == b"meta":
            _read_meta(data, start + 4, end, found)


def _boxes(data: bytes, at: int, end: int, found: Container) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind and the range of the content of each box within a range."""
    for n, (kind, start, stop) in enumerate(box_ranges(data, at, end)):
        if n == MAX_CHUNKS or not start <= stop <= end:
            found.is_complete = False
            return
        yield kind, start, stop


def _read_meta(data: bytes, start: int, end: int, found: Container) -> None:
    boxes = {kind: (first, last) for kind, first, last in _boxes(data, start, end, found)}
    if b"iinf" not in boxes or b"iloc" not in boxes:
        return
    places = dict(_item_places(data, *boxes[b"iloc"]))
    in_meta = boxes.get(b"idat", (0, 0))[0]
    for number, kind, content_type in _items(data, *boxes[b"iinf"], found):
        if number not in places or (kind, content_type) not in _WANTED:
            continue
        method, offset, length = places[number]
        first = offset + (in_meta if method == 1 else 0)
        if length > MAX_TEXT or first + length > len(data) or method > 1:
            found.is_complete = False
            continue
        body = data[first : first + length]
        if kind == b"Exif":
            (skipped,) = struct.unpack_from(">I", body)
            _add_exif(body[4 + skipped :].removeprefix(_EXIF), found)
        else:
            _add_xmp(body, found)


_WANTED = {(b"Exif", b""), (b"mime", b"application/rdf+xml")}


def _items(
    data: bytes, start: int, end: int, found: Container
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yields number, kind and content type of the items that `iinf` lists."""
    first = start + (6 if data[start] == 0 else 8)
    for kind, at, stop in _boxes(data, first, end, found):
        version = data[at]
        if kind != b"infe" or version not in (2, 3):
            continue
        wide = 2 if version == 2 else 4
        number = int.from_bytes(data[at + 4 : at + 4 + wide], "big")
        name_at = at + 4 + wide + 2 + 4
        item_kind = data[name_at - 4 : name_at]
        _, content_type = (*data[name_at:stop].split(b"\0", 2), b"", b"")[:2]
        yield number, item_kind, content_type if item_kind == b"mime" else b""


def _item_places(data: bytes, start: int, end: int) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Yields number and (construction method, offset, length) of each item of one extent."""
    version, sizes, more = data[start], data[start + 4], data[start + 5]
    n_offset, n_length, n_base = sizes >> 4, sizes & 15, more >> 4
    n_index = more & 15 if version in (1, 2) else 0
    wide = 4 if version == 2 else 2
    at = start + 6

    def number(n_bytes: int) -> int:
        nonlocal at
        if at + n_bytes > end:
            raise ValueError("iloc ends early")
        at += n_bytes
        return int.from_bytes(data[at - n_bytes : at], "big")

    for _ in range(min(MAX_CHUNKS, number(wide))):
        item = number(wide)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)
        base, n_extents = number(n_base), number(2)
        if n_extents != 1:
            at += n_extents * (n_index + n_offset + n_length)
            continue
        number(n_index)
        yield item, (method, base + number(n_offset), number(n_length))


# --- TIFF ---------------------------------------------------------------------------------


def _read_tiff(data: bytes, found: Container) -> None:
    exif = Exif(data)
    found.n_c2pa_bytes = exif.n_c2pa_bytes()
    _add_fields(exif, found)


# --- What several have --------------------------------------------------------------------


def _add_exif(block: bytes, found: Container) -> None:
    if found.takes(len(block)):
        _add_fields(Exif(block), found)


def _add_fields(exif: Exif, found: Container) -> None:
    texts = exif.texts()
    found.xmp += texts.pop("XMLPacket", "")
    found.fields += [Field(f"EXIF {name}", text) for name, text in texts.items()]
    found.is_complete &= exif.is_complete


def _add_xmp(body: bytes, found: Container) -> None:
    if found.takes(len(body)):
        found.xmp += body.decode("utf-8", "replace")


_READERS: list[tuple[Callable[[bytes], bool], Callable[[bytes, Container], None]]] = [
    (lambda data: data.startswith(_PNG), _read_png),
    (lambda data: data.startswith(b"\xff\xd8\xff"), _read_jpeg),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _read_webp),
    (lambda data: data[4:8] == b"ftyp", _read_iso_media),
    (lambda data: data[:4] in (b"II*\0", b"MM\0*"), _read_tiff),
]
