"""What is to be seen in a file, of formats of which browsers show more than codecs do.

Where it says so, a real Chromium is asked.
"""

import gzip
import io
import struct
from contextlib import suppress
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.chromium_pixels import shown
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_sample_image

from antifake.core import images
from antifake.core.errors import UnreadableImageError
from antifake.core.file_formats import kind_of, shown_in
from antifake.core.icon import picture_in
from antifake.core.ipma import with_one_ipma
from antifake.core.raw_preview import is_raw, preview_in

WIDTH, HEIGHT = 160, 120


def scene(width=WIDTH, height=HEIGHT):
    return Image.fromarray(load_sample_image("flower.jpg")).resize((width, height))


def saved(kind, picture=None, **how):
    data = io.BytesIO()
    (picture or scene()).save(data, kind, **how)
    return data.getvalue()


# --- BMP ----------------------------------------------------------------------------------

PIXELS = np.asarray(scene())
RAMP = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
FOUR_BITS = (0xF00, 0xF0, 0xF, 0xF000)
BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def bmp(depth, compression, data, head=40, masks=(), *, palette=b"", height=HEIGHT):
    told = (head, WIDTH, height, 1, depth, compression, 0, 0, 0, len(palette) // 4, 0)
    top = (struct.pack("<IiiHHIIiiII", *told) + struct.pack(f"<{len(masks)}I", *masks)).ljust(
        head, b"\0"
    ) + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(top) + len(data), 0, 0, 14 + len(top)) + top + data


def fields(depth, masks, alpha=RAMP):
    values = np.zeros((HEIGHT, WIDTH), np.uint64)
    for channel, mask in zip([*PIXELS.transpose(2, 0, 1), alpha], masks, strict=False):
        shift = (mask & -mask).bit_length() - 1 if mask else 0
        levels = np.round(channel * ((mask >> shift) / 255)).astype(np.uint64)
        values |= levels << np.uint64(shift)
    return values[::-1].astype("<u2" if depth == 16 else "<u4").tobytes()


def with_fields(depth, masks, head=40, compression=3, **how):
    told = () if compression == 0 and head == 40 else masks[: 4 if head >= 56 else 3]
    return bmp(depth, compression, fields(depth, masks, **how), head, told)


INDEXES = np.asarray(scene().quantize(16))[::-1]
COLOURS = np.array(scene().quantize(16).getpalette()[:48], np.uint8).reshape(16, 3)
PALETTE = b"".join(bytes([blue, green, red, 0]) for red, green, blue in COLOURS)


def run_lengths(rows, depth=8, end=b"\0\1"):
    per_run = 1 if depth == 8 else 2
    data = b""
    for row in rows:
        values = row if depth == 8 else row[::2] << 4 | row[1::2]
        data += b"".join(bytes([per_run, value]) for value in values) + b"\0\0"
    return bmp(depth, 1 if depth == 8 else 2, data + end, palette=PALETTE)


def as_they_are(rows):
    data = b"".join(b"\0" + bytes([WIDTH]) + bytes(row) + b"\0\0" for row in rows)
    return bmp(8, 1, data + b"\0\1", palette=PALETTE)


JUMP = b"\0\2\x14\x05"
BITMAPS = {
    "4444": bmp(16, 3, fields(16, FOUR_BITS), 56, FOUR_BITS),
    "4444-opaque": bmp(16, 3, fields(16, FOUR_BITS, np.full_like(RAMP, 255)), 56, FOUR_BITS),
    "4444-v5": with_fields(16, FOUR_BITS, 124),
    "4444-without-alpha": with_fields(16, FOUR_BITS),
    "4444-alpha-fields": bmp(16, 6, fields(16, FOUR_BITS), 40, FOUR_BITS),
    "4444-from-the-top": bmp(16, 3, fields(16, FOUR_BITS), 56, FOUR_BITS, height=-HEIGHT),
    "565": with_fields(16, (0xF800, 0x7E0, 0x1F)),
    "332": with_fields(16, (0xE0, 0x1C, 0x3)),
    "10-10-10": with_fields(32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "without-green": with_fields(32, (0xFF0000, 0, 0xFF)),
    "bgra": with_fields(32, BGRA, 124),
    "bgra-without-fields": with_fields(32, BGRA, 124, compression=0),
    "bgrx": with_fields(32, BGRA, compression=0),
    "rle8": run_lengths(INDEXES),
    "rle8-ends-early": run_lengths(INDEXES[:90]),
    "rle8-ends-without-end": run_lengths(INDEXES[:90], end=b""),
    "rle8-short-rows": run_lengths(INDEXES[:, :100]),
    "rle8-jumps": run_lengths(INDEXES[:90], end=JUMP + b"\x20\3\0\1"),
    "rle8-as-they-are": as_they_are(INDEXES),
    "rle4": run_lengths(INDEXES, 4),
    "rle4-ends-early": run_lengths(INDEXES[:70], 4),
    "24": saved("BMP"),
}


@pytest.fixture(scope="module")
def bitmaps():
    return shown(BITMAPS)


@pytest.mark.parametrize("name", BITMAPS)
def test_a_bmp_is_seen_as_chromium_shows_it(bitmaps, name):
    ours = np.asarray(images.whole(BITMAPS[name], 1000), np.int16)
    assert np.array_equal(ours, bitmaps[name])


@pytest.mark.parametrize("rows", [INDEXES[:40], INDEXES[:0]])
def test_a_bmp_of_which_most_is_missing_is_refused(rows):
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        images.decode(run_lengths(rows))


# --- Icons --------------------------------------------------------------------------------


def dib(width, height):
    data = saved("BMP", scene(width, height))[14:]
    mask = bytes((width + 31) // 32 * 4 * height)
    return data[:8] + struct.pack("<i", 2 * height) + data[12:] + mask


def icon(*entries, kind=1):
    head, body = struct.pack("<HHH", 0, kind, len(entries)), b""
    for side, data in entries:
        at = 6 + 16 * len(entries) + len(body)
        head += struct.pack("<BBBBHHII", side % 256, side % 256, 0, 0, 1, 32, len(data), at)
        body += data
    return head + body


ICONS = {
    "png": icon((256, saved("PNG", scene(256, 256)))),
    "several": icon((16, dib(16, 16)), (256, saved("PNG", scene(256, 256))), (48, dib(48, 48))),
    "bitmap": icon((128, dib(128, 128))),
    "cursor": icon((128, dib(128, 128)), kind=2),
    "smaller-than-it-says": icon((16, saved("PNG", scene(300, 300))), (128, dib(128, 128))),
}


def test_the_largest_picture_of_an_icon_is_seen_as_in_chromium():
    for name, theirs in shown(ICONS).items():
        ours = np.asarray(images.whole(ICONS[name], 1000), np.int16)
        assert np.array_equal(ours, theirs), name
    assert images.decode(ICONS["several"]).format == "ICO"
    large = images.decode(icon((256, saved("PNG", scene(600, 400)))))
    assert (large.width, large.height) == (600, 400)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (icon((48, dib(48, 48))), "too small to tell: it is 48 x 48"),
        (icon(), "not a picture"),
        (icon((128, b"")), "damaged"),
        (icon((128, dib(128, 128)[:20])), "damaged"),
        (icon((128, struct.pack("<IiiHH", 40, 60_000, 60_000, 1, 32) + bytes(99))), "damaged"),
        (icon((255, saved("PNG", scene(255, 255))[:99])), "damaged"),
    ],
)
def test_an_icon_without_a_picture_is_refused(data, sentence):
    with pytest.raises(UnreadableImageError, match=sentence):
        images.decode(data)


# --- AVIF ---------------------------------------------------------------------------------


def boxes(data, start, end):
    while start < end:
        size, name = struct.unpack_from(">I4s", data, start)
        yield name, start, start + size
        start += size


def with_alpha():
    picture = scene()
    picture.putalpha(Image.fromarray(RAMP))
    return saved("AVIF", picture, quality=95)


@cache
def two_ipma(n=2):
    """An AVIF with alpha whose item properties are one `ipma` box for each item, as cavif wrote."""
    data = with_alpha()
    meta = next(one for one in boxes(data, 0, len(data)) if one[0] == b"meta")
    iprp = next(one for one in boxes(data, meta[1] + 12, meta[2]) if one[0] == b"iprp")
    ipco, ipma = boxes(data, iprp[1] + 8, iprp[2])
    body = data[ipma[1] + 16 : ipma[2]]
    items = []
    while body:
        length = 3 + body[2]
        items, body = [*items, body[:length]], body[length:]
    one_each = b"".join(
        struct.pack(">I4s4sI", 16 + len(one), b"ipma", bytes(4), 1) + one for one in items
    )
    assert len(items) == n
    inside = data[ipco[1] : ipco[2]] + one_each
    grown = len(inside) + 8 - (iprp[2] - iprp[1])
    new = data[: iprp[1]] + struct.pack(">I4s", 8 + len(inside), b"iprp") + inside + data[iprp[2] :]
    new = bytearray(new)
    struct.pack_into(">I", new, meta[1], meta[2] - meta[1] + grown)
    iloc = next(one for one in boxes(data, meta[1] + 12, meta[2]) if one[0] == b"iloc")
    # Version 0, offsets and lengths of 4 bytes, one extent for each item.
    for number in range(n):
        at = iloc[1] + 16 + 14 * number + 6
        (offset,) = struct.unpack_from(">I", new, at)
        struct.pack_into(">I", new, at, offset + grown)
    return bytes(new)


def test_an_avif_with_two_boxes_of_properties_is_seen_as_in_chromium():
    data = two_ipma()
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))
    ours = np.asarray(images.whole(data, 1000))
    # Colours of transparent AVIFs differ a little, also where the boxes are in order.
    assert abs(ours.astype(np.int16) - shown({"two": data})["two"]).mean() < 10
    assert np.array_equal(ours, np.asarray(images.whole(with_alpha(), 1000)))
    assert len(with_one_ipma(data)) == len(data)


def test_an_avif_with_one_box_is_left_as_it_is():
    data = saved("AVIF")
    assert with_one_ipma(data) is data


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_broken_boxes_are_left_as_they_are_or_stay_as_long(at, noise):
    data = two_ipma()
    data = data[:at] + noise + data[at + len(noise) :]
    assert len(with_one_ipma(data)) == len(data)
    assert len(with_one_ipma(data[:at])) == at


# --- Camera RAW ---------------------------------------------------------------------------

LARGE = saved("JPEG", scene(1200, 800))
SMALL = saved("JPEG", scene(160, 120))
SENSOR = b"\xff\xd8\xff\xc3\0\x0b\x0e\x20\0\x20\0\1\1\x11\0" + bytes(500)


def tiff(*directories, order="<", head=b""):
    """A TIFF structure. A tag's value is a number, bytes, or ("ifd", number of a directory)."""
    heads = {"<": b"II*\0", ">": b"MM\0*"}
    start = 8 + len(head)
    places, at = [], start
    for one in directories:
        places.append(at)
        at += 6 + 12 * len(one)
    made, data = b"", b""
    for number, one in enumerate(directories):
        made += struct.pack(f"{order}H", len(one))
        for tag, value in sorted(one.items()):
            if isinstance(value, bytes):
                made += struct.pack(f"{order}HHII", tag, 4, 1, at + len(data))
                data += value
            else:
                number_ = places[value[1]] if isinstance(value, tuple) else value
                made += struct.pack(f"{order}HHII", tag, 4, 1, number_)
        follows = places[number + 1] if number + 1 < len(places) and 0x14A not in one else 0
        made += struct.pack(f"{order}I", follows)
    return heads[order] + struct.pack(f"{order}I", start) + head + made + data


def nef(jpeg=LARGE, order="<", turn=1):
    first = {0xFE: 1, 0x112: turn, 0x14A: ("ifd", 1)}
    return tiff(first, {0xFE: 1, 0x201: jpeg, 0x202: len(jpeg)}, {0x106: 32803}, order=order)


RAWS = {
    "nef": nef(),
    "nef-mm": nef(order=">"),
    "dng": tiff({0xC612: 0x01040000, 0x14A: ("ifd", 1)}, {0x103: 7, 0x106: 6, 0x111: LARGE}),
    "cr2": tiff({0x103: 6, 0x111: LARGE}, {0x111: SENSOR, 0x103: 6}, head=b"CR\2\0\0\0\0\0"),
    "arw": tiff({0xFE: 1, 0x201: LARGE}, {0x103: 32767}),
    "pef": tiff({0x103: 65535}, {0x201: SMALL}) + b"PENTAX" + LARGE,
    "rw2": b"IIU\0" + tiff({0x2E: LARGE})[4:],
    "orf": b"IIRO" + tiff({0x103: 1})[4:] + b"OLYMPUS" + SMALL + LARGE,
    "raf": b"FUJIFILMCCD-RAW 0201" + bytes(80) + LARGE + bytes(500),
    "cr3": struct.pack(">I8s", 24, b"ftypcrx ") + bytes(12) + SMALL + LARGE + SENSOR,
    "x3f": b"FOVb" + bytes(200) + LARGE,
}


@pytest.mark.parametrize("name", RAWS)
def test_the_large_preview_of_a_camera_raw_file_is_judged_and_that_is_said(name):
    found = images.decode_whole(RAWS[name])
    assert (found.width, found.height, found.format) == (1200, 800, "RAW")
    assert found.note == (
        "This is a camera RAW file; the preview of 1200 x 800 pixels in it was judged."
    )


def test_the_preview_is_turned_as_the_raw_file_says():
    found = images.decode_whole(nef(turn=6))
    assert (found.width, found.height) == (800, 1200)


@pytest.mark.parametrize(
    "data",
    [
        nef(SMALL),
        nef(LARGE[: len(LARGE) // 2]),
        nef(SENSOR),
        saved("TIFF", scene(), tiffinfo={0xFE: 1}),
        saved("TIFF", scene(1600, 1200), tiffinfo={0xFE: 1}),
        tiff({0xFE: 1, 0x14A: ("ifd", 0)}),
        # The tiles of a DNG are JPEGs, too, and no previews.
        tiff({0xC612: 1, 0x106: 34892, 0x103: 34892, 0x144: LARGE}),
    ],
)
def test_a_camera_raw_file_without_a_large_preview_is_not_judged(data):
    with pytest.raises(UnreadableImageError, match="camera RAW file") as caught:
        images.decode(data)
    assert caught.value.code == "raw"


def test_an_ordinary_tiff_stays_one():
    pages = [scene(), scene(100, 75)]
    for kind in ("raw", "tiff_lzw", "jpeg"):
        data = saved("TIFF", pages[0], compression=kind, save_all=True, append_images=pages[1:])
        assert not is_raw(data)
        assert images.decode(data).format == "TIFF"
    assert not is_raw(tiff({0x100: 9}, {0xFE: 1, 0x100: 3}))


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(sorted(RAWS)), st.integers(0, 300), st.binary(max_size=12), st.integers(0, 400)
)
def test_a_broken_raw_file_is_no_fault(name, at, noise, cut):
    data = RAWS[name][:at] + noise + RAWS[name][at + len(noise) :]
    for one in (data, data[:cut]):
        is_raw(one)
        preview_in(one)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_a_broken_icon_is_no_fault(at, noise):
    data = ICONS["several"][:at] + noise + ICONS["several"][at + len(noise) :]
    with suppress(ValueError):
        picture_in(data)


# --- What is no picture -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "in the format JPEG 2000, which antifake cannot read"),
        (b"\xff\x4f\xff\x51" + bytes(60), "in the format JPEG 2000"),
        (b"\xff\x0a" + bytes(60), "in the format JPEG XL, which antifake cannot read"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "in the format JPEG XL"),
        (b"%PDF-1.7\n", "This is a PDF document, not a picture"),
        (b"\n" * 300 + b"%PDF-1.7\n", "This is a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This is an SVG drawing"),
        (b"<?xml version='1.0'?><!--" + b"x" * 2000 + b"--><svg>", "This is an SVG drawing"),
        ("<svg xmlns=''>".encode("utf-16"), "This is an SVG drawing"),
        (b"<!doctype html><svg></svg>", "This is a web page"),
        (b"PK\3\4", "a ZIP archive"),
        (b"nothing", "not a picture of a known kind. Accepted are JPEG, PNG"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_its_own_sentence(data, sentence):
    with pytest.raises(UnreadableImageError, match=sentence):
        shown_in(data)


def test_a_compressed_svg_is_one():
    with pytest.raises(UnreadableImageError, match="This is an SVG drawing"):
        kind_of(gzip.compress(b"<svg xmlns='http://www.w3.org/2000/svg'/>"))
