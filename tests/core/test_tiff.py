"""TIFFs of 16 bits and more, of integers and floating point, by their real range."""

import itertools
import math
import struct
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.color_files import ADOBE, gamma
from kit.pages import scene
from kit.tiff_files import (
    DEFLATE,
    DOUBLE,
    LONG,
    LZW,
    PACKBITS,
    PLAIN,
    SHORT,
    UNDEFINED,
    Tags,
    on_white,
    tiff,
)
from kit.tiff_files import as_samples as as_
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from antifake.core import tiff_chunks
from antifake.core.child_process import TimeLimit
from antifake.core.decoder import Decoder
from antifake.core.errors import UnreadableImageError
from antifake.core.icc import matrix_profile
from antifake.core.images import Picture, decode, decode_whole, whole

RGB = np.asarray(scene(7, 200, 150))
GREY = np.asarray(scene(7, 200, 150).convert("L"))
FLOATS = as_(RGB, "f4")
KINDS = ["u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
STRAIGHT, PREMULTIPLIED, UNKNOWN = 2, 1, 0
FAR = 2**31 - 1


def shown(data: bytes) -> Any:
    return np.asarray(whole(data))


def like(pixels: Any) -> Any:
    """Returns grey pixels as RGB."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def told(least: float, most: float) -> Tags:
    return {340: (DOUBLE, [least]), 341: (DOUBLE, [most])}


def refusal(data: bytes) -> UnreadableImageError:
    with pytest.raises(UnreadableImageError) as caught:
        decode_whole(data)
    return caught.value


# --- Every kind, however it is stored ------------------------------------------------------

WAYS: dict[str, dict[str, Any]] = {
    "in a strip": {},
    "in strips": {"rows": 17},
    "in tiles": {"tile": (64, 48)},
    "in planes": {"is_planar": True, "rows": 17},
    "in tiles of planes": {"is_planar": True, "tile": (64, 48)},
    "in a few large strips": {"rows": 100},
}


def packings(kind: str) -> list[dict[str, int]]:
    predictors = [1, 2, 3] if kind[0] == "f" else [1, 2]
    packed = [{"compression": c, "predictor": p} for c in (DEFLATE, LZW) for p in predictors]
    return [{"compression": PLAIN}, {"compression": PACKBITS}, *packed]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_every_kind_are_shown_by_the_range_of_their_type(kind: str, way: str) -> None:
    for order, packing in itertools.product("<>", packings(kind)):
        for pixels in (RGB, GREY):
            data = tiff(as_(pixels, kind), order=order, **packing, **WAYS[way])
            # Half precision is a little less than a level near white.
            apart = np.abs(shown(data).astype(int) - like(pixels)).max()
            assert apart <= (1 if kind == "f2" else 0), (order, packing)


@pytest.mark.parametrize("kind", ["u1", *KINDS])
@pytest.mark.parametrize("way", ["in strips", "in tiles", "in planes"])
def test_white_is_zero_where_the_file_says_so(kind: str, way: str) -> None:
    data = tiff(as_(255 - GREY, kind), **WAYS[way], tags={262: (SHORT, [0])})
    assert np.abs(shown(data).astype(int) - like(GREY)).max() <= 1


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_samples_may_be_packed_into_fewer_bits(bits: int) -> None:
    for pixels, way, order in itertools.product((RGB, GREY), WAYS.values(), "<>"):
        deep = as_(pixels, "u2") >> (16 - bits)
        for compression in (PLAIN, DEFLATE):
            data = tiff(deep, order=order, bits=bits, compression=compression, **way)
            assert np.array_equal(shown(data), like(pixels))


def test_the_lowest_bit_may_come_first() -> None:
    for compression, way in itertools.product((PLAIN, DEFLATE, LZW), WAYS.values()):
        options: dict[str, Any] = {"compression": compression, "is_backwards": True, **way}
        assert np.array_equal(shown(tiff(as_(RGB, "u2") >> 4, bits=12, **options)), RGB)
        assert np.array_equal(shown(tiff(FLOATS, **options)), RGB)


@pytest.mark.parametrize("kind", ["u2", "i2", "u4", "f4"])
@pytest.mark.parametrize("is_planar", [False, True])
@pytest.mark.parametrize("meaning", [STRAIGHT, PREMULTIPLIED, UNKNOWN])
def test_alpha_is_shown_on_white_and_other_samples_are_not(
    kind: str, is_planar: bool, meaning: int
) -> None:
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:40], alpha[40:60] = 128, 0
    for colors in (RGB, GREY[..., None]):
        pixels = np.dstack([colors, alpha])
        written = pixels / 255
        if meaning == PREMULTIPLIED:
            written[..., :-1] *= written[..., -1:]
        deep = as_((written * 255).round().astype(np.uint8), kind)
        data = tiff(deep, is_planar=is_planar, tags={338: (SHORT, [meaning])})
        rgba = np.dstack([RGB if colors is RGB else like(GREY), alpha])
        expected = rgba[..., :3] if meaning == UNKNOWN else on_white(rgba)
        assert np.abs(shown(data).astype(int) - expected).max() <= 2


def test_ink_is_read() -> None:
    ink = scene(7, 200, 150).convert("CMYK")
    for kind in ("u2", "f4"):
        for is_planar in (False, True):
            data = tiff(as_(np.asarray(ink), kind), is_planar=is_planar, tags={262: (SHORT, [5])})
            assert np.array_equal(shown(data), np.asarray(ink.convert("RGB")))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("way", ["in strips", "in tiles"])
def test_what_pillow_reads_right_is_left_to_it(order: str, way: str) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, RGB.shape, dtype=np.uint16)
    for kind, compression in itertools.product(("u1", "u2"), (PLAIN, DEFLATE, LZW)):
        for samples in (noise.astype(kind), noise[..., 0].astype(kind)):
            data = tiff(samples, order=order, compression=compression, **WAYS[way])
            theirs = TiffImageFile(BytesIO(data))
            pixels = np.asarray(theirs)
            high = pixels >> 8 if pixels.dtype.itemsize == 2 else pixels
            assert np.array_equal(shown(data), like(high))


def test_a_bigtiff_is_read_and_one_that_is_big_endian_refused() -> None:
    for kind in ("u1", "u2", "f4"):
        assert np.array_equal(shown(tiff(as_(RGB, kind), is_big=True, rows=30)), RGB)
        error = refusal(tiff(as_(RGB, kind), is_big=True, order=">"))
        assert "(BigTIFF, big-endian)" in str(error)


# --- The range -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "least", "most"),
    [
        (FLOATS * 40 - 20, -20, 20),
        (RGB.astype("u2") * 4, 0, 1020),
        (GREY.astype("i2") * 100, 0, 25500),
        (GREY.astype("i4") - 100, -100, 155),
    ],
)
def test_a_range_that_the_file_tells_counts(samples: Any, least: float, most: float) -> None:
    pixels = RGB if samples.ndim == 3 else like(GREY)
    data = tiff(samples, tags=told(least, most), compression=DEFLATE)
    assert np.abs(shown(data).astype(int) - pixels).max() <= 1
    assert decode(data).note is None


def test_a_range_for_each_color_does_not_tint_the_picture() -> None:
    ranges: Tags = {340: (DOUBLE, [0, 0.1, 0.2]), 341: (DOUBLE, [0.8, 1, 0.9])}
    assert np.array_equal(shown(tiff(FLOATS, tags=ranges)), RGB)


@pytest.mark.parametrize(
    "tags",
    [
        told(1, 0),
        told(5, 5),
        told(math.nan, 1),
        told(-1e308, 1e308),
        {340: (UNDEFINED, [1, 2, 3])},
        {341: (DOUBLE, [-math.inf])},
    ],
)
def test_a_range_that_is_none_counts_as_absent(tags: Tags) -> None:
    assert np.array_equal(shown(tiff(FLOATS, tags=tags)), RGB)


def test_lights_brighter_than_white_are_white() -> None:
    lights = FLOATS.copy()
    lights[:40] *= 9
    lights[0, 0], lights[0, 1] = math.inf, -math.inf
    expected = np.clip(lights * 256, 0, 255).astype(np.uint8)
    data = tiff(lights)
    assert np.array_equal(shown(data), expected)
    assert decode(data).note is None


@pytest.mark.parametrize(
    ("samples", "named", "pixels"),
    [
        (RGB.astype("f4"), "0 and 255", RGB),
        (RGB.astype("f8") * 257, "0 and 65535", RGB),
        (GREY.astype("i4"), "0 and 255", like(GREY)),
        (GREY.astype("u4") * 257, "0 and 65535", like(GREY)),
    ],
)
def test_a_usual_range_is_taken_where_none_is_told_and_that_is_said(
    samples: Any, named: str, pixels: Any
) -> None:
    data = tiff(samples)
    assert np.array_equal(shown(data), pixels)
    assert decode(data).note == (
        f"This TIFF does not say which numbers are black and white; {named} were taken."
    )


@pytest.mark.parametrize("samples", [FLOATS * 2 - 1, FLOATS * 4e6 - 1e6, FLOATS * 3000 + 200])
def test_otherwise_the_least_and_the_greatest_are_black_and_white(samples: Any) -> None:
    data = tiff(samples)
    found = shown(data)
    assert (found.min(), found.max()) == (0, 255)
    low, high = int(RGB.min()), int(RGB.max())
    assert np.abs((RGB - low) * (255 / (high - low)) - found).mean() < 3
    assert "were taken" in (decode(data).note or "")


def test_the_range_is_that_of_all_of_the_picture() -> None:
    dark_above = RGB.astype("f4")
    dark_above[:120] /= 300
    for rows in (1, 16):
        for compression in (PLAIN, DEFLATE):
            data = tiff(dark_above, rows=rows, compression=compression)
            assert np.array_equal(shown(data)[120:], RGB[120:])


def test_samples_that_are_no_numbers_are_black() -> None:
    holes = FLOATS.copy()
    holes[::7] = math.nan
    expected = RGB.copy()
    expected[::7] = 0
    assert np.array_equal(shown(tiff(holes)), expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_tiff_without_a_number_is_refused_by_its_own_sentence(value: float) -> None:
    error = refusal(tiff(np.full_like(FLOATS, value)))
    assert "no numbers that stand for colors" in str(error)


# --- What else belongs to a picture --------------------------------------------------------


def test_a_profile_is_followed_as_in_other_tiffs() -> None:
    profile = list(matrix_profile(ADOBE, gamma(1.8)))
    tags: Tags = {34675: (UNDEFINED, profile)}
    plain = shown(tiff(RGB, tags=tags))
    assert np.abs(plain.astype(int) - RGB).mean() > 3
    for samples in (FLOATS, as_(RGB, "i4")):
        assert np.array_equal(shown(tiff(samples, tags=tags)), plain)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_deep_picture_is_turned_by_its_tag(turn: int) -> None:
    plain, deep = (tiff(s, tags={274: (SHORT, [turn])}, rows=20) for s in (RGB, FLOATS))
    assert np.array_equal(shown(plain), shown(deep))
    picture = decode(deep)
    assert (picture.width, picture.height) == ((150, 200) if turn > 4 else (200, 150))


def test_a_turn_of_the_wrong_type_counts_for_nothing() -> None:
    picture = decode(tiff(FLOATS, tags={274: (LONG, [6])}))
    assert (picture.width, picture.height) == (200, 150)


def test_pages_may_be_of_different_kinds() -> None:
    pages = [scene(n, 200, 150) for n in range(3)]
    first = BytesIO()
    pages[0].save(first, "TIFF", save_all=True, append_images=[pages[1].convert("F"), pages[2]])
    found = decode_whole(first.getvalue())
    shown_last = {part.frame: crop for part, crop in zip(found.parts, found.crops, strict=True)}
    assert set(shown_last) == {0, 1, 2}
    grey = shown_last[1].astype(int)
    assert np.abs(grey - grey[..., :1]).max() == 0
    assert grey.std() > 10


def test_rows_that_are_missing_are_not_judged() -> None:
    for compression in (PLAIN, DEFLATE):
        data = tiff(FLOATS, rows=10, compression=compression)
        cut = decode_whole(data[: -len(data) // 5])
        assert "is missing" in (cut.note or "")
    assert "Only" in str(refusal(tiff(FLOATS)[: 200 * 150 * 12 // 3]))


def test_a_tiff_without_its_first_samples_is_damaged() -> None:
    for data in (tiff(FLOATS, rows=10)[:400], tiff(FLOATS, compression=DEFLATE)[:400]):
        assert "damaged or incomplete" in str(refusal(data))


# --- What is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({259: (SHORT, [34712])}, "Compression 34712"),
        ({259: (SHORT, [7]), 258: (SHORT, [12] * 3)}, "Compression 7, BitsPerSample 12 12 12"),
        ({339: (SHORT, [6] * 3)}, "SampleFormat 6 6 6"),
        ({258: (SHORT, [24] * 3)}, "BitsPerSample 24 24 24"),
        ({258: (SHORT, [32, 32, 16])}, "BitsPerSample 32 32 16"),
        ({262: (SHORT, [32845])}, "PhotometricInterpretation 32845"),
        ({262: (SHORT, [1])}, "SamplesPerPixel 3"),
        ({259: (SHORT, [8]), 317: (SHORT, [34894])}, "Predictor 34894"),
    ],
)
def test_a_kind_that_cannot_be_read_is_refused_by_a_sentence_that_names_it(
    tags: Tags, named: str
) -> None:
    error = refusal(tiff(FLOATS, tags=tags))
    assert error.code == "unknown_format"
    assert str(error).startswith("This is a TIFF of a kind that antifake cannot read (")
    assert named in str(error)
    assert str(error).endswith("Save the picture as JPEG or PNG and check that.")


HOSTILE: dict[str, bytes] = {
    "places out of the file": tiff(FLOATS, tags={273: (LONG, [FAR])}),
    "packed, out of the file": tiff(FLOATS, compression=DEFLATE, tags={273: (LONG, [FAR])}),
    "too few strips": tiff(FLOATS, tags={278: (LONG, [1])}),
    "places that are no numbers": tiff(FLOATS, tags={273: (UNDEFINED, [1])}),
    "a huge tile": tiff(FLOATS, tile=(256, 256), tags={322: (LONG, [FAR]), 323: (LONG, [FAR])}),
    "a huge packed tile": tiff(
        FLOATS,
        tile=(256, 256),
        compression=DEFLATE,
        tags={322: (LONG, [2**20]), 323: (LONG, [2**20])},
    ),
    "a tile of nothing": tiff(FLOATS, tile=(256, 256), tags={322: (LONG, [0])}),
    "a packed tile that is no stream": tiff(FLOATS, compression=PLAIN, tags={259: (SHORT, [LZW])}),
    "a million samples": tiff(FLOATS, tags={277: (LONG, [10**6])}),
    "no width": tiff(FLOATS, tags={256: (LONG, [0])}),
    "a great size": tiff(FLOATS, tags={256: (LONG, [10**6]), 257: (LONG, [10**6])}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tiff_is_refused_in_time_and_ends_no_process(name: str) -> None:
    with Decoder(view="whole") as decoder:
        found = decoder.decode(HOSTILE[name])
        assert found.error is not None
        assert found.error.code not in ("timeout", "crashed")


@pytest.mark.timeout(120)
def test_a_large_picture_fits_into_the_memory_of_a_child() -> None:
    large = np.asarray(Image.fromarray(RGB).resize((5000, 5000)))
    data = tiff(as_(large, "f4"), compression=DEFLATE, predictor=3, rows=64)
    with Decoder(time_limit=TimeLimit.of_computing(60)) as decoder:
        found = decoder.decode(data)
    assert isinstance(found.picture, Picture)
    assert np.array_equal(found.picture.crop, decode(tiff(large)).crop)


def test_many_small_tiles_are_unpacked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff(FLOATS, tile=(16, 16), compression=LZW, predictor=2)
    monkeypatch.setattr(tiff_chunks, "_BATCH_BYTES", 1)
    one_row_at_a_time = shown(data)
    monkeypatch.setattr(tiff_chunks, "_BLOCK_SAMPLES", 100)
    assert np.array_equal(shown(data), one_row_at_a_time)
    assert np.array_equal(one_row_at_a_time, RGB)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_broken_tiff_is_judged_or_refused(data: st.DataObject) -> None:
    made = data.draw(st.sampled_from(BROKEN))
    broken = bytearray(
        made[: data.draw(st.integers(0, len(made)))] if data.draw(st.booleans()) else made
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 400))
        value = data.draw(st.one_of(st.integers(0, 255), st.just(255)))
        broken[at : at + 1] = struct.pack("B", value) if at < len(broken) else b""
    with suppress(UnreadableImageError):
        decode_whole(bytes(broken))


SMALL = np.asarray(scene(7, 96, 80))
BROKEN = [
    tiff(as_(SMALL, kind), order=order, **way)
    for kind, order, way in [
        ("f4", "<", {"compression": DEFLATE, "predictor": 3, "rows": 9}),
        ("u2", ">", {"is_planar": True, "rows": 30}),
        ("i4", "<", {"tile": (32, 32), "compression": LZW, "predictor": 2}),
        ("f8", "<", {"is_big": True}),
        ("f2", "<", {"compression": PACKBITS, "tags": told(0, 1)}),
    ]
]
