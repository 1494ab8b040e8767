"""Picture files that say how they are turned: by EXIF of any type, by XMP, in any place."""

import struct
import zlib
from typing import Literal

BYTE, SHORT, LONG, SBYTE, UNDEFINED, SSHORT, SLONG = 1, 3, 4, 6, 7, 8, 9
FORMS = {BYTE: "B", SHORT: "H", LONG: "I", SBYTE: "b", UNDEFINED: "B", SSHORT: "h", SLONG: "i"}
"""How numbers of a type are packed."""
HEAD = b"Exif\0\0"
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
XMP_OF_PNG = b"iTXtXML:com.adobe.xmp\0\0\0\0\0"
_ORIENTATION = 0x112


def xmp(orientation: int = 6) -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF>'
        b"</x:xmpmeta>" % orientation
    )


def exif(*entries: tuple[int, int, int], order: Literal["<", ">"] = "<") -> bytes:
    """Returns a TIFF structure of one directory: (type, count, value) of orientations."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    for kind, count, value in entries:
        data += struct.pack(f"{order}HHI", _ORIENTATION, kind, count)
        data += struct.pack(f"{order}{FORMS[kind]}", value).ljust(4, b"\0")
    return data + bytes(4)


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Puts APP1 segments first."""
    added = (b"\xff\xe1" + struct.pack(">H", len(one) + 2) + one for one in segments)
    return jpeg[:2] + b"".join(added) + jpeg[2:]


def with_chunks(png: bytes, *chunks: bytes, after: tuple[bytes, ...] = ()) -> bytes:
    """Puts chunks, each its name and its data, before the pixels and after them."""
    pixels, end = png.index(b"IDAT") - 4, png.index(b"IEND") - 4
    before, behind = (b"".join(map(_chunk, some)) for some in (chunks, after))
    return png[:pixels] + before + png[pixels:end] + behind + png[end:]


def _chunk(named: bytes) -> bytes:
    return struct.pack(">I", len(named) - 4) + named + struct.pack(">I", zlib.crc32(named))
