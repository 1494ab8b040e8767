"""Tells the format of a picture by its first bytes, and opens it with Pillow's reader for that."""

from importlib import import_module
from io import BytesIO

from PIL import ImageFile

from .errors import UnreadableImageError

ACCEPTED = "JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF and HEIC"
_READERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
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
# The brands of an ISO media file, of which AVIF, HEIC and MP4 are three kinds.
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"mif1": "HEIF", b"msf1": "HEIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIF"
)
_NO_PICTURES = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"PK\3\4": "a ZIP archive or an office document",
    b"8BPS": "a Photoshop document",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\1\0": "an icon",
    b"icns": "an icon",
    b"\x1aE\xdf\xa3": "a video",
}


def kind_of(data: bytes) -> str:
    """Returns the format by the first bytes, as names and declared types are often wrong."""
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    # mif1 and msf1 only mean "some picture": both AVIF and HEIC files have them.
    for brand in sorted(brands, key=lambda brand: brand in (b"mif1", b"msf1")):
        if brand in _BRANDS:
            return _BRANDS[brand]
    what = "a video" if brands else _no_picture(data)
    raise UnreadableImageError(f"This is {what}. Accepted are {ACCEPTED}.", "unknown_format")


def _brands(data: bytes) -> list[bytes]:
    """Returns the major and the compatible brands of an ISO media file."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256)
    return [data[at : at + 4] for at in (8, *range(16, end, 4))]


def _no_picture(data: bytes) -> str:
    for magic, what in _NO_PICTURES.items():
        if data.startswith(magic):
            return what
    text = data[:512].lower()
    if b"<svg" in text:
        return "an SVG drawing"
    return (
        "a web page"
        if b"<html" in text or b"<!doctype html" in text
        else "not a picture of a known kind"
    )


def opened(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Reads the header with the reader class of this format.

    Image.open would import every plugin of Pillow, and refuse large JPEGs by its own pixel limit
    before draft() can reduce them.
    """
    module, name = _READERS[kind]
    image: ImageFile.ImageFile = getattr(import_module(module), name)(BytesIO(data))
    return image
