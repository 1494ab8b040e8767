"""Picture files by format and property, and what the real Chromium shows of them."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from kit import color_files as made
from kit.chromium_pixels import shown
from kit.color_files import ADOBE, P3, PROPHOTO, SRGB, gamma
from kit.turned_files import (
    BYTE,
    HEAD,
    LONG,
    SHORT,
    XMP_HEAD,
    XMP_OF_PNG,
    exif,
    with_chunks,
    with_segments,
    xmp,
)
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, TiffImagePlugin

from antifake.core.icc import SRGB_CURVE, matrix_profile
from antifake.core.images import decode_whole
from antifake.core.parts import Box

NEAR, NEAR_IN_HDR = 3.0, 12.0
"""Mean difference of a square from Chromium's, in levels."""
SIDE = 224
BICUBIC = Image.Resampling.BICUBIC


@dataclass(frozen=True)
class Case:
    format: str
    trait: str
    """One of PROPERTIES."""
    name: str
    data: bytes
    alike: bytes | None = None
    """What Chromium is asked instead of a format that it does not show."""
    frame: tuple[str, int] | None = None
    """The declared type of an animation, and which of its frames is to be judged first."""
    near: float = NEAR

    @property
    def kind(self) -> tuple[str, str]:
        return self.format, self.trait

    def __str__(self) -> str:
        return f"{self.format}, {self.trait}: {self.name}"


# --- The picture ---------------------------------------------------------------------------


def scene() -> Image.Image:
    """Soft shades, full colors, a ramp of greys and edges."""
    y, x = np.mgrid[:240, :320]
    red, green = x * 255 / 320, y * 255 / 240
    blue = 127 + 127 * np.sin(x / 31) * np.cos(y / 23)
    pixels = np.stack([red, green, blue], axis=2)
    pixels[:40] = np.linspace(0, 255, 320)[None, :, None]
    image = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for at, color in enumerate(("red", "lime", "blue", "yellow", "cyan", "magenta", "black")):
        draw.rectangle((40 + 34 * at, 180, 66 + 34 * at, 206), fill=color)
    return image


RGB = scene()
PIXELS = np.asarray(RGB)
GREY = RGB.convert("L")
HOLES = ImageChops.invert(Image.linear_gradient("L").resize(RGB.size))
DEEP = PIXELS.astype(int) * 256 + (PIXELS[::-1, ::-1] // 2)
"""16 bits, whose low ones are not the high ones again."""


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def heic(image: Image.Image, **options: Any) -> bytes:
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=-1, chroma=444, **options)
    return file.getvalue()


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(HOLES)
    return image


# --- Profile -------------------------------------------------------------------------------

PROFILES: dict[str, bytes | None] = {
    "untagged": None,
    "sRGB": matrix_profile(SRGB, SRGB_CURVE),
    "Display P3": matrix_profile(P3, SRGB_CURVE),
    "Adobe RGB": matrix_profile(ADOBE, gamma(2.2)),
    "ProPhoto": matrix_profile(PROPHOTO, gamma(1.8)),
    "linear": matrix_profile(SRGB, gamma(1.0)),
    "broken": matrix_profile(P3, gamma(1.8))[:200],
    "for ink": made.ink_profile(),
}
MAKERS: dict[str, Callable[..., bytes]] = {
    "JPEG": lambda **o: encoded(RGB, "JPEG", quality=95, **o),
    "progressive JPEG": lambda **o: encoded(RGB, "JPEG", quality=95, progressive=True, **o),
    "grey JPEG": lambda **o: encoded(GREY, "JPEG", quality=95, **o),
    "PNG": lambda **o: encoded(RGB, "PNG", **o),
    "grey PNG": lambda **o: encoded(GREY, "PNG", **o),
    "palette PNG": lambda **o: encoded(RGB.quantize(64), "PNG", **o),
    "PNG, alpha": lambda **o: encoded(with_alpha(RGB), "PNG", **o),
    "grey PNG, alpha": lambda **o: encoded(with_alpha(GREY), "PNG", **o),
    "WebP": lambda **o: encoded(RGB, "WEBP", quality=90, **o),
    "lossless WebP, alpha": lambda **o: encoded(with_alpha(RGB), "WEBP", lossless=True, **o),
    "AVIF": lambda **o: encoded(RGB, "AVIF", quality=90, **o),
}
NOT_SHOWN = {("AVIF", "broken"), ("AVIF", "for ink")}
"""Chromium shows nothing at all for these: they are taken as untagged."""
UNSHOWN: dict[str, Callable[..., bytes]] = {
    "TIFF": lambda **o: encoded(RGB, "TIFF", **o),
    "TIFF, alpha": lambda **o: encoded(with_alpha(RGB), "TIFF", **o),
    "HEIC": lambda **o: heic(RGB, **o),
}


def tagged(make: Callable[..., bytes], profile: str) -> bytes:
    icc = PROFILES[profile]
    return make() if icc is None else make(icc_profile=icc)


def family(format_: str) -> str:
    """Returns the row of the table: "grey PNG, alpha" is a PNG."""
    return next(name for name in FORMATS if name in format_)


def profiles() -> Iterator[Case]:
    for profile in PROFILES:
        for format_, make in MAKERS.items():
            if (format_, profile) not in NOT_SHOWN:
                name = f"{format_}, {profile}"
                yield Case(family(format_), "profile", name, tagged(make, profile))
        for format_, make in UNSHOWN.items():
            alike = tagged(MAKERS["PNG, alpha" if "alpha" in format_ else "PNG"], profile)
            name = f"{format_}, {profile}"
            yield Case(family(format_), "profile", name, tagged(make, profile), alike)
    icc = PROFILES["ProPhoto"]
    assert icc is not None
    yield Case("BMP", "profile", "ProPhoto", made.bmp(RGB, icc))
    brighter = encoded(GREY.resize((80, 60)), "JPEG")
    for name in ("untagged", "Display P3"):
        data = made.with_gain_map(tagged(MAKERS["JPEG"], name), brighter, 2.0)
        yield Case("JPEG", "profile", f"gain map, {name}", data)
    for transfer in (16, 18):
        name = {16: "PQ", 18: "HLG"}[transfer]
        png, avif = made.png(PIXELS, made.cicp(9, transfer)), made.avif(RGB, 9, transfer)
        yield Case("PNG", "profile", name, png, near=NEAR_IN_HDR)
        yield Case("AVIF", "profile", name, avif, near=NEAR_IN_HDR)
        wide = heic(RGB, color_primaries=9, transfer_characteristics=transfer)
        yield Case("HEIC", "profile", name, wide, avif, near=NEAR_IN_HDR)


# --- Depth and alpha -----------------------------------------------------------------------


def depths() -> Iterator[Case]:
    for name, pixels in {"color": DEEP, "grey": DEEP[..., 1]}.items():
        yield Case("PNG", "depth", f"16 bits, {name}", made.png(pixels, bits=16))
    few, flat = RGB.quantize(16), GREY.convert("1", dither=Image.Dither.NONE)
    for bits in (1, 2, 4, 8):
        image = RGB.quantize(2**bits)
        yield Case("PNG", "depth", f"palette, {bits} bits", encoded(image, "PNG", bits=bits))
        yield Case("GIF", "depth", f"palette, {bits} bits", encoded(image, "GIF"))
    for format_ in ("PNG", "BMP"):
        yield Case(format_, "depth", "1 bit", encoded(flat, format_))
        yield Case(format_, "depth", "grey", encoded(GREY, format_))
    yield Case("BMP", "depth", "palette", encoded(few, "BMP"))
    yield Case("BMP", "depth", "16 bits", bmp_of_16_bits(RGB))
    for bits in (10, 12):
        deep = pillow_heif.from_bytes("RGB;16", RGB.size, DEEP.astype("<u2").tobytes())
        file = BytesIO()
        deep.save(file, quality=-1, chroma=444, bit_depth=bits)
        alike = made.png(DEEP, bits=16)
        yield Case("HEIC", "depth", f"{bits} bits", file.getvalue(), alike)


def bmp_of_16_bits(image: Image.Image) -> bytes:
    """Returns a BMP with 5, 6 and 5 bits for red, green and blue."""
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.uint16), 2, 0)
    values = (red >> 3 << 11) | (green >> 2 << 5) | (blue >> 3)
    pixels = bytes(values[::-1].astype("<u2").tobytes())
    assert image.width % 2 == 0
    info = struct.pack("<IiiHHIIiiII", 40, *image.size, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    fields = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    start = 14 + len(info) + len(fields)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + fields + pixels


def alphas() -> Iterator[Case]:
    color, grey = with_alpha(RGB), with_alpha(GREY)
    yield Case("PNG", "alpha", "color", encoded(color, "PNG"))
    yield Case("PNG", "alpha", "grey", encoded(grey, "PNG"))
    yield Case("PNG", "alpha", "palette", encoded(color.quantize(64), "PNG"))
    opaque = RGB.copy()
    opaque.paste((1, 2, 3), (60, 60, 200, 160))
    yield Case("PNG", "alpha", "a color", encoded(opaque, "PNG", transparency=(1, 2, 3)))
    deep = np.dstack([DEEP, np.asarray(HOLES).astype(int) * 257])
    yield Case("PNG", "alpha", "16 bits", made.png(deep, bits=16))
    yield Case("WebP", "alpha", "lossy", encoded(color, "WEBP", quality=95))
    yield Case("WebP", "alpha", "lossless", encoded(color, "WEBP", lossless=True))
    # Chromium 156 stretches the alpha of AVIF: 16 .. 235 become 0 .. 255.
    yield Case("AVIF", "alpha", "color", encoded(color, "AVIF", quality=95), encoded(color, "PNG"))
    yield Case("GIF", "alpha", "a color", encoded(color, "GIF"))
    yield Case("BMP", "alpha", "32 bits", encoded(color, "BMP"))
    yield Case("TIFF", "alpha", "color", encoded(color, "TIFF"), encoded(color, "PNG"))
    yield Case("HEIC", "alpha", "color", heic(color), encoded(color, "PNG"))


# --- Turn ----------------------------------------------------------------------------------


def turns() -> Iterator[Case]:
    jpeg, png = encoded(RGB, "JPEG", quality=95), encoded(RGB, "PNG")
    options = {"WebP": {"quality": 95}, "AVIF": {"quality": 95}}
    for number in range(1, 9):
        turn = exif((SHORT, 1, number))
        turned_png = with_chunks(png, b"eXIf" + turn)
        yield Case("JPEG", "turn", str(number), with_segments(jpeg, HEAD + turn))
        yield Case("PNG", "turn", str(number), turned_png)
        for format_, how in options.items():
            data = encoded(RGB, format_.upper(), exif=turn, **how)
            yield Case(format_, "turn", str(number), data)
        yield Case("TIFF", "turn", str(number), tiff(SHORT, number), turned_png)
        yield Case("HEIC", "turn", str(number), heic(RGB, exif=turn), turned_png)
    wrong = {"long": LONG, "byte": BYTE}
    for name, kind in wrong.items():
        turn = exif((kind, 1, 6))
        yield Case("JPEG", "turn", name, with_segments(jpeg, HEAD + turn))
        yield Case("PNG", "turn", name, with_chunks(png, b"eXIf" + turn))
        yield Case("WebP", "turn", name, encoded(RGB, "WEBP", quality=95, exif=turn))
    yield Case("TIFF", "turn", "long", tiff(LONG, 6), png)
    yield Case("JPEG", "turn", "XMP", with_segments(jpeg, XMP_HEAD + xmp(6)))
    yield Case("PNG", "turn", "XMP", with_chunks(png, XMP_OF_PNG + xmp(6)))
    yield Case("WebP", "turn", "XMP", encoded(RGB, "WEBP", quality=95, xmp=xmp(6)))
    yield Case("AVIF", "turn", "XMP", encoded(RGB, "AVIF", quality=95, xmp=xmp(6)))
    yield Case("TIFF", "turn", "XMP", encoded(RGB, "TIFF", tiffinfo={700: xmp(6)}), png)


def tiff(kind: int, orientation: int) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x112] = orientation
    tags.tagtype[0x112] = kind
    return encoded(RGB, "TIFF", tiffinfo=tags)


# --- Animation -----------------------------------------------------------------------------


def animations() -> Iterator[Case]:
    moved = [ImageChops.offset(RGB, 20 * step, 0) for step in range(3)]
    black = [Image.new("RGB", RGB.size, color) for color in ("black", (9, 9, 9))]
    patch = RGB.copy()
    patch.paste("orange", (100, 60, 180, 140))
    holes = [with_alpha(one) for one in moved]
    options: dict[str, dict[str, Any]] = {
        "GIF": {"disposal": 2},
        "PNG": {},
        "WebP": {"lossless": True},
        # Of full range, Chromium 156 stretches the levels, though the file says what they are.
        "AVIF": {"quality": 95, "range": "limited"},
    }
    for format_, how in options.items():
        kind = f"image/{format_.lower()}"

        def animated(frames: list[Image.Image], format_: str = format_, **how: Any) -> bytes:
            more = {"save_all": True, "append_images": frames[1:], "duration": 100}
            return encoded(frames[0], format_.upper(), **more, **how)

        yield Case(format_, "animation", "first frame", animated(moved, **how))
        for name, blank in {
            "black": black,
            "white": [ImageChops.invert(one) for one in black],
        }.items():
            data = animated([*blank, *moved], **how)
            yield Case(format_, "animation", f"fades in from {name}", data, frame=(kind, 2))
        patched = animated(
            [black[0], RGB, patch], **{**how, **({"disposal": 0} if format_ == "GIF" else {})}
        )
        yield Case(format_, "animation", "a patch", patched, frame=(kind, 1))
        if format_ != "AVIF":  # of whose alpha Chromium has its own idea
            yield Case(format_, "animation", "with alpha", animated(holes, **how))
    yield Case(
        "WebP",
        "animation",
        "lossy",
        encoded(moved[0], "WEBP", save_all=True, append_images=moved[1:], quality=95),
    )


# --- Damage --------------------------------------------------------------------------------


def damages() -> Iterator[Case]:
    files = {
        ("JPEG", "baseline"): encoded(RGB, "JPEG", quality=95),
        ("JPEG", "restarts"): encoded(RGB, "JPEG", quality=95, restart_marker_rows=2),
        ("JPEG", "progressive"): encoded(RGB, "JPEG", quality=95, progressive=True),
        ("PNG", "color"): encoded(RGB, "PNG", compress_level=0),
        ("PNG", "palette"): encoded(RGB.quantize(64), "PNG"),
        ("GIF", "plain"): encoded(RGB, "GIF", interlace=0),
        ("WebP", "lossy"): encoded(RGB, "WEBP", quality=95),
        ("WebP", "lossless"): encoded(RGB, "WEBP", lossless=True),
        ("BMP", "24 bits"): encoded(RGB, "BMP"),
    }
    for (format_, name), data in files.items():
        for percent in (70, 85, 97):
            cut = data[: len(data) * percent // 100]
            # Of a WebP that is cut, Chromium shows nothing.
            alike = data if format_ == "WebP" else None
            yield Case(format_, "damage", f"{name}, {percent} % are there", cut, alike)
            if format_ == "JPEG":
                closed = cut.rstrip(b"\xff") + b"\xff\xd9"
                yield Case(format_, "damage", f"{name}, {percent} % and an end", closed)
    png, jpeg = files["PNG", "color"], files["JPEG", "baseline"]
    # Chromium waits for more before it shows the last rows, which are there.
    yield Case("JPEG", "damage", "no end marker", jpeg[:-2], jpeg)
    yield Case("JPEG", "damage", "20 bytes missing", jpeg[:-20])
    text = bytearray(with_chunks(png, b"tEXtComment\0words"))
    text[text.index(b"words") + 5] ^= 0xFF
    yield Case("PNG", "damage", "checksum of a text", bytes(text))
    adler = bytearray(png)
    end = adler.index(b"IEND") - 8
    adler[end - 1] ^= 0xFF
    begin = adler.rindex(b"IDAT")
    adler[end : end + 4] = struct.pack(">I", zlib.crc32(adler[begin:end]))
    yield Case("PNG", "damage", "Adler checksum", bytes(adler))
    yield Case("PNG", "damage", "no last chunk", png[:-12])
    pixels = bytearray(png)
    pixels[end] ^= 0xFF
    yield Case("PNG", "damage", "checksum of the pixels", bytes(pixels))
    for case in animations():
        if case.name == "first frame" and case.format in ("GIF", "PNG"):
            cut = case.data[: len(case.data) // 2]
            yield Case(case.format, "damage", "half of an animation", cut)


PROPERTIES: dict[str, Callable[[], Iterator[Case]]] = {
    "profile": profiles,
    "depth": depths,
    "alpha": alphas,
    "turn": turns,
    "animation": animations,
    "damage": damages,
}
FORMATS = ("JPEG", "PNG", "GIF", "WebP", "AVIF", "HEIC", "TIFF", "BMP")


def cases() -> list[Case]:
    return [case for make in PROPERTIES.values() for case in make()]


# --- Beside Chromium -----------------------------------------------------------------------


def seen_by_chromium(some: list[Case]) -> dict[str, NDArray[Any] | None]:
    """Returns what Chromium shows, uint8 [h, w, 3], by the name of the case; None for nothing."""
    frames = {str(number): case.frame for number, case in enumerate(some) if case.frame}
    files = {str(number): case.alike or case.data for number, case in enumerate(some)}
    found = shown(files, frames)
    return {str(case): found[str(number)] for number, case in enumerate(some)}


def difference(case: Case, seen: NDArray[Any]) -> float:
    """Returns the largest mean difference of the squares that are judged, in levels."""
    found = decode_whole(case.data)
    assert (found.height, found.width) == seen.shape[:2]
    number = case.frame[1] if case.frame else 0
    assert found.parts[0].frame == number
    pairs = zip(found.crops, found.parts, strict=True)
    return max(
        float(np.abs(crop.astype(float) - _square(Image.fromarray(seen), part.box)).mean())
        for crop, part in pairs
        if part.frame == number
    )


def _square(image: Image.Image, box: Box) -> NDArray[Any]:
    """Returns a part of a picture, reduced. Its middle is cut as the evaluation does it."""
    short = min(image.size)
    if abs(box.left + box.width / 2 - 0.5) + abs(box.top + box.height / 2 - 0.5) < 1e-6:
        scaled = int(SIDE * image.width / short), int(SIDE * image.height / short)
        at = round((scaled[0] - SIDE) / 2), round((scaled[1] - SIDE) / 2)
        return np.asarray(image.resize(scaled, BICUBIC).crop((*at, at[0] + SIDE, at[1] + SIDE)))
    left, top = box.left * image.width, box.top * image.height
    right = min(image.width, left + box.width * image.width)
    bottom = min(image.height, top + box.height * image.height)
    return np.asarray(image.resize((SIDE, SIDE), BICUBIC, (left, top, right, bottom)))
