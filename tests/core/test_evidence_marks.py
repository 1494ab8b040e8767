"""What generators write into files is found, and nothing else is taken for it."""

import json
import random
import struct
import time
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest
from kit.shared import shared_data
from PIL import Image

from antifake.core.evidence.containers import MAX_CHUNKS, walk
from antifake.core.evidence.marks import camera_in, inert, marks_in

MAGICS = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe1",
    b"RIFF\xff\xff\0\0WEBP",
    b"\0\0\0\x18ftypavif",
    b"II*\0\x08\0\0\0",
]
RECIPE = "a hill\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Model: none"


def png(*chunks):
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    data = out.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def chunk(kind, body, crc=None):
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def text(key, content):
    return chunk(b"tEXt", key.encode() + b"\0" + content.encode("latin-1"))


def found_in(data):
    return [(mark.maker, mark.kind) for mark in marks_in(walk(data))]


def test_every_fixture_says_what_it_should_and_within_300_ms(fixtures):
    folder, expected = fixtures
    assert len(expected) == 74
    for name, wanted in expected.items():
        if name == "stealth.png":
            continue  # in the pixels: see the test below
        started = time.perf_counter()
        container = walk((folder / name).read_bytes())
        found = [[mark.maker, mark.kind] for mark in marks_in(container)]
        assert time.perf_counter() - started < 0.3 * 10, name  # ten times, as machines are busy
        assert found == wanted["marks"], name
        assert (camera_in(container) is not None) == wanted.get("camera", False), name
        if content := wanted.get("provenance", {}).get("content"):
            assert (container.n_c2pa_bytes > 0) == (content != "none"), name


def test_no_photograph_has_a_mark():
    files = sorted((shared_data("test") / "real").rglob("*.*"))
    assert len(files) > 200
    for path in files:
        assert found_in(path.read_bytes()) == [], path


@pytest.mark.parametrize(
    ("software", "maker"),
    [
        ("NovelAI", "novelai"),
        ("Adobe Firefly 3", "firefly"),
        ("Ideogram AI", "ideogram"),
        ("Midjourney v7", "midjourney"),
        ("DALL·E 3", "dalle"),
        ("DALL-E 2", "dalle"),
        ("gpt-image-1", "gpt_image"),
        ("FLUX.1-dev", "flux"),
        ("Black Forest Labs", "flux"),
        ("Leonardo.Ai", "leonardo"),
        ("Recraft V3", "recraft"),
        ("Seedream 4.0", "seedream"),
        ("Image Creator from Designer", "designer"),
        ("ComfyUI", "comfyui"),
        ("Stable Diffusion XL", "stable_diffusion"),
        ("Google Imagen 4", "google"),
    ],
)
def test_a_generator_in_the_field_of_software_is_named(software, maker):
    data = png(chunk(b"iTXt", b"Software\0\0\0\0\0" + software.encode()))
    assert found_in(data) == [(maker, "named")]
    for place in ("Author", "Description", "Copyright", "Title", "Comment"):
        data = png(chunk(b"iTXt", place.encode() + b"\0\0\0\0\0" + software.encode()))
        assert found_in(data) == [], place


@pytest.mark.parametrize("software", ["Adobe Photoshop 26.0", "GIMP 3", "Flux Pavilion", "Imagen"])
def test_other_programs_and_words_are_not(software):
    assert found_in(png(text("Software", software))) == []


def test_draw_things_recipe_is_found_by_its_structure():
    exif = Image.Exif()
    settings = {"c": "a hill", "seed": 1, "steps": 20}
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + json.dumps(settings).encode()
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)
    assert found_in(out.getvalue()) == [("draw_things", "recipe")]


def test_a_swarm_recipe_and_a_graph_are_two_marks_and_a_name_adds_none():
    data = png(
        text("parameters", '{"sui_image_params": {"seed": 1}}'),
        text("prompt", '{"1": {"class_type": "X", "inputs": {}}}'),
        text("Software", "ComfyUI"),
    )
    assert found_in(data) == [("swarmui", "recipe"), ("comfyui", "recipe")]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "TIFF"])
def test_the_same_texts_are_read_in_every_container(kind):
    exif = Image.Exif()
    exif[0x0131] = "NovelAI"
    xmp = b'<x e:DigitalSourceType="http://x/trainedAlgorithmicMedia"/>'
    more = {"tiffinfo": {700: xmp, 0x0131: "NovelAI"}} if kind == "TIFF" else {"exif": exif}
    out = BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, kind, **more, xmp=xmp)
    assert found_in(out.getvalue()) == [("iptc", "declared"), ("novelai", "named")]


def test_nothing_of_a_prompt_is_kept():
    wish = "a very private wish"
    data = png(
        text("parameters", RECIPE.replace("a hill", wish)),
        text("prompt", json.dumps({"1": {"class_type": "T", "inputs": {"text": wish}}})),
        text("Description", f"{wish} Job ID: 01234567-89ab-cdef-0123-456789abcdef"),
    )
    marks = marks_in(walk(data))
    assert len(marks) == 3
    assert wish not in repr(marks)


def test_a_text_whose_checksum_is_wrong_does_not_count():
    body = b"parameters\0" + RECIPE.encode()
    assert found_in(png(chunk(b"tEXt", body))) == [("webui", "recipe")]
    assert found_in(png(chunk(b"tEXt", body, crc=1))) == []


def test_what_was_not_looked_at_is_told():
    assert walk(png(text("a", "b"))).is_complete
    assert not walk(png(*[text("a", "b")] * (MAX_CHUNKS + 1))).is_complete
    assert not walk(png(text("a", "b" * 300_000))).is_complete
    bomb = zlib.compress(b"A" * 50_000_000)
    assert not walk(png(chunk(b"zTXt", b"parameters\0\0" + bomb))).is_complete


def test_quotes_cannot_command_a_terminal_or_a_page():
    assert inert("a\x1b]0;x\x07\u202eb<script>&'\"`") == "a�]0;x��b�script�����"
    assert len(inert("x" * 500)) == 80


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "avif"])
def test_random_bytes_in_a_file_never_raise(fixtures, kind):
    folder, _ = fixtures
    whole = (folder / f"webui.{kind}").read_bytes()
    for seed in range(100):
        rnd = random.Random(seed)  # noqa: S311 - the same bytes in every run
        data = bytearray(whole)
        for _ in range(rnd.randrange(1, 40)):
            data[rnd.randrange(min(len(data), 3000))] = rnd.randrange(256)
        container = walk(bytes(data[: rnd.randrange(20, len(data))]))
        marks_in(container)
        camera_in(container)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(MAGICS), st.binary(max_size=400))
def test_any_bytes_after_a_first_magic_never_raise(magic, rest):
    marks_in(walk(magic + rest))
