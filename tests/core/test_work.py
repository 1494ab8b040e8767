"""Small files that are far more work than their bytes: refused by their headers, or soon ended."""

import struct
import time

import pytest
from kit.pace import within
from kit.pictures import MOST_SCANS, picture, saved, scan_bomb
from PIL import Image

from antifake.core import jpeg_reader
from antifake.core.errors import UnreadableImageError
from antifake.core.images import decode_whole
from antifake.core.jpeg_scans import passes_of
from antifake.core.upright import ALWAYS_PASSES, _check_passes

pytestmark = pytest.mark.attack
END = b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def empty_scans(n: int, between: bytes = b"", side: int = 7900) -> bytes:
    """A grey JPEG of 62 megapixels, each of whose scans says in 80 bytes that all is zero."""
    table = segment(0xDB, b"\0" + bytes([1] * 64))
    frame = segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes((1, 0x11, 0)))
    # The only code says that the next 2**14 to 2**15 blocks have no more coefficients.
    codes = segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")
    runs = -(-((-(-side // 8)) ** 2) // (2**15 - 1))
    bits = ("0" + "1" * 14) * runs
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    scan = segment(0xDA, bytes((1, 1, 0, 1, 63, 0))) + data
    return b"\xff\xd8" + table + frame + codes + scan + (between + scan) * (n - 1) + END


def refused(data: bytes) -> tuple[str, float]:
    """Returns the code, and how many processor seconds it took."""
    began = time.process_time()
    with pytest.raises(UnreadableImageError) as refusal:
        decode_whole(data)
    return refusal.value.code, time.process_time() - began


@pytest.mark.parametrize(
    "between",
    [
        b"",
        b"between segments decoders pass over anything",
        b"\xff\x01\xff\xd0\xff\xff\xff",
        segment(0xFE, b"a comment with \xff\xd9 and \xff\xda"),
        segment(0xE1, b""),
    ],
)
def test_a_jpeg_of_two_thousand_scans_is_refused_by_its_header(between: bytes) -> None:
    data = empty_scans(2000, between)
    assert passes_of(data, 5000) == 2000
    code, took_s = refused(data)
    assert code == "too_much_work"
    assert took_s < within(1)


def test_a_small_jpeg_of_a_hundred_thousand_scans_is_refused_as_well() -> None:
    code, took_s = refused(empty_scans(100_000, side=100))
    assert code == "too_much_work"
    assert took_s < within(1)


def test_scans_of_several_components_count_as_several_passes() -> None:
    grey, in_color = (saved(picture(1).convert(mode), "JPEG") for mode in ("L", "RGB"))
    assert (passes_of(grey, 99), passes_of(in_color, 99)) == (1, 3)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_no_progressive_jpeg_of_an_encoder_comes_near_the_limit(mode: str) -> None:
    data = saved(picture(1).convert(mode), "JPEG", progressive=True, quality=100, subsampling=0)
    assert 6 <= passes_of(data, 1000) <= 24


def test_pictures_behind_the_end_and_within_a_segment_are_no_scans_of_it() -> None:
    """As in the files of phones: a thumbnail, a map of brightness, a video."""
    plain, other = saved(picture(1), "JPEG"), saved(picture(2), "JPEG", progressive=True)
    data = plain[:2] + segment(0xE1, other) + plain[2:] + other * 50
    assert passes_of(data, 1000) == 3
    assert decode_whole(data).format == "JPEG"


def test_counting_takes_no_longer_the_more_there_is_to_count() -> None:
    data = empty_scans(800_000, side=100)
    began = time.process_time()
    assert passes_of(data, 1000) == 1001
    assert time.process_time() - began < within(1)


def test_the_most_work_that_a_jpeg_may_be_is_still_decoded() -> None:
    code, _took = refused(scan_bomb())
    assert code == "blank"
    code, _took = refused(scan_bomb(MOST_SCANS + 1))
    assert code == "too_much_work"


@pytest.mark.parametrize("cut", [2, 3, 1000])
def test_a_jpeg_that_ends_too_early_is_decoded_no_oftener_than_twice(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[jpeg_reader._Feed] = []
    give = jpeg_reader._Feed.give

    def counted(feed: jpeg_reader._Feed, piece: bytes) -> None:
        given.append(feed)
        give(feed, piece)

    monkeypatch.setattr(jpeg_reader._Feed, "give", counted)
    whole = saved(picture(1, 300), "JPEG", progressive=True)
    assert decode_whole(whole[:-cut]).note
    assert len(given) == len({id(feed) for feed in given}) == 2


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_large_jpeg_of_a_usual_encoder_is_no_more_work_than_it_may_be(mode: str) -> None:
    """Its size is put into its header afterwards; its scans count nevertheless."""
    data = saved(picture(1).convert(mode), "JPEG", progressive=True)
    large = Image.new("1", (16_000, 16_000))
    _check_passes(large, data, ALWAYS_PASSES)
    _check_passes(Image.new("1", (8000, 8000)), data, 0)
    with pytest.raises(UnreadableImageError, match="more than 4 passes"):
        _check_passes(large, data, 0)
