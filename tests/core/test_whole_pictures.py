"""Which parts of a picture are judged, and what they come to together."""

from dataclasses import replace
from io import BytesIO
from random import Random

import numpy as np
import pytest
from kit.pictures import picture, saved
from PIL import Image, ImageDraw

from antifake.core import images
from antifake.core.batching import judge_pictures
from antifake.core.decoder import Decoder
from antifake.core.errors import NoScoreError
from antifake.core.images import decode, decode_whole
from antifake.core.layout import pictures_on
from antifake.core.parts import (
    MAX_PARTS,
    MAX_PARTS_OF_FIRST_FRAME,
    Box,
    JudgedPart,
    Part,
    combined,
    looks_made,
    places,
    standing_out,
    where,
)
from antifake.core.results import Result
from antifake.core.verdict import Bands, Verdict


def photo(seed, width, height):
    """Soft blots with grain, which have the tones and the edges of a photograph."""
    grain = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    smooth = np.asarray(picture(seed).resize((width, height)), np.float64)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def whole(image, kind="PNG", **options):
    return decode_whole(saved(image, kind, **options), 64)


def covered(found, frame=0):
    """The share of a picture's pixels that some part shows."""
    seen = np.zeros((200, 200), bool)
    for part in found.parts:
        if part.frame == frame:
            box = part.box
            left, right = round(200 * box.left), round(200 * (box.left + box.width))
            top, bottom = round(200 * box.top), round(200 * (box.top + box.height))
            seen[top:bottom, left:right] = True
    return seen.mean()


# --- Along the longer side ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "n"),
    [
        ((300, 300), 1),
        ((300, 240), 1),
        ((330, 240), 3),
        ((240, 427), 3),
        ((700, 300), 3),
        ((800, 200), 5),
        ((4000, 300), 19),
    ],
)
def test_squares_cover_all_of_a_picture_beyond_five_to_four(size, n):
    found = whole(photo(1, *size))
    assert len(found.parts) == len(found.crops) == n
    assert covered(found) >= (0.79 if n == 1 else 0.999)


def test_the_first_square_is_what_training_sees_to_the_last_bit():
    data = saved(photo(2, 900, 400), "PNG")
    assert np.array_equal(decode_whole(data, 64).crop, decode(data, 64).crop)
    assert decode_whole(data, 64).parts[0].box.left == pytest.approx(250 / 900)


def test_each_square_shows_its_part():
    image = photo(9, 900, 300)
    for found in (whole(image), whole(image.transpose(Image.Transpose.TRANSPOSE))):
        shown = np.asarray(
            image if found.width > found.height else image.transpose(Image.Transpose.TRANSPOSE)
        )
        for crop, part in zip(found.crops, found.parts, strict=True):
            assert abs(crop.mean() - in_part(shown, part).mean()) < 3


def in_part(pixels, part):
    height, width = pixels.shape[:2]
    left, top = round(part.box.left * width), round(part.box.top * height)
    right = round((part.box.left + part.box.width) * width)
    return pixels[top : round((part.box.top + part.box.height) * height), left:right]


def test_a_strip_of_any_length_has_a_bounded_number_of_parts():
    found = whole(photo(3, 30_000, 64))
    assert len(found.parts) == MAX_PARTS_OF_FIRST_FRAME - 1
    assert {part.box.left for part in found.parts} >= {0.0}
    assert max(part.box.left + part.box.width for part in found.parts) == pytest.approx(1)


def test_blank_parts_are_left_out_and_a_picture_that_is_blank_in_its_middle_is_judged():
    image = Image.new("RGB", (900, 300), "white")
    image.paste(photo(4, 300, 300), (600, 0))
    found = whole(image)
    assert found.parts
    assert all(part.box.left > 0.3 for part in found.parts)


# --- Pictures on a page -----------------------------------------------------------------


def page(size, *placed, background="white", text=True):
    """A page with pictures, each (seed, left, top, width, height), and lines of text."""
    image = Image.new("RGB", size, background)
    draw = ImageDraw.Draw(image)
    for top in range(10, size[1] - 10, 24) if text else ():
        draw.text((20, top), "The quick brown fox jumps over the lazy dog. " * 4, "black")
    for seed, left, top, width, height in placed:
        draw.rectangle((left - 8, top - 8, left + width + 8, top + height + 8), background)
        image.paste(photo(seed, width, height), (left, top))
    return image


def overlap(one, other):
    """Intersection over union."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(0, across) * max(0, down)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def found_on(image):
    width, height = image.size
    return [
        (box.left * width, box.top * height, box.width * width, box.height * height)
        for box in pictures_on(image)
    ]


@pytest.mark.parametrize("quality", [None, 70])
def test_the_pictures_of_a_screenshot_are_found(quality):
    places = [(5, 620, 90, 420, 300), (6, 620, 480, 420, 260)]
    shot = page((1200, 800), *places)
    if quality:
        shot = Image.open(BytesIO(saved(shot, "JPEG", quality=quality))).convert("RGB")
    found = found_on(shot)
    for _, *place in places:
        assert max(overlap(place, one) for one in found) > 0.9
    assert len(found) == 2


def test_the_photograph_on_a_scan_with_grain_is_found():
    scan = page((1000, 1400), (7, 150, 300, 700, 500), background=(238, 234, 226))
    grain = np.random.default_rng(0).normal(0, 2, (1400, 1000, 1))
    scan = Image.fromarray(np.clip(np.asarray(scan) + grain, 0, 255).astype(np.uint8))
    assert [overlap((150, 300, 700, 500), one) > 0.9 for one in found_on(scan)] == [True]


@pytest.mark.parametrize("gutter", [0, 6])
def test_the_pictures_of_a_collage_are_found(gutter):
    collage = Image.new("RGB", (900, 600), "white")
    places = [(x, y, 300 - gutter, 300 - gutter) for y in (0, 300) for x in (0, 300, 600)]
    for seed, (left, top, width, height) in enumerate(places):
        collage.paste(photo(20 + seed, width, height), (left, top))
    found = found_on(collage)
    assert len(found) == 6
    for place in places:
        assert max(overlap(place, one) for one in found) > 0.9


@pytest.mark.parametrize("seed", range(8))
def test_a_photograph_is_not_cut_up(seed):
    assert pictures_on(photo(40 + seed, 1200, 800)) == []


def test_text_and_a_blank_page_have_no_pictures():
    assert pictures_on(page((1200, 900))) == []
    assert pictures_on(Image.new("RGB", (800, 800), "grey")) == []


def test_the_picture_of_a_screenshot_is_judged_at_its_own_size():
    shot = page((1200, 800), (5, 820, 90, 320, 300))
    found = whole(shot)
    place = (820 / 1200, 90 / 800, 320 / 1200, 300 / 800)
    boxes = [(one.box.left, one.box.top, one.box.width, one.box.height) for one in found.parts]
    assert max(overlap(place, box) for box in boxes) > 0.85


# --- Frames -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_a_middle_and_the_last_frame_are_judged(kind):
    frames = [photo(60 + n, 90, 90) for n in range(7)]
    options = {"save_all": True, "append_images": frames[1:]}
    if kind == "WEBP":
        options["lossless"] = True
    found = whole(frames[0], kind, **options)
    assert [part.frame for part in found.parts] == [0, 3, 6]
    for crop, part in zip(found.crops, found.parts, strict=True):
        shown = np.asarray(frames[part.frame].resize((64, 64)), np.float64)
        assert np.abs(crop - shown).mean() < 12


def test_a_later_frame_that_is_damaged_leaves_the_first():
    frames = [photo(70 + n, 90, 90) for n in range(4)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    found = decode_whole(data[: 2 * len(data) // 5], 64)
    assert found.parts[0].frame == 0


def test_an_endless_animation_is_judged_as_far_as_it_is_soon_reached(monkeypatch):
    monkeypatch.setattr("antifake.core.frames.MAX_DECODED_PIXELS", 90 * 90 * 4)
    frames = [photo(80 + n, 90, 90) for n in range(12)]
    found = whole(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert [part.frame for part in found.parts] == [0, 2, 4]


def test_a_gif_of_a_million_frames_is_judged_by_its_first():
    data = saved(photo(90, 90, 90), "GIF")
    frame = b"\x21\xf9\x04\x04\0\0\0\0" + data[data.index(b"\x2c") : -1]
    found = decode_whole(data[:-1] + frame[:9] * 20_000 + b"\x3b", 64)
    assert [part.frame for part in found.parts] == [0]


# --- From parts to a verdict ----------------------------------------------------------


def test_one_part_is_its_own_verdict_and_more_parts_have_to_be_surer():
    assert combined([0.7]) == pytest.approx(0.7)
    assert 0.6 < combined([0.1, 0.7, 0.1]) < 0.7
    assert combined([0.1] * 4 + [0.7]) < combined([0.1] * 2 + [0.7])
    assert combined([0.0, 1.0]) == 1
    assert combined([0.0, 0.0]) == 0


def in_a_row(*scores):
    parts = [Part(Box(left, 0, 0.4, 1)) for left in (0.3, 0, 0.6)]
    return [JudgedPart(part, score) for part, score in zip(parts, scores, strict=True)]


def test_the_part_that_stands_out_is_named():
    assert where(standing_out(in_a_row(0.2, 0.1, 0.9), "fake")) == "on the right"
    assert standing_out(in_a_row(0.7, 0.8, 0.9), "fake") is None
    assert standing_out([], "fake") is None


@pytest.mark.parametrize("bands", [Bands(), Bands(0.3, 0.8), Bands(0.5, 0.5), Bands(0, 1)])
def test_no_part_is_called_more_than_the_picture_is(bands):
    rng = Random(3)  # noqa: S311
    for _ in range(300):
        parts = in_a_row(*(rng.random() for _ in range(3)))
        p_fake = combined([one.p_fake for one in parts])
        label = bands.label(p_fake)
        named = standing_out(parts, label)
        scores = {one.part: one.p_fake for one in parts}
        if named is not None:
            assert label == bands.label(scores[named]) == "fake"
        if label != "fake":
            assert not any(looks_made(one, label, p_fake) for one in parts)


def test_a_part_at_an_even_chance_is_not_pointed_at_beside_cannot_tell():
    parts = in_a_row(0.2, 0.1, 0.55)
    p_fake = combined([one.p_fake for one in parts])
    assert Bands().label(p_fake) == "unsure"
    assert standing_out(parts, "unsure") is None
    assert not looks_made(parts[2], "unsure", p_fake)


def test_the_parts_of_an_ai_made_picture_that_look_so_are_known():
    parts = in_a_row(0.2, 0.65, 0.97)
    p_fake = combined([one.p_fake for one in parts])
    assert [looks_made(one, "fake", p_fake) for one in parts] == [False, True, True]
    assert not looks_made(parts[2], None, None)


def test_two_parts_at_the_same_place_have_not_the_same_words():
    strip = [Part(Box(n / 6, 0, 1 / 6, 1)) for n in range(6)]
    assert places([*strip, Part(strip[0].box, 3)]) == [
        "on the left (1 of 2)",
        "on the left (2 of 2)",
        "in the middle (1 of 2)",
        "in the middle (2 of 2)",
        "on the right (1 of 2)",
        "on the right (2 of 2)",
        "in a later frame, on the left",
    ]


@pytest.mark.parametrize(
    ("box", "frame", "words"),
    [
        (Box(0, 0, 1, 1), 0, ""),
        (Box(0, 0, 0.5, 1), 0, "on the left"),
        (Box(0.3, 0, 0.4, 1), 0, "in the middle"),
        (Box(0, 0.7, 1, 0.3), 0, "at the bottom"),
        (Box(0.7, 0, 0.3, 0.3), 0, "at the top right"),
        (Box(0, 0, 1, 1), 4, "in a later frame"),
    ],
)
def test_places_have_words(box, frame, words):
    assert where(Part(box, frame)) == words


def test_a_picture_of_which_one_part_has_no_number_gets_no_verdict():
    def judge(crops):
        if any(crop[0, 0, 0] == 9 for crop in crops):
            raise NoScoreError
        return [Verdict(0.2, "real", "m@1", "p@1") for _ in crops]

    good, bad = np.zeros((3, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)
    bad[1] = 9
    first, second = judge_pictures(judge, Bands(), [good, bad])
    assert first.part_scores == (0.2, 0.2, 0.2)
    assert isinstance(second, NoScoreError)


def test_the_line_for_people_names_the_part():
    parts = [Part(Box(left, 0, 0.4, 1)) for left in (0.3, 0, 0.6)]
    verdict = Verdict(0.8, "fake", "m@1", "p@1", (0.2, 0.1, 0.83))
    line = Result.judged("a.png", None, verdict, 1, parts).to_text(percent=True)
    assert line.endswith("a.png: on the right")
    real = replace(verdict, label="real")
    assert Result.judged("a.png", None, real, 1, parts).to_text(percent=True).endswith("a.png")


def test_the_decoders_child_sends_all_parts_and_cannot_send_too_many(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(photo(5, 800, 200), "PNG"))
    with Decoder(size=64, view="whole") as decoder:
        found = decoder.decode(path).picture
    here = images.decode_whole(path.read_bytes(), 64)
    assert np.array_equal(found.crops, here.crops)
    assert [part.to_list() for part in found.parts] == [part.to_list() for part in here.parts]
    assert len(found.parts) <= MAX_PARTS
