"""Files that are damaged or end too early, large texts, and animations that begin with nothing."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from kit.shared import shared_data
from kit.tiff_files import as_samples, tiff
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngInfo

from antifake.core.decoder import Decoder
from antifake.core.errors import UnreadableImageError
from antifake.core.file_formats import kind_of
from antifake.core.images import decode, decode_shown, decode_whole
from antifake.core.jpeg_reader import JpegFile
from antifake.core.png_chunks import MAX_PROFILE, chunks
from antifake.core.upright import Upright, first_frame

SIZE = 64
CUTS = (10, 30, 50, 70, 90, 97, 99, 99.9)
ORIENTATION = 0x0112
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def photo(width: int = 200, height: int = 260, seed: int = 1) -> Image.Image:
    """Soft blots with grain, so that no row is like another."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (7, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    grain = random.normal(0, 5, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes, *, is_sound: bool = True) -> bytes:
    checksum = zlib.crc32(name + body) ^ (not is_sound)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def interlaced(image: Image.Image) -> bytes:
    """Returns a PNG in seven passes, which Pillow cannot write."""
    pixels, found = np.asarray(image), []
    for left, top, across, down in ADAM7:
        found += [b"\0" + row.tobytes() for row in pixels[top::down, left::across]]
    header = struct.pack(">IIBBBBB", *image.size, 8, 2, 0, 0, 1)
    body = chunk(b"IDAT", zlib.compress(b"".join(found))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Puts chunks before the pixels of a PNG."""
    at = png.index(b"IDAT") - 4
    return png[:at] + b"".join(chunks) + png[at:]


def turned(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image, "JPEG", exif=exif.tobytes(), quality=90)


def veiled(image: Image.Image) -> Image.Image:
    veiled = image.copy()
    veiled.putalpha(Image.linear_gradient("L").resize(image.size))
    return veiled


def files(image: Image.Image) -> dict[str, bytes]:
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return {
        "jpeg": saved(image, "JPEG", quality=90),
        "jpeg full color": saved(image, "JPEG", quality=95, subsampling=0),
        "jpeg with restarts": saved(image, "JPEG", quality=85, restart_marker_rows=1),
        "jpeg grey": saved(grey, "JPEG"),
        "jpeg cmyk": saved(image.convert("CMYK"), "JPEG"),
        "jpeg turned to the left": turned(image, 8),
        "jpeg turned to the right": turned(image, 6),
        "jpeg upside down": turned(image, 3),
        "png": saved(image, "PNG"),
        "png palette": saved(image.quantize(64), "PNG"),
        "png of two colors": saved(image.convert("1"), "PNG"),
        "png transparent": saved(veiled(image), "PNG"),
        "png 16 bits": saved(deep, "PNG"),
        "png interlaced": interlaced(image),
        "gif": saved(image, "GIF", interlace=0),
        "gif interlaced": saved(image, "GIF", interlace=1),
        "gif transparent": saved(veiled(image), "GIF", interlace=0),
        "webp": saved(image, "WEBP"),
        "webp fine": saved(image, "WEBP", quality=95),
        "webp lossless": saved(image, "WEBP", lossless=True),
        "webp transparent": saved(veiled(image), "WEBP"),
        "bmp": saved(image, "BMP"),
        "bmp palette": saved(image.quantize(64), "BMP"),
        "tiff": saved(image, "TIFF"),
        "tiff of floats": tiff(as_samples(np.asarray(image), "f4"), rows=20),
    }


UPRIGHT, WIDE = photo(200, 330), photo(330, 260)
FILES = {
    f"{kind} {shape}": (kind, data)
    for shape, image in {"upright": UPRIGHT, "wide": WIDE}.items()
    for kind, data in files(image).items()
}


def frame(data: bytes) -> Upright:
    return first_frame(data, kind_of(data), SIZE)


def rows_there(found: Upright, whole: Image.Image) -> Image.Image:
    """Returns from the whole picture what is there of a cut one."""
    there, (width, height) = found.there, whole.size
    left, top = round(there.left * width), round(there.top * height)
    return whole.crop((left, top, left + found.image.width, top + found.image.height))


# --- Without its end ----------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_what_is_judged_of_a_file_without_its_end_is_as_in_the_whole_file(name: str) -> None:
    _kind, data = FILES[name]
    whole = frame(data)
    shares = []
    for percent in CUTS:
        cut = data[: int(len(data) * percent / 100)]
        try:
            found = frame(cut)
        except UnreadableImageError:
            shares.append(0.0)
            continue
        assert (found.width, found.height) == (whole.width, whole.height)
        assert np.array_equal(found.image, rows_there(found, whole.image)), percent
        shares.append(found.there.width * found.there.height)
    assert shares == sorted(shares)
    assert all(share == 0 or share >= 0.5 for share in shares)
    assert shares[0] == 0
    assert shares[CUTS.index(70)] > 0.5 or "interlaced" in name
    assert shares[CUTS.index(99)] > 0.85
    assert shares[-1] >= shares[CUTS.index(99)]


@pytest.mark.parametrize("name", FILES)
def test_a_middle_square_that_is_all_there_is_judged_as_if_the_file_were_whole(name: str) -> None:
    _kind, data = FILES[name]
    whole, cut = decode_whole(data, SIZE), decode_whole(data[: len(data) * 97 // 100], SIZE)
    if name.endswith("upright"):
        assert np.array_equal(cut.crop, whole.crop)
        assert cut.parts[0] == whole.parts[0]
        return
    there = frame(data[: len(data) * 97 // 100])
    for part in cut.parts:
        assert part.box.left >= there.there.left - 1e-9
        assert part.box.top >= there.there.top - 1e-9
        assert part.box.left + part.box.width <= there.there.left + there.there.width + 1e-9
        assert part.box.top + part.box.height <= there.there.top + there.there.height + 1e-9


@pytest.mark.parametrize("percent", [50, 70, 90, 99])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_progressive_jpeg_without_its_end_lacks_fine_details(mode: str, percent: int) -> None:
    data = saved(WIDE.convert(mode), "JPEG", progressive=True, quality=90)
    cut, whole = decode(data[: len(data) * percent // 100]), decode(data)
    assert np.abs(cut.crop.astype(int) - whole.crop.astype(int)).mean() < 4
    assert cut.note is not None
    assert "fine details are missing" in cut.note


def test_a_progressive_jpeg_of_its_coarsest_scans_is_not_judged() -> None:
    data = saved(photo(), "JPEG", progressive=True, quality=90)
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        decode(data[: len(data) // 10])


def test_a_person_hears_how_much_is_missing() -> None:
    data = saved(photo(400, 400), "BMP")
    notes = [decode(data[: int(len(data) * share)]).note for share in (0.97, 0.75, 0.999)]
    assert notes == [
        f"About {n} % of this picture is missing; the rest was judged." for n in (3, 25, 1)
    ]
    with pytest.raises(UnreadableImageError, match="Only 40 % of this picture is there") as refusal:
        decode(data[: int(len(data) * 0.4)])
    assert refusal.value.code == "incomplete"


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_there_is_nothing_to_say_of_a_whole_file(format_: str) -> None:
    assert decode_whole(saved(photo(), format_)).note is None


def test_the_preview_of_a_cut_picture_has_its_shape_and_is_grey_where_it_is_missing() -> None:
    data = saved(photo(400, 300), "BMP")
    preview = decode_shown(data[: int(len(data) * 0.7)]).preview
    assert preview is not None
    assert preview.shape == (300, 400, 3)
    assert (preview[:85] == preview[0, 0]).all()
    assert preview[95:].std() > 10


# --- With an end, but too little before it ------------------------------------------------


def closed_jpeg(data: bytes, share: float) -> bytes:
    first = data.index(b"\xff\xda")
    return data[: first + int((len(data) - first) * share)].rstrip(b"\xff") + b"\xff\xd9"


def closed_png(data: bytes, share: float) -> bytes:
    begin, end = data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4
    packed = b"".join(one.body(data) for one in chunks(data) if one.name == b"IDAT")
    unpacked = zlib.decompress(packed)
    packed = zlib.compress(unpacked[: int(len(unpacked) * share)])
    return data[:begin] + chunk(b"IDAT", packed) + data[end:]


def closed_gif(data: bytes, share: float) -> bytes:
    first = data.index(b"\x2c", 13 + 3 * 256) + 11
    packed, at = b"", first
    while data[at]:
        packed += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    packed = packed[: int(len(packed) * share)]
    blocks = [packed[at : at + 255] for at in range(0, len(packed), 255)]
    return data[:first] + b"".join(bytes([len(one)]) + one for one in blocks) + b"\0;"


def closed_webp(data: bytes, share: float) -> bytes:
    found, at = b"", 12
    while at < len(data):
        name, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + length]
        if name in (b"VP8 ", b"VP8L"):
            body = body[: int(length * share) // 2 * 2]
        found += name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
        at += 8 + length + length % 2
    return b"RIFF" + struct.pack("<I", 4 + len(found)) + b"WEBP" + found


CLOSED = {"jpeg": closed_jpeg, "png": closed_png, "gif": closed_gif, "webp": closed_webp}


@pytest.mark.parametrize("name", [name for name in FILES if name.split()[0] in CLOSED])
def test_a_file_that_ends_properly_but_too_early_is_not_judged_on_filler(name: str) -> None:
    _kind, data = FILES[name]
    whole = frame(data)
    shares = []
    for share in (0.3, 0.7, 0.8, 0.9, 0.97):
        try:
            found = frame(CLOSED[name.split(maxsplit=1)[0]](data, share))
        except UnreadableImageError:
            shares.append(0.0)
            continue
        assert found.note is not None
        assert np.array_equal(found.image, rows_there(found, whole.image)), share
        shares.append(found.there.width * found.there.height)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.85 < shares[-1] < 1


@pytest.mark.parametrize("restarts", [{}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_end_marker_that_was_added_to_a_cut_jpeg_changes_nothing(
    mode: str, progressive: bool, restarts: dict[str, int]
) -> None:
    data = saved(photo(400, 300).convert(mode), "JPEG", progressive=progressive, **restarts)
    first = data.index(b"\xff\xda") + 20
    for end in np.random.default_rng(8).integers(first, len(data) - 16, 25):
        cut = data[:end].rstrip(b"\xff")
        notes = set()
        for file in (cut, cut + b"\xff\xd9"):
            try:
                found = frame(file)
                notes.add((found.note, found.there, found.image.tobytes()))
            except UnreadableImageError as error:
                notes.add(str(error))
        assert len(notes) == 1
        assert None not in {note[0] for note in notes}


def test_a_jpeg_without_its_last_scans_lacks_fine_details() -> None:
    data = saved(photo(), "JPEG", progressive=True, quality=90)
    last = data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda"))
    note = decode(data[:last] + b"\xff\xd9").note
    assert note is not None
    assert "fine details are missing" in note


@pytest.mark.parametrize("scale", [1, 2, 8])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"restart_marker_blocks": 3},
        {"progressive": True, "restart_marker_rows": 1},
        {"subsampling": 0, "quality": 100},
        {"quality": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_whole_jpeg_is_read_as_pillow_reads_it(
    mode: str, options: dict[str, Any], scale: int
) -> None:
    for image in (photo(403, 301), Image.new("RGB", (403, 301), "gray")):
        data = saved(image.convert(mode), "JPEG", **options)
        for garbage in (b"", bytes(9), b"\xff" * 3):
            file = BytesIO(data[:-2] + garbage + data[-2:])
            ours, theirs = JpegFile(file), JpegImageFile(BytesIO(data))
            for one in (ours, theirs):
                one.draft(None, (one.width // scale, one.height // scale))
            assert ours.tobytes() == theirs.tobytes()


# --- Damaged inside -----------------------------------------------------------------------


def test_a_jpeg_without_its_end_marker_is_all_there() -> None:
    data = saved(photo(), "JPEG")
    found = decode(data[:-2])
    assert np.array_equal(found.crop, decode(data).crop)
    assert found.note == "The file is damaged, but all of the picture is there."


def test_a_png_with_a_wrong_checksum_of_its_pixels_is_all_there() -> None:
    data = bytearray(saved(photo(), "PNG"))
    at = data.index(b"IEND") - 12
    data[at] ^= 0xFF
    found = decode(bytes(data))
    assert np.array_equal(found.crop, decode(saved(photo(), "PNG")).crop)
    assert found.note == "The file is damaged, but all of the picture is there."


@pytest.mark.parametrize("filling", [bytes(400), bytes(range(256)) * 2])
def test_of_a_png_that_is_damaged_inside_what_comes_before_is_judged(filling: bytes) -> None:
    image = photo(400, 400)
    png = saved(image, "PNG")
    damaged = bytearray(png)
    at = len(damaged) * 3 // 4
    damaged[at : at + len(filling)] = filling
    found, whole = frame(bytes(damaged)), frame(png)
    assert 0.5 < found.there.height < 0.76
    assert np.array_equal(found.image, rows_there(found, whole.image))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP"])
def test_room_that_was_made_for_a_download_is_no_picture(format_: str) -> None:
    data = saved(photo(400, 400), format_)
    cut = len(data) * 4 // 5
    try:
        found = frame(data[:cut] + bytes(len(data) - cut))
    except UnreadableImageError:
        return
    if format_ != "BMP":  # zeros are pixels there like any others
        assert 0.5 < found.there.height < 0.85
        assert np.array_equal(found.image, rows_there(found, frame(data).image))


def test_a_png_without_its_last_chunk_is_whole() -> None:
    data = saved(photo(), "PNG")
    assert np.array_equal(decode(data[:-12]).crop, decode(data).crop)


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"gAMA", b"juNk"])
def test_a_chunk_that_a_png_can_do_without_may_be_damaged(name: bytes) -> None:
    png = saved(photo(), "PNG")
    found = decode(with_chunks(png, chunk(name, b"Comment\0some text", is_sound=False)))
    assert np.array_equal(found.crop, decode(png).crop)
    assert found.note is None


def test_a_webp_without_what_comes_after_the_picture_is_all_there() -> None:
    data = saved(photo(), "WEBP", xmp=b"<x:xmpmeta/>" * 100)
    found = decode(data[:-300])
    assert np.array_equal(found.crop, decode(data).crop)
    assert found.note == "The file is damaged, but all of the picture is there."


# --- Large texts --------------------------------------------------------------------------


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_png_with_megabytes_of_text_is_judged(is_packed: bool) -> None:
    text = PngInfo()
    workflow = np.random.default_rng(3).bytes(1_500_000).hex()
    text.add_text("workflow", workflow, zip=is_packed)
    text.add_itxt("prompt", workflow, zip=is_packed)
    found = decode(saved(photo(), "PNG", pnginfo=text))
    assert np.array_equal(found.crop, decode(saved(photo(), "PNG")).crop)


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_that_would_fill_the_memory_is_not_unpacked(name: bytes) -> None:
    packing = zlib.compressobj(9)
    packed = b"".join(packing.compress(bytes(10_000_000)) for _ in range(100)) + packing.flush()
    before = b"key\0\1\0\0\0" if name == b"iTXt" else b"key\0\0"
    bomb = with_chunks(saved(photo(), "PNG"), chunk(name, before + packed))
    with Decoder(memory_bytes=400_000_000) as decoder:
        picture = decoder.decode(bomb).picture
    assert picture is not None
    assert np.array_equal(picture.crop, decode(saved(photo(), "PNG")).crop)


def test_a_profile_may_be_larger_than_a_megabyte() -> None:
    png = saved(photo(), "PNG")
    for length in (MAX_PROFILE - 1, MAX_PROFILE + 1):
        profile = np.random.default_rng(4).bytes(length)
        found = decode(with_chunks(png, chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))))
        assert np.array_equal(found.crop, decode(png).crop)


def test_a_text_cannot_pass_for_a_property_of_the_picture() -> None:
    """Pillow puts both into one table."""
    text = PngInfo()
    text.add_text("transparency", "x" * 9)
    assert np.array_equal(
        decode(saved(photo(), "PNG", pnginfo=text)).crop, decode(saved(photo(), "PNG")).crop
    )


# --- Animations that begin with nothing ---------------------------------------------------


def animation(format_: str, frames: list[Image.Image]) -> bytes:
    options = {"lossless": True} if format_ == "WEBP" else {}
    options |= {"quality": 95} if format_ == "AVIF" else {}
    return saved(
        frames[0], format_, save_all=True, append_images=frames[1:], duration=100, **options
    )


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("color", ["black", "white"])
def test_of_an_animation_that_begins_with_nothing_the_first_frame_that_shows_something_is_judged(
    format_: str, color: str
) -> None:
    blank = [Image.new("RGB", (200, 200), color), Image.new("RGB", (200, 200), (9, 9, 9))]
    frames = [*blank, *(photo(200, 200, seed) for seed in (5, 6, 7, 8))]
    data = animation(format_, frames)
    found = decode_whole(data, SIZE)
    assert [part.frame for part in found.parts] == [2, 3, 5]
    for crop, part in zip(found.crops, found.parts, strict=True):
        shown = np.asarray(frames[part.frame].resize((SIZE, SIZE)), np.float64)
        assert np.abs(crop - shown).mean() < 12
    assert np.array_equal(decode(data, SIZE).crop, found.crop)
    preview = decode_shown(data).preview
    assert preview is not None
    assert preview.std() > 10


def test_an_animation_of_nothing_shows_nothing() -> None:
    shades = [Image.new("RGB", (200, 200), (n, n, n)) for n in range(0, 250, 10)]
    with pytest.raises(UnreadableImageError, match="one colour") as refusal:
        decode_whole(animation("GIF", shades))
    assert refusal.value.code == "blank"


def test_a_long_beginning_of_nothing_is_looked_at_as_far_as_it_is_soon_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antifake.core.frames.MAX_DECODED_PIXELS", 200 * 200 * 3)
    shades = [Image.new("RGB", (200, 200), (n, n, n)) for n in range(0, 50, 10)]
    with pytest.raises(UnreadableImageError, match="one colour"):
        decode_whole(animation("GIF", [*shades, photo(200, 200)]))


# --- Cases that people met ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("png-text-ztxt-1.3mb.png", None),
        ("png-iccp-1.3mb.png", None),
        ("png-crc-text.png", None),
        ("png-idat-adler-wrong.png", "all of the picture is there"),
        ("jpeg-no-eoi.jpg", "all of the picture is there"),
        ("jpeg-last-20-bytes-missing.jpg", "is missing; the rest was judged"),
        ("jpeg-last-2pct-missing.jpg", "is missing; the rest was judged"),
        ("gif-last-3pct-missing.gif", "is missing; the rest was judged"),
        ("gif-black-first-frame.gif", None),
        ("apng-black-first-frame.png", None),
        ("webp-white-first-frame.webp", None),
    ],
)
def test_pictures_that_were_refused_are_judged(name: str, note: str | None) -> None:
    found = decode_whole((shared_data("cases") / name).read_bytes())
    assert (found.note is None) == (note is None)
    assert (note or "") in (found.note or "")
