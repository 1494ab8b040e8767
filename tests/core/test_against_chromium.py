"""Pictures are judged as the real Chromium shows them: formats by profile, depth, alpha, turn,
animation and damage.

Each file is shown in an <img>, drawn to a canvas and read back. Formats that Chromium does not
show are compared with a PNG of the same pixels and the same color space.
"""

import base64
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from kit import color_files as made
from kit.color_files import ADOBE, P3, SRGB, gamma, png
from kit.pages import ARGUMENTS, CHROMIUM
from kit.picture_cases import (
    DEEP,
    FORMATS,
    GREY,
    HOLES,
    MAKERS,
    NEAR,
    NEAR_IN_HDR,
    NOT_SHOWN,
    PIXELS,
    PROFILES,
    PROPERTIES,
    RGB,
    Case,
    cases,
    encoded,
    heic,
    tagged,
    with_alpha,
)
from kit.picture_table import in_page, measured, table
from kit.sites import Answer, Sites
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from playwright.sync_api import sync_playwright

from antifake.core.icc import Primaries, matrix_profile
from antifake.core.images import decode

Ask = Callable[[bytes], NDArray[Any]]
"""Returns what Chromium shows of a file, uint8 [height, width, 3]."""

SHOW = """async address => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d');
    context.fillStyle = 'white';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0);
    const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
    let text = '';
    for (let at = 0; at < data.length; at += 32768)
        text += String.fromCharCode(...data.subarray(at, at + 32768));
    return [canvas.width, canvas.height, btoa(text)];
}"""


@pytest.fixture(scope="module")
def shown() -> Iterator[Ask]:
    with Sites() as sites, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        sites.page("/", "<title>Pictures</title>")
        home = f"http://127.0.0.1:{sites.port}"
        page.goto(home)

        def ask(data: bytes) -> NDArray[Any]:
            sites.put("/picture", Answer(data, "image/png", headers={"Cache-Control": "no-store"}))
            width, height, text = page.evaluate(SHOW, f"{home}/picture?{zlib.crc32(data)}")
            pixels = np.frombuffer(base64.b64decode(text), np.uint8)
            return pixels.reshape(height, width, 4)[..., :3]

        yield ask
        browser.close()


# --- Formats by property --------------------------------------------------------------------


@pytest.fixture(scope="module")
def differences() -> dict[Case, float]:
    return measured(cases())


@pytest.mark.timeout(150)
@pytest.mark.parametrize("property_", PROPERTIES)
@pytest.mark.parametrize("format_", FORMATS)
def test_pictures_are_judged_as_they_are_shown(
    format_: str, property_: str, differences: dict[Case, float]
) -> None:
    of_kind = (format_, property_)
    found = {case: one for case, one in differences.items() if case.kind == of_kind}
    assert {str(case): one for case, one in found.items() if one >= case.near} == {}


def test_the_table_in_the_docs_has_all_of_them(differences: dict[Case, float]) -> None:
    """Its figures may be those of another version of Chromium."""

    def counts(table: str) -> list[str]:
        return re.sub(r"[0-9.]+ \(", "(", table).splitlines()

    assert counts(in_page()) == counts(table(differences))


# --- Formats by profile --------------------------------------------------------------------

INK = RGB.convert("CMYK")


def with_black(ink: Image.Image) -> Image.Image:
    """Prints half of what is common to the three colors in black."""
    pixels = np.array(ink)
    common = pixels[..., :3].min(axis=-1) // 2
    pixels[..., :3] -= common[..., None]
    pixels[..., 3] = common
    return Image.fromarray(pixels, "CMYK")


def crop(pixels: NDArray[Any]) -> NDArray[Any]:
    """The middle as the evaluation takes it, whose shorter side is 240 here."""
    image = Image.fromarray(pixels).resize((298, 224), Image.Resampling.BICUBIC)
    return np.asarray(image.crop((37, 0, 261, 224)))


def difference(data: bytes, shown: NDArray[Any]) -> float:
    return float(np.abs(decode(data).crop.astype(float) - crop(shown)).mean())


@pytest.mark.parametrize(("format_", "profile"), sorted(NOT_SHOWN))
def test_what_chromium_does_not_show_is_judged_as_untagged(format_: str, profile: str) -> None:
    assert difference(tagged(MAKERS[format_], profile), PIXELS) < NEAR


@pytest.mark.parametrize("profile", ["Display P3", "Adobe RGB", "ProPhoto", "linear"])
def test_the_profiles_of_this_table_make_a_difference(profile: str, shown: Ask) -> None:
    apart = difference(tagged(MAKERS["PNG"], "untagged"), shown(tagged(MAKERS["PNG"], profile)))
    assert apart > NEAR


@pytest.mark.parametrize("exponent", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("format_", ["grey JPEG", "grey PNG", "grey PNG, alpha", "PNG", "JPEG"])
def test_a_profile_of_greys_is_for_grey_pictures(format_: str, exponent: float, shown: Ask) -> None:
    data = MAKERS[format_](icc_profile=made.grey_profile(exponent))
    assert difference(data, shown(data)) < NEAR


@pytest.mark.parametrize("icc", [None, made.ink_profile(), made.ink_profile(4), PROFILES["linear"]])
@pytest.mark.parametrize("ink", [INK, with_black(INK)], ids=["three inks", "with black"])
def test_ink_is_shown_by_its_profile(ink: Image.Image, icc: bytes | None, shown: Ask) -> None:
    data = encoded(ink, "JPEG", quality=95, **({} if icc is None else {"icc_profile": icc}))
    assert difference(data, shown(data)) < NEAR


def test_a_profile_at_the_end_of_a_bmp_is_followed(shown: Ask) -> None:
    icc = PROFILES["ProPhoto"]
    assert icc is not None
    data = made.bmp(RGB, icc)
    assert difference(data, shown(data)) < NEAR


# --- What PNG has besides ------------------------------------------------------------------

LINEAR, WIDE = made.gama(1.0), made.iccp(matrix_profile(ADOBE, gamma(1.8)))
NO_PRIMARIES: Primaries = (0.0,) * 8
CHUNKS: dict[str, list[made.Chunk]] = {
    "gamma 1": [LINEAR],
    "gamma 1.8": [made.gama(1 / 1.8)],
    "gamma 2.2 is sRGB": [made.gama(0.45455)],
    "gamma 2.27": [made.gama(0.44)],
    "gamma 2.08": [made.gama(0.48)],
    "no gamma": [made.gama(0)],
    "extreme gamma": [made.gama(0.01)],
    "primaries alone": [made.chrm(P3)],
    "primaries and gamma": [made.chrm(P3), made.gama(0.45455)],
    "sRGB's primaries and gamma": [made.chrm(SRGB), made.gama(0.45455)],
    "primaries that are none": [made.chrm(NO_PRIMARIES), LINEAR],
    "sRGB before gamma": [LINEAR, (b"sRGB", b"\0")],
    "profile before sRGB": [WIDE, (b"sRGB", b"\0")],
    "cICP before all": [made.cicp(12, 13), WIDE, LINEAR],
    "broken profile": [made.iccp(b"nothing" * 40), LINEAR],
    "broken cICP": [(b"cICP", b"\1"), LINEAR],
    "unknown cICP": [made.cicp(2, 2), LINEAR],
    "the first gamma counts": [LINEAR, made.gama(0.45455)],
}


@pytest.mark.parametrize("chunks", CHUNKS)
def test_the_chunks_of_a_png_are_followed(chunks: str, shown: Ask) -> None:
    data = png(PIXELS, *CHUNKS[chunks])
    assert difference(data, shown(data)) < NEAR


def test_chunks_after_the_pixels_are_too_late(shown: Ask) -> None:
    data = png(PIXELS)
    late = data[:-12] + png(PIXELS, LINEAR)[33:49] + data[-12:]
    assert b"gAMA" in late
    assert difference(late, shown(late)) == 0


@pytest.mark.parametrize("transfer", [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17])
def test_code_points_of_curves_are_known(transfer: int, shown: Ask) -> None:
    data = png(PIXELS, made.cicp(1, transfer))
    assert difference(data, shown(data)) < NEAR


@pytest.mark.parametrize("primaries", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22])
def test_code_points_of_primaries_are_known(primaries: int, shown: Ask) -> None:
    data = png(PIXELS, made.cicp(primaries, 13))
    assert difference(data, shown(data)) < NEAR


NCLX = [(1, 1), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 14), (1, 15), (1, 17), (2, 2), (9, 1)]


@pytest.mark.parametrize(("primaries", "transfer"), [*NCLX, (12, 13), (3, 13), (12, 2), (11, 13)])
def test_so_they_are_in_avif(primaries: int, transfer: int, shown: Ask) -> None:
    data = made.avif(RGB, primaries, transfer)
    assert difference(data, shown(data)) < NEAR


@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 1), (1, 8)])
def test_so_they_are_in_heic(primaries: int, transfer: int, shown: Ask) -> None:
    data = heic(RGB, color_primaries=primaries, transfer_characteristics=transfer)
    assert difference(data, shown(made.avif(RGB, primaries, transfer))) < NEAR


def test_a_profile_in_avif_comes_before_code_points(shown: Ask) -> None:
    data = made.avif(RGB, 9, 16, icc_profile=PROFILES["Adobe RGB"])
    assert difference(data, shown(data)) < NEAR


# --- High dynamic range --------------------------------------------------------------------


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
@pytest.mark.parametrize("primaries", [1, 9, 12])
def test_high_dynamic_range_is_tone_mapped(primaries: int, transfer: int, shown: Ask) -> None:
    code = made.cicp(primaries, transfer)
    for data in (
        png(PIXELS, code),
        png(DEEP, code, bits=16),
        png(np.asarray(with_alpha(RGB)), code),
        png(np.asarray(GREY), code),
        made.avif(RGB, primaries, transfer),
    ):
        assert difference(data, shown(data)) < NEAR_IN_HDR / 4
    alike = made.avif(RGB, primaries, transfer)
    data = heic(RGB, color_primaries=primaries, transfer_characteristics=transfer)
    assert difference(data, shown(alike)) < NEAR_IN_HDR / 4


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
@pytest.mark.parametrize("nits", [100, 203, 400, 1000, 4000])
def test_the_brightest_light_is_what_the_file_says(nits: int, transfer: int, shown: Ask) -> None:
    for chunk in (made.clli(nits), made.mdcv(nits)):
        data = png(PIXELS, made.cicp(9, transfer), chunk)
        assert difference(data, shown(data)) < NEAR_IN_HDR / 4


def test_the_base_of_a_picture_with_a_gain_map_is_judged_and_nothing_else_of_it() -> None:
    base, brighter = MAKERS["JPEG"](), encoded(GREY.resize((80, 60)), "JPEG")
    data = made.with_gain_map(base, brighter, 2.0)
    index = JpegImageFile(BytesIO(data))
    [_first, second] = index._getmp()[0xB002]
    begin = index.info["mpoffset"] + second["DataOffset"]
    assert data[begin:].startswith(b"\xff\xd8")
    assert len(data) - begin == second["Size"]
    for file in (data, data[: begin + 99], data[:begin]):
        found = decode(file)
        assert found.note is None
        assert np.array_equal(found.crop, decode(base).crop)


# --- Depth and transparency ----------------------------------------------------------------


@pytest.mark.parametrize("chunks", [[], [LINEAR], [WIDE]], ids=["untagged", "linear", "wide"])
@pytest.mark.parametrize("divisor", [1, 16], ids=["bright", "dark"])
def test_16_bits_are_shown_as_8(divisor: int, chunks: list[made.Chunk], shown: Ask) -> None:
    alpha = np.asarray(HOLES).astype(int)[..., None] * 257
    deep = DEEP // divisor
    for pixels in (
        deep,
        deep[..., 1],
        np.concatenate([deep, alpha], axis=2),
        np.concatenate([deep[..., 1:2], alpha], axis=2),
    ):
        data = png(pixels, *chunks, bits=16)
        assert difference(data, shown(data)) < NEAR


@pytest.mark.parametrize("channels", [1, 3])
def test_one_transparent_color_of_16_bits(channels: int, shown: Ask) -> None:
    pixels = DEEP[..., :channels].copy()
    pixels[60:160, 100:200] = DEEP[120, 160, :channels]
    color = struct.pack(f">{channels}H", *DEEP[120, 160, :channels])
    data = png(pixels, (b"tRNS", color), bits=16)
    assert difference(data, shown(data)) < NEAR
