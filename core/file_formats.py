"""Tells the format of a picture by its first bytes, and opens what is to be seen in it."""

import zlib
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO

from PIL import ImageFile

from . import icon, ipma, isobmff, raw_preview
from .errors import UnreadableImageError
from .i18n import _

ACCEPTED = _("JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF and HEIC")
_READERS = {
    "JPEG": ("antifake.core.jpeg_reader", "JpegFile"),
    "PNG": ("antifake.core.png_reader", "PngFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("antifake.core.bmp_reader", "bmp_file"),
    "TIFF": ("antifake.core.tiff_reader", "TiffFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "ICO": ("PIL.IcoImagePlugin", "IcoImageFile"),
}
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_ICONS = (b"\0\0\1\0", b"\0\0\2\0")
# The brands of an ISO media file, of which AVIF, HEIC and MP4 are three kinds.
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"mif1": "HEIF", b"msf1": "HEIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIF"
)
_OTHERS = {
    b"%!PS": _("a PostScript document"),
    b"PK\3\4": _("a ZIP archive or an office document"),
    b"8BPS": _("a Photoshop document"),
    b"gimp xcf": _("a GIMP document"),
    b"icns": _("an icon of macOS"),
    b"\x1aE\xdf\xa3": _("a video"),
}
# JPEG XL, though Chromium shows it: Pillow's plugin is GPL and unpacks a picture, on all cores,
# before its size is known; the other library brings seventy codecs along for this one.
_CANNOT_READ = {
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"II\xbc\1": "JPEG XR",
    b"v/1\1": "OpenEXR",
    b"qoif": "QOI",
}
_SEARCHED = 4096
"""So many bytes are looked through for what a text is."""


@dataclass(frozen=True)
class Shown:
    """What is to be seen in a file: its bytes, mended where browsers are more patient than codecs.

    Of an icon or a camera RAW file, that is one picture in it.
    """

    data: bytes
    kind: str
    """Which reader can open it."""
    format: str
    """Of the file."""
    note: str | None = None
    """What a person should know of what is shown, in a sentence."""


def shown_in(data: bytes) -> Shown:
    """Finds what is to be seen in a file. Raises UnreadableImageError if nothing can be."""
    kind = kind_of(data)
    if kind == "RAW":
        return _preview(data)
    if kind == "ICO":
        return _largest_of_icon(data)
    if kind == "AVIF" and isobmff.has_too_many_items(data):
        raise UnreadableImageError(
            _(
                "This picture is put together from more than {n:,} parts, which would take too "
                "long to decode. Save it again as JPEG or PNG and check that.",
                n=isobmff.MAX_ITEMS,
            ),
            "too_much_work",
        )
    return Shown(ipma.with_one_ipma(data) if kind == "AVIF" else data, kind, kind)


def _largest_of_icon(data: bytes) -> Shown:
    try:
        picture = icon.picture_in(data)
    except ValueError as error:
        raise UnreadableImageError(
            _("This icon is damaged or incomplete, so it cannot be checked."), "unreadable"
        ) from error
    return Shown(picture, kind_of(picture), "ICO")


def _preview(data: bytes) -> Shown:
    preview = raw_preview.preview_in(data)
    if preview is None:
        raise UnreadableImageError(
            _(
                "This is a camera RAW file, and the preview in it is missing or too small to be "
                "judged. Save the picture as JPEG or PNG and check that."
            ),
            "raw",
        )
    note = _(
        "This is a camera RAW file; the preview of {width} x {height} pixels in it was judged.",
        width=preview.width,
        height=preview.height,
    )
    return Shown(preview.data, "JPEG", "RAW", note)


def begins_like_picture(start: bytes) -> bool:
    """Returns whether a file that begins with these bytes, at least 32, can be shown."""
    try:
        kind = kind_of(start)
    except UnreadableImageError:
        return False
    # Two and four bytes, with which other files and texts begin, too.
    if kind == "BMP":
        return start[6:10] == bytes(4) and start[15:18] == bytes(3)
    return kind != "ICO" or start[9:10] == start[5:6] == b"\0"


def kind_of(data: bytes) -> str:
    """Returns the format by the first bytes, as names and declared types are often wrong."""
    if raw_preview.is_raw(data):
        return "RAW"
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(_ICONS) and data[4:6] != b"\0\0":  # with a picture; a TGA has none there
        return "ICO"
    brands = _brands(data)
    # mif1 and msf1 only mean "some picture": both AVIF and HEIC files have them.
    for brand in sorted(brands, key=lambda brand: brand in (b"mif1", b"msf1")):
        if brand in _BRANDS:
            return _BRANDS[brand]
    raise UnreadableImageError(_refusal(data, is_video=bool(brands)), "unknown_format")


def _brands(data: bytes) -> list[bytes]:
    """Returns the major and the compatible brands of an ISO media file."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256)
    return [data[at : at + 4] for at in (8, *range(16, end, 4))]


def _refusal(data: bytes, *, is_video: bool) -> str:
    """Returns why a file is not judged, and what can be done."""
    for magic, name in _CANNOT_READ.items():
        if data.startswith(magic):
            return _(
                "This is a picture in the format {name}, which antifake cannot read. Save it as "
                "JPEG or PNG and check that.",
                name=name,
            )
    if b"%PDF-" in data[:1024]:
        return _(
            "This is a PDF document, not a picture. Save the picture in it, or take a screenshot, "
            "and check that."
        )
    if _is_svg(data):
        return _(
            "This is an SVG drawing: it is made of shapes, not of pixels, so it cannot be judged. "
            "A screenshot of it can."
        )
    what = _("a video") if is_video else _other(data)
    return _("This is {what}. Accepted are {formats}.", what=what, formats=ACCEPTED)


def _other(data: bytes) -> str:
    for magic, what in _OTHERS.items():
        if data.startswith(magic):
            return what
    return _("a web page") if _is_html(_text(data)) else _("not a picture of a known kind")


def _is_svg(data: bytes) -> bool:
    if data.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            data = zlib.decompressobj(31).decompress(data[:_SEARCHED], _SEARCHED)
    text = _text(data)
    return b"<svg" in text and not _is_html(text)


def _is_html(text: bytes) -> bool:
    return b"<html" in text or b"<!doctype html" in text


def _text(data: bytes) -> bytes:
    """Returns the beginning of a text in lower case, also of one in UTF-16."""
    return data[:_SEARCHED].replace(b"\0", b"").lower()


def opened(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Reads the header with the reader class of this format.

    Image.open would import every plugin of Pillow, and refuse large JPEGs by its own pixel limit
    before draft() can reduce them.
    """
    module, name = _READERS[kind]
    image: ImageFile.ImageFile = getattr(import_module(module), name)(BytesIO(data))
    return image
