"""Pictures are turned as a browser turns them: a real Chromium is asked."""

import io
import zlib

import numpy as np
import pytest
from kit.chromium_pixels import shown
from kit.turned_files import (
    FORMS,
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
from PIL import Image, TiffImagePlugin

from antifake.core import images

XMP = xmp(6)


def quarters():
    pixels = np.zeros((128, 192, 3), np.uint8)
    pixels[:64, :96] = 255, 0, 0
    pixels[:64, 96:] = 0, 255, 0
    pixels[64:, :96] = 0, 0, 255
    pixels[64:, 96:] = 250, 250, 0
    return Image.fromarray(pixels)


def saved(kind, **how):
    data = io.BytesIO()
    quarters().save(data, kind, **how)
    return data.getvalue()


def jpeg(*segments):
    return with_segments(saved("JPEG", quality=90), *segments)


def png(*chunks, after=()):
    return with_chunks(saved("PNG"), *chunks, after=tuple(after))


def raw_profile():
    block = HEAD + exif((SHORT, 1, 6))
    text = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    return b"zTXtRaw profile type exif\0\0" + zlib.compress(text)


SIX, EIGHT = exif((SHORT, 1, 6)), exif((SHORT, 1, 8))
CASES = {
    **{f"jpeg-{n}": jpeg(HEAD + exif((SHORT, 1, n))) for n in range(11)},
    **{f"jpeg-{n}-mm": jpeg(HEAD + exif((SHORT, 1, n), order=">")) for n in (3, 6)},
    **{f"jpeg-of-type-{kind}": jpeg(HEAD + exif((kind, 1, 6))) for kind in FORMS},
    **{f"jpeg-of-type-{kind}-mm": jpeg(HEAD + exif((kind, 1, 6), order=">")) for kind in FORMS},
    **{f"jpeg-of-{n}-numbers": jpeg(HEAD + exif((SHORT, n, 6))) for n in (0, 2, 3)},
    "jpeg-two-tags": jpeg(HEAD + exif((SHORT, 1, 6), (SHORT, 1, 8))),
    "jpeg-wrong-type-first": jpeg(HEAD + exif((LONG, 1, 6), (SHORT, 1, 8))),
    "jpeg-wrong-number-first": jpeg(HEAD + exif((SHORT, 1, 9), (SHORT, 1, 8))),
    "jpeg-directory-cut": jpeg(HEAD + SIX[:8] + b"\xff\0" + SIX[10:]),
    "jpeg-xmp": jpeg(XMP_HEAD + XMP),
    "jpeg-xmp-beside-upright-exif": jpeg(HEAD + exif((SHORT, 1, 1)), XMP_HEAD + XMP),
    "jpeg-xmp-then-exif": jpeg(XMP_HEAD + XMP, HEAD + EIGHT),
    "jpeg-two-blocks": jpeg(HEAD + SIX, HEAD + EIGHT),
    "jpeg-useless-block-first": jpeg(HEAD + exif((LONG, 1, 6)), HEAD + EIGHT),
    "jpeg-other-byte-before": jpeg(b"Exif\0\xff" + SIX),
    "jpeg-bare": jpeg(SIX),
    "jpeg-noise": jpeg(HEAD + b"noise, no directory"),
    "png": png(b"eXIf" + SIX),
    "png-after-the-pixels": png(after=[b"eXIf" + SIX]),
    "png-with-head": png(b"eXIf" + HEAD + SIX),
    "png-wrong-type": png(b"eXIf" + exif((LONG, 1, 6))),
    "png-two-blocks": png(b"eXIf" + SIX, b"eXIf" + EIGHT),
    "png-block-after-block": png(b"eXIf" + SIX, after=[b"eXIf" + EIGHT]),
    "png-raw-profile": png(raw_profile()),
    "png-xmp": png(XMP_OF_PNG + XMP),
    "webp": saved("WEBP", lossless=True, exif=SIX),
    "webp-with-head": saved("WEBP", lossless=True, exif=HEAD + SIX),
    "webp-lossy": saved("WEBP", quality=95, exif=SIX),
    "webp-xmp": saved("WEBP", lossless=True, xmp=XMP),
    **{f"avif-{n}": saved("AVIF", quality=95, exif=exif((SHORT, 1, n))) for n in range(1, 9)},
    "avif-xmp": saved("AVIF", quality=95, xmp=XMP),
}


@pytest.fixture(scope="module")
def browser():
    return shown(CASES)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of broken EXIF
@pytest.mark.parametrize("name", CASES)
def test_a_picture_is_turned_as_chromium_turns_it(browser, name):
    ours = np.asarray(images.whole(CASES[name], 1000), np.int16)
    assert ours.shape == browser[name].shape
    assert abs(ours - browser[name]).mean() < 6


def test_chromium_turns_some_and_not_others(browser):
    sideways = {name for name, pixels in browser.items() if pixels.shape == (192, 128, 3)}
    assert {"jpeg-6", "png", "avif-6"} < sideways
    assert not {"jpeg-xmp", "webp", "png-xmp", "jpeg-of-type-4"} & sideways


def tiff(**how):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x112] = 6
    tags.tagtype[0x112] = how.pop("kind", SHORT)
    return saved("TIFF", tiffinfo=tags, **how)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_is_turned_by_its_own_tag_only(compression):
    def size(data):
        return images.whole(data, 1000).size

    assert size(tiff(compression=compression)) == (128, 192)
    assert size(saved("TIFF", tiffinfo={700: XMP}, compression=compression)) == (192, 128)


def test_a_tiff_is_not_turned_by_a_tag_of_the_wrong_type():
    assert images.whole(tiff(kind=LONG), 1000).size == (192, 128)
