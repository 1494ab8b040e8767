"""Files as they come: of every format, turned, huge, broken, or no pictures at all."""

import os
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.pace import within
from kit.pictures import chunk
from PIL import Image, ImageOps
from PIL.Image import Exif

from antifake.core.errors import UnreadableImageError
from antifake.core.images import Picture, decode, read_file

ORIENTATION = 0x0112


def photo(width: int = 320, height: int = 240) -> Image.Image:
    """Smooth colours with edges, so that neither turning nor cropping goes unseen."""
    y, x = np.mgrid[:height, :width]
    red, green = x * 255 / width, y * 255 / height
    blue = 255.0 * (np.hypot(x - width / 3, y - height / 4) < min(width, height) / 5)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def heic(image: Image.Image) -> bytes:
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file)
    return file.getvalue()


def official(image: Image.Image, size: int = 224) -> np.ndarray:
    """The evaluation's preprocessing, written from the paper's code and not from ours."""
    image = image.convert("RGB")
    w, h = image.size
    image = image.resize(
        (size, int(size * h / w)) if w < h else (int(size * w / h), size), Image.BICUBIC
    )
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def code(data: bytes) -> str:
    with pytest.raises(UnreadableImageError) as refusal:
        decode(data)
    assert_is_a_sentence(str(refusal.value))
    return refusal.value.code


def assert_is_a_sentence(text: str) -> None:
    assert text[0].isupper()
    assert text[-1] == "."
    assert "\n" not in text
    assert "0x" not in text


def difference(picture: Picture, image: Image.Image) -> float:
    """Mean distance in grey levels to what the evaluation would see of `image`."""
    return float(np.abs(picture.crop.astype(float) - official(image)).mean())


# --- What is judged -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "height"),
    [(224, 224), (225, 224), (224, 227), (640, 480), (333, 501), (533, 67), (64, 64), (97, 512)],
)
def test_the_crop_is_the_evaluations_to_the_last_bit(width: int, height: int) -> None:
    data = encoded(photo(width, height), "JPEG", quality=91)
    picture = decode(data)
    assert np.array_equal(picture.crop, official(Image.open(BytesIO(data))))
    assert (picture.width, picture.height, picture.format) == (width, height, "JPEG")


def test_the_size_of_the_crop_can_be_chosen() -> None:
    picture = decode(encoded(photo(), "PNG"), size=96)
    assert np.array_equal(picture.crop, official(photo(), 96))


@pytest.mark.parametrize(
    ("format_", "options", "far"),
    [
        ("JPEG", {"quality": 95}, 4),
        ("JPEG", {"quality": 95, "progressive": True}, 4),
        ("PNG", {}, 0),
        ("GIF", {}, 10),
        ("WEBP", {"quality": 95}, 4),
        ("WEBP", {"lossless": True}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_deflate", "big_tiff": True}, 0),
        ("AVIF", {"quality": 90}, 4),
    ],
)
def test_every_accepted_format_is_read(format_: str, options: dict[str, Any], far: float) -> None:
    picture = decode(encoded(photo(), format_, **options))
    assert picture.format == format_
    assert difference(picture, photo()) <= far


def test_a_phones_heic_is_read() -> None:
    picture = decode(heic(photo()))
    assert picture.format == "HEIF"
    assert difference(picture, photo()) < 6


def test_a_generic_brand_does_not_make_an_avif_a_heic() -> None:
    data = encoded(photo(), "AVIF")
    assert data[8:12] == b"avif"
    assert decode(data[:8] + b"mif1" + data[12:]).format == "AVIF"


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_judged_upright(orientation: int, format_: str) -> None:
    exif = Exif()
    exif[ORIENTATION] = orientation
    data = encoded(photo(300, 200), format_, exif=exif.tobytes())
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    picture = decode(data)
    assert np.array_equal(picture.crop, official(upright))
    assert (picture.width, picture.height) == ((200, 300) if orientation > 4 else (300, 200))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the same
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0garbage", b"Exif\0\0"]
)
def test_broken_exif_does_not_spoil_a_good_picture(exif: bytes) -> None:
    data = encoded(photo(), "JPEG", exif=exif, quality=95)
    assert difference(decode(data), photo()) < 4


def test_what_is_transparent_becomes_white() -> None:
    image = photo().convert("RGBA")
    image.paste((255, 0, 0, 0), (0, 0, 320, 120))
    crop = decode(encoded(image, "PNG")).crop
    assert (crop[:100] == 255).all()
    assert crop[130:].std() > 10


def test_half_transparent_grey_is_laid_on_white() -> None:
    grey = Image.merge("LA", [photo().convert("L"), Image.new("L", (320, 240), 128)])
    crop = decode(encoded(grey, "PNG")).crop
    assert crop.min() >= 126
    assert crop.std() > 5


def test_a_transparent_entry_of_a_palette_becomes_white() -> None:
    image = photo().convert("RGB").quantize(16)
    image.paste(0, (0, 0, 320, 120))
    assert (decode(encoded(image, "PNG", transparency=0)).crop[:100] == 255).all()


def test_cmyk_as_print_shops_send_it() -> None:
    picture = decode(encoded(photo().convert("CMYK"), "JPEG", quality=95))
    assert difference(picture, photo()) < 6


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    grey = photo().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for format_ in ("PNG", "TIFF"):
        assert difference(decode(encoded(deep, format_)), grey) == 0


def test_16_bit_colour_is_scaled_not_clipped() -> None:
    pixels = np.asarray(photo(100, 80)).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    assert np.array_equal(decode(png(100, 80, 16, 2, rows)).crop, official(photo(100, 80)))


def test_numbers_without_a_range_are_stretched_to_grey() -> None:
    ramp = np.tile(np.linspace(-1e6, 3e6, 300, dtype=np.float32), (300, 1))
    ramp[0, 0] = np.nan
    crop = decode(encoded(Image.fromarray(ramp), "TIFF")).crop
    assert crop.min() < 5
    assert crop.max() > 250
    grey = np.asarray(photo().convert("L"), np.int32)
    assert difference(decode(encoded(Image.fromarray(grey), "TIFF")), photo().convert("L")) == 0


def test_black_and_white_drawings_are_read() -> None:
    drawing = photo().convert("1")
    assert np.array_equal(decode(encoded(drawing, "PNG")).crop, official(drawing))


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_judged_by_its_first_frame(format_: str) -> None:
    options = {"save_all": True, "append_images": [photo().rotate(180)]}
    picture = decode(encoded(photo(), format_, **options))
    assert difference(picture, photo()) < 12
    assert difference(picture, photo().rotate(180)) > 30


# --- How large it may be ------------------------------------------------------------------


def test_a_108_megapixel_phone_photo_is_read_by_decoding_it_smaller() -> None:
    data = encoded(photo(1200, 900).resize((12000, 9000)), "JPEG", quality=75)
    picture = decode(data)
    assert (picture.width, picture.height) == (12000, 9000)
    assert difference(picture, photo(1200, 900)) < 3


def test_a_large_photo_is_turned_upright_too() -> None:
    exif = Exif()
    exif[ORIENTATION] = 6
    data = encoded(photo(7000, 4000), "JPEG", exif=exif.tobytes())
    assert decode(data).width == 4000


def test_a_strip_of_unusual_length_costs_little() -> None:
    strip = photo(640, 480).resize((60_000, 64))
    started = time.perf_counter()
    picture = decode(encoded(strip, "PNG"))
    assert time.perf_counter() - started < within(3)
    assert picture.crop.shape == (224, 224, 3)
    assert difference(picture, strip.crop((29_900, 0, 30_100, 64))) < 2


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg_claiming(width: int, height: int) -> bytes:
    """A small JPEG whose header says another size."""
    data = encoded(photo(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.attack
def test_a_header_that_promises_too_much_is_refused_unread() -> None:
    started = time.perf_counter()
    assert code(png(60_000, 60_000, 8, 2, b"")) == "too_many_pixels"
    assert code(jpeg_claiming(65_500, 65_500)) == "too_many_pixels"
    assert time.perf_counter() - started < within(2)


@pytest.mark.parametrize(("width", "height"), [(8_000, 8_000), (64, 1_000_000)])
def test_64_megapixels_are_the_limit_for_what_cannot_be_shrunk(width: int, height: int) -> None:
    assert code(png(width, height, 8, 2, b"")) != "too_many_pixels"
    assert code(png(width + 1, height, 8, 2, b"")) == "too_many_pixels"


def test_a_jpeg_too_narrow_to_be_shrunk_has_the_usual_limit() -> None:
    assert code(jpeg_claiming(65_000, 1_300)) != "too_many_pixels"
    assert code(jpeg_claiming(65_000, 3_900)) != "too_many_pixels"
    assert code(jpeg_claiming(65_000, 4_000)) == "too_many_pixels"


def test_too_many_bytes_are_refused_before_anything_looks_at_them() -> None:
    assert code(bytes(100_000_001)) == "too_large_bytes"


# --- What is no picture -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"PK\3\4 ...", "a ZIP archive"),
        (b"\n<!DOCTYPE html><p>404", "a web page"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript document"),
        (b"hello", "not a picture"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(data: bytes, named: str) -> None:
    with pytest.raises(UnreadableImageError, match=f"^This is {named}.*WebP.*HEIC") as refusal:
        decode(data)
    assert refusal.value.code == "unknown_format"


@pytest.mark.parametrize("format_", ["JPEG2000", "PPM", "TGA", "PCX"])
def test_formats_that_browsers_do_not_show_are_not_opened(format_: str) -> None:
    assert code(encoded(photo(), format_)) == "unknown_format"


def test_an_empty_file_is_called_empty() -> None:
    assert code(b"") == "empty"


@pytest.mark.attack
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP"]), st.data())
def test_any_changed_byte_gives_a_picture_or_a_sentence(format_: str, data: st.DataObject) -> None:
    file = bytearray(encoded(photo(100, 80), format_))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode(bytes(file)).crop.shape == (224, 224, 3)
    except UnreadableImageError as error:
        assert_is_a_sentence(str(error))


# --- What a verdict would mean nothing for ------------------------------------------------


def test_a_thumbnail_is_too_small_to_tell() -> None:
    assert code(encoded(photo(40, 40), "PNG")) == "too_small"
    assert code(encoded(photo(1, 60_000), "PNG")) == "too_small"
    assert decode(encoded(photo(64, 64), "PNG")).width == 64


def test_one_colour_is_nothing_to_check() -> None:
    solid = Image.new("RGB", (300, 300), (90, 160, 30))
    almost = Image.fromarray(np.asarray(solid) + np.eye(300, dtype=np.uint8)[..., None])
    assert code(encoded(solid, "JPEG")) == "blank"
    assert code(encoded(almost, "PNG")) == "blank"
    assert code(encoded(Image.new("RGBA", (300, 300), (1, 2, 3, 0)), "PNG")) == "blank"


@pytest.mark.parametrize("side", [64, 150, 224, 640, 1500])
def test_random_noise_is_nothing_to_check(side: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert code(encoded(Image.fromarray(pixels), "PNG")) == "noise"
    assert code(encoded(Image.fromarray(pixels), "JPEG", quality=75)) == "noise"
    assert code(encoded(Image.fromarray(pixels[..., 0]).convert("1", dither=0), "PNG")) == "noise"


def grainy(image: Image.Image, strength: float) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = np.random.default_rng(7).normal(0, strength, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def test_film_grain_dithering_texture_and_night_are_not_noise() -> None:
    assert decode(encoded(grainy(photo(640, 480), 90), "PNG"))
    assert decode(encoded(photo().convert("1"), "PNG"))
    assert decode(encoded(photo().convert("P", palette=Image.Palette.WEB), "GIF"))
    night = Image.linear_gradient("L").resize((640, 480)).point(lambda value: value / 16)
    assert decode(encoded(grainy(night, 8), "PNG"))
    sand = grainy(Image.new("L", (500, 500), 128), 60).resize((1000, 1000), Image.BICUBIC)
    assert decode(encoded(sand, "PNG"))


# --- Files that are not files -------------------------------------------------------------


def reason(path: Path, max_bytes: int = 1000) -> str:
    with pytest.raises(UnreadableImageError) as refusal:
        read_file(path, max_bytes)
    assert_is_a_sentence(str(refusal.value))
    return refusal.value.code


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_file(tmp_path / "a", 5) == read_file(tmp_path / "b", 5) == b"12345"


def test_a_file_is_refused_by_its_size_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10 * 2**30)
    (tmp_path / "empty").touch()
    assert reason(tmp_path / "sparse") == "too_large_bytes"
    assert reason(tmp_path / "empty") == "empty"


def test_folders_and_missing_files_are_told_apart(tmp_path: Path) -> None:
    assert reason(tmp_path) == "not_a_file"
    assert reason(tmp_path / "gone") == "no_file"
    assert reason(tmp_path / "nul\0") == "no_access"


@pytest.mark.attack
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_pipes_devices_and_loops_neither_hang_nor_flood(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert reason(tmp_path / "fifo") == "not_a_file"
    assert reason(Path("/dev/zero")) == "not_a_file"
    assert reason(tmp_path / "loop") == "no_access"


def test_refusing_a_file_leaves_nothing_open(tmp_path: Path) -> None:
    fds = Path("/proc/self/fd")
    if not fds.exists():
        pytest.skip("only Linux lists what is open")
    before = len(list(fds.iterdir()))
    for _ in range(20):
        reason(tmp_path)
        reason(Path("/dev/zero"))
    assert len(list(fds.iterdir())) == before
