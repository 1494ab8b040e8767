"""Makes picture files with every kind of color space, byte by byte where encoders do not."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from kit.pictures import chunk
from numpy.typing import NDArray
from PIL import Image, ImageCms

from antifake.core.icc import Curve, Primaries

Pixels = NDArray[Any]
"""Integers [height, width] or [height, width, channels]."""
Chunk = tuple[bytes, bytes]

P3: Primaries = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
ADOBE: Primaries = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
PROPHOTO: Primaries = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
SRGB: Primaries = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def gamma(exponent: float) -> Curve:
    return exponent, 1.0, 0.0, 0.0, 0.0


# --- PNG ----------------------------------------------------------------------------------


def png(pixels: Pixels, *chunks: Chunk, bits: int = 8) -> bytes:
    """Encodes samples of 8 or 16 bits, with chunks before the pixels."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, bits, _COLOR_TYPES[channels], 0, 0, 0)
    rows = np.ascontiguousarray(pixels.astype(f">u{bits // 8}")).view(np.uint8).reshape(height, -1)
    packed = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    all_chunks = [(b"IHDR", header), *chunks, (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in all_chunks)


def gama(exponent: float) -> Chunk:
    return b"gAMA", struct.pack(">I", round(exponent * 100_000))


def chrm(primaries: Primaries) -> Chunk:
    return b"cHRM", struct.pack(">8I", *(round(one * 100_000) for one in primaries))


def cicp(primaries: int, transfer: int) -> Chunk:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def clli(nits: int) -> Chunk:
    return b"cLLI", struct.pack(">II", nits * 10_000, 100 * 10_000)


def mdcv(nits: int) -> Chunk:
    return b"mDCV", struct.pack(">8HII", *[0] * 8, nits * 10_000, 50)


def iccp(profile: bytes) -> Chunk:
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


# --- AVIF and BMP -------------------------------------------------------------------------


def avif(image: Image.Image, primaries: int, transfer: int, **options: Any) -> bytes:
    """Encodes with an nclx of these code points. The matrix is that of the encoder."""
    file = BytesIO()
    image.save(file, "AVIF", quality=95, subsampling="4:4:4", **options)
    data = file.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def bmp(image: Image.Image, profile: bytes) -> bytes:
    """Encodes RGB with a profile at the end, as version 5 of the header allows."""
    pixels = np.asarray(image)[::-1, :, ::-1].tobytes()
    width, height = image.size
    assert width % 4 == 0
    end = 14 + 124 + len(pixels)
    info = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    color = bytes(16) + b"DEBM" + bytes(48) + struct.pack("<4I", 4, end - 14, len(profile), 0)
    head = b"BM" + struct.pack("<IHHI", end + len(profile), 0, 0, 14 + 124)
    return head + info + color + pixels + profile


# --- Gain maps ----------------------------------------------------------------------------


def with_gain_map(base: bytes, gain_map: bytes, stops: float) -> bytes:
    """Returns an Ultra HDR: two JPEGs, of which the second says how much brighter the first may be.

    `stops` is the largest gain, as a power of two.
    """
    second = _with_segments(gain_map, _gain_xmp(b'hdrgm:GainMapMax="%.2f"' % stops))
    about_base = _gain_xmp(inside=_CONTAINER % len(second))
    index = _multi_picture(0, 0, 0)
    start = 2 + 4 + len(about_base) + 4 + len(b"MPF\0")  # offsets count from the index's own header
    first = len(_with_segments(base, about_base)) + 4 + len(index)
    index = _multi_picture(first, len(second), first - start)
    return _with_segments(base, about_base, index) + second


def _multi_picture(first: int, second: int, offset: int) -> bytes:
    """Returns an MPF segment of two pictures: their lengths, and where the second one is."""
    entries = struct.pack(">IIIHH", 0x030000, first, 0, 0, 0)
    entries += struct.pack(">IIIHH", 0, second, offset, 0, 0)
    head = b"MM\0*" + struct.pack(">IH", 8, 3)
    head += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    head += struct.pack(">HHII", 0xB001, 4, 1, 2)
    head += struct.pack(">HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4)
    return b"MPF\0" + head + bytes(4) + entries


_CONTAINER = (
    b'<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource">'
    b'<Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
    b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" '
    b'Item:Mime="image/jpeg" Item:Length="%d"/></rdf:li></rdf:Seq></Container:Directory>'
)


def _gain_xmp(said: bytes = b"", inside: bytes = b"") -> bytes:
    return (
        b"http://ns.adobe.com/xap/1.0/\0"
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
        b'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        b'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
        b'hdrgm:Version="1.0" ' + said + b">" + inside + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def _with_segments(jpeg: bytes, *bodies: bytes) -> bytes:
    segments = (
        bytes((0xFF, 0xE2 if body.startswith(b"MPF") else 0xE1))
        + struct.pack(">H", 2 + len(body))
        + body
        for body in bodies
    )
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


# --- Profiles -----------------------------------------------------------------------------


def grey_profile(exponent: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    return _profile(b"prtr", b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": curve})


def ink_profile(version: int = 2, grid: int = 7) -> bytes:
    """A CMYK profile of inks on yellowish paper, whose black is not quite black.

    It has another table for another intent, which must not be taken.
    """
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"wtpt": white, b"A2B0": _ink_table(grid, 0.8), b"A2B1": _ink_table(grid, 0.3)}
    return _profile(b"prtr", b"CMYK", b"Lab ", tags, version)


def _ink_table(grid: int, strength: float) -> bytes:
    axis = np.linspace(0, 1, grid)
    inks = np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 4)
    light = 1 - strength * inks[:, :3]
    paper = np.array([1.0, 0.98, 0.9])
    rgb = (light * (1 - 0.9 * inks[:, 3:]) * paper * 255).astype(np.uint8)
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    image = ImageCms.applyTransform(Image.fromarray(rgb[None]), to_lab)
    assert image is not None
    lab = np.array(image)[0]
    lab[:, 1:] ^= 0x80  # Pillow's a and b are signed
    ramp = bytes(range(256))
    unity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    head = b"mft1\0\0\0\0" + bytes([4, 3, grid, 0]) + unity
    return head + ramp * 4 + bytes(lab.tobytes()) + ramp * 3


def _profile(
    kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes], version: int = 2
) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4xB3x4s4s4s12x4s28x", start + len(body), version, kind, space, pcs, b"acsp"
    )
    return head + struct.pack(">3i", 63190, 65536, 54061) + bytes(48) + table + body
