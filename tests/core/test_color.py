"""Color spaces that are broken, huge, hostile or those of sRGB itself, and bounds that hold."""

import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import color_files as made
from kit.color_files import ADOBE, P3, SRGB, gamma, png
from kit.pages import scene
from kit.pictures import saved
from PIL import Image

from antifake.core import icc, isobmff, png_color
from antifake.core.child_process import TimeLimit
from antifake.core.cicp import CicpSpace
from antifake.core.decoder import Decoder
from antifake.core.icc import SRGB_CURVE, IccProfile, ProfileError, matrix_profile
from antifake.core.images import decode, decode_shown, decode_whole, resized, whole
from antifake.core.upright import first_frame

PICTURE = scene(7, 320, 240)
PIXELS = np.asarray(PICTURE)
WIDE = matrix_profile(ADOBE, gamma(1.8))
PLAIN = decode(saved(PICTURE, "PNG")).crop
SEEN_WIDE = decode(saved(PICTURE, "PNG", icc_profile=WIDE)).crop
FUZZ = settings(max_examples=80, deadline=None)


def apart(one: Any, other: Any) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


# --- sRGB and none -------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF"])
def test_an_srgb_profile_changes_no_bit(format_: str) -> None:
    plain = saved(PICTURE, format_)
    tagged = saved(PICTURE, format_, icc_profile=matrix_profile(SRGB, SRGB_CURVE))
    assert np.array_equal(decode(plain).crop, decode(tagged).crop)


def test_profiles_of_srgb_are_known_by_what_they_do() -> None:
    assert IccProfile(matrix_profile(SRGB, SRGB_CURVE)).conversion("RGB") is None
    nearly = (*SRGB[:6], 0.1501, 0.0601)
    assert IccProfile(matrix_profile(nearly, SRGB_CURVE)).conversion("RGB") is None
    assert IccProfile(matrix_profile(SRGB, gamma(2.2))).conversion("RGB") is not None
    assert CicpSpace(1, 13).conversion("RGBA") is None


def test_a_conversion_is_made_once_for_many_pictures() -> None:
    first = IccProfile(WIDE).conversion("RGB")
    assert IccProfile(bytes(bytearray(WIDE))).conversion("RGB") is first


# --- Parts, previews and frames ------------------------------------------------------------


def test_all_parts_and_the_preview_are_converted() -> None:
    tall = scene(3, 200, 1400)
    plain, wide = (
        decode_whole(saved(tall, "PNG", **options)) for options in ({}, {"icc_profile": WIDE})
    )
    assert plain.parts == wide.parts
    assert len(plain.parts) > 2
    assert all(apart(*pair) > 3 for pair in zip(plain.crops, wide.crops, strict=True))


def test_every_frame_of_an_animation_is_converted_once() -> None:
    frames = [scene(n, 200, 160) for n in range(3)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "icc_profile": WIDE}
    found = decode_whole(saved(frames[0], "PNG", **options))
    for frame, seen in zip(frames, found.crops, strict=True):
        assert apart(decode(saved(frame, "PNG", icc_profile=WIDE)).crop, seen) < 1


DISPLAY = matrix_profile(P3, SRGB_CURVE)


@pytest.mark.parametrize(
    ("icc", "mode", "is_late"),
    [
        (DISPLAY, "RGB", True),
        (matrix_profile(ADOBE, gamma(2.2)), "RGB", True),
        (matrix_profile(SRGB, gamma(1.0)), "RGB", False),
        (WIDE, "RGB", False),
        (DISPLAY, "RGBA", False),
        (DISPLAY, "P", False),
    ],
)
def test_only_what_is_judged_is_converted_where_the_curve_is_like_that_of_srgb(
    icc: bytes, mode: str, is_late: bool
) -> None:
    data = saved(PICTURE.convert(mode), "PNG", icc_profile=icc)
    frame = first_frame(data, "PNG", 224)
    assert (frame.to_srgb is not None) == is_late
    converted = np.asarray(frame.in_srgb(frame.image))
    assert apart(converted, PIXELS) > 1
    assert apart(resized(data, 240), converted) < 1
    assert apart(whole(data, 320), converted) < 1


def test_previews_later_frames_and_what_is_left_of_a_picture_are_converted_too() -> None:
    frames = [scene(n, 320, 240) for n in range(3)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    files = {
        "PNG": [saved(frames[0], "PNG", **options, icc_profile=icc) for icc in (None, DISPLAY)],
        "JPEG": [saved(frames[0], "JPEG", icc_profile=icc)[:-40] for icc in (None, DISPLAY)],
    }
    for format_, pair in files.items():
        plain, seen = map(decode_shown, pair)
        assert (seen.note is None) == (format_ == "PNG")
        assert len(seen.parts) > 2 or format_ == "JPEG"
        crops = zip(seen.crops, plain.crops, strict=True)
        assert all(1 < apart(*one) < 12 for one in [*crops, (seen.preview, plain.preview)])


def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antifake.core.color._BAND_PIXELS", 7 * PICTURE.width)
    assert np.array_equal(decode(saved(PICTURE, "PNG", icc_profile=WIDE)).crop, SEEN_WIDE)


# --- Bounds --------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_a_picture_of_full_size_is_converted_within_the_memory_of_a_child() -> None:
    large = Image.new("RGBA", (7900, 7900), (200, 60, 20, 128))
    large.paste(PICTURE.resize((4000, 4000)), (1950, 1950))
    data = saved(large, "PNG", compress_level=1, icc_profile=WIDE)
    with Decoder(time_limit=TimeLimit.of_computing(60)) as decoder:
        decoded = decoder.decode(data)
    assert decoded.error is None
    assert decoded.picture is not None
    assert decoded.picture.width == 7900


def test_a_profile_may_not_be_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icc, "MAX_BYTES", len(WIDE) - 1)
    assert np.array_equal(decode(saved(PICTURE, "PNG", icc_profile=WIDE)).crop, PLAIN)


@FUZZ
@given(st.data())
def test_no_profile_is_a_reason_to_refuse_a_picture(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([WIDE, made.grey_profile(1.8), made.ink_profile()]))
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if broken:
            at = data.draw(st.integers(0, min(len(broken), 600) - 1))
            broken[at] = data.draw(st.integers(0, 255))
    for image, mode in ((PICTURE, "RGB"), (PICTURE.convert("CMYK"), "CMYK")):
        try:
            conversion = IccProfile(bytes(broken)).conversion(mode)
        except ProfileError:
            continue
        if conversion is not None:
            assert conversion(image).size == image.size


@FUZZ
@given(st.binary(max_size=40), st.sampled_from([b"gAMA", b"cHRM", b"cICP", b"cLLI", b"mDCV"]))
def test_any_chunk_of_a_png_is_survived(body: bytes, name: bytes) -> None:
    others = [made.gama(1), made.chrm(P3), made.cicp(9, 16)]
    for space in png_color.spaces(png(PIXELS, (name, body), *others), None):
        with suppress(ProfileError):
            assert space is not None
            space.conversion("RGB")


@FUZZ
@given(st.data())
def test_boxes_of_any_kind_are_survived(data: st.DataObject) -> None:
    file = bytearray(saved(PICTURE, "AVIF"))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, 300))] = data.draw(st.integers(0, 255))
    assert isinstance(isobmff.properties(bytes(file[: data.draw(st.integers(0, 400))])), list)


def test_primaries_in_a_line_are_none() -> None:
    with pytest.raises(ProfileError):
        matrix_profile((0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.4, 0.4), SRGB_CURVE)
    with pytest.raises(ProfileError):
        matrix_profile((0.3, 0.0, *SRGB[2:]), SRGB_CURVE)


def test_a_chunk_with_a_wrong_checksum_says_nothing() -> None:
    good = png(PIXELS, made.cicp(12, 8))
    at = good.index(b"cICP") + 8
    assert len(list(png_color.spaces(good, None))) == 1
    assert not list(png_color.spaces(good[:at] + b"????" + good[at + 4 :], None))


# --- Where AVIF says it --------------------------------------------------------------------


def test_properties_of_the_main_picture_are_found() -> None:
    found = dict(isobmff.properties(made.avif(PICTURE, 12, 13)))
    assert found[b"colr"][:8] == b"nclx" + struct.pack(">HH", 12, 13)
    assert not isobmff.properties(saved(PICTURE, "PNG"))


def test_a_wide_picture_with_transparency_is_converted_before_it_is_laid_on_white() -> None:
    half = PICTURE.copy()
    half.putalpha(128)
    seen = decode(saved(half, "PNG", icc_profile=WIDE)).crop
    expected = SEEN_WIDE.astype(float) * 128 / 255 + 127
    assert apart(seen, expected) < 1
