"""Hostile files cost little, never end the reader, and the card says what was not read."""

import random
import struct
import sys
import time
import zlib
from io import BytesIO

import pytest
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest
from kit.pace import within
from kit.pictures import chunk
from kit.signing import KINDS, Authority
from PIL import Image

from antifake.core.evidence.card import Card
from antifake.core.evidence.containers import MAX_CHUNKS
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.provenance import ProvenanceReader
from antifake.core.evidence.reading import read_marks
from antifake.core.evidence.sentences import sentences

pytestmark = pytest.mark.attack

LIMIT_S = 0.3 * 10  # ten times, as machines are busy
TEXT = 262_000
JUMBF_OF_C2PA = bytes.fromhex("6332706100110010800000aa00389b71")


def drawn(kind, width=160):
    out = BytesIO()
    image = Image.linear_gradient("L").convert("RGB").resize((width, 120))
    image.save(out, {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper()))
    return out.getvalue()


def png(*chunks):
    data = drawn("png")
    return data[:33] + b"".join(chunks) + data[33:]


def text(key, content):
    return chunk(b"tEXt", key.encode() + b"\0" + content.encode("latin-1"))


def xmp(content):
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + content.encode())


def repeated(unit):
    return (unit * (TEXT // len(unit) + 1))[:TEXT]


def directory(n_fields, first=1, kind=5, count=20_000, offset=8):
    fields = (
        struct.pack("<HHII", (first + n) & 0xFFFF, kind, count, offset) for n in range(n_fields)
    )
    return b"II*\0\x08\0\0\0" + struct.pack("<H", n_fields) + b"".join(fields) + bytes(4)


def segment(marker, body):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments):
    data = drawn("jpg")
    return data[:2] + b"".join(segments) + data[2:]


def box(kind, body):
    return struct.pack(">I", 8 + len(body)) + kind + body


def nested(depth):
    store = b""
    for _ in range(depth):
        store = box(b"jumb", box(b"jumd", JUMBF_OF_C2PA + b"\3c2pa\0") + store)
    return store


def app11(store):
    parts = [store[at : at + 60_000] for at in range(0, len(store), 60_000)]
    heads = [b"", *[store[:8]] * (len(parts) - 1)]
    return [
        segment(0xEB, b"JP" + struct.pack(">HI", 1, n + 1) + head + part)
        for n, (head, part) in enumerate(zip(heads, parts, strict=True))
    ]


def segments_of(data, marker):
    at, found = 2, []
    while data[at + 1] != 0xDA:
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        found += [data[at:end]] * (data[at + 1] == marker)
        at = end
    return found


def said(reader, data):
    """Returns what was read, the sentences, and how long it took at most."""
    started = time.perf_counter()
    marks = read_marks(data)
    walked_s = time.perf_counter() - started
    found = reader.read(marks, lambda: data)
    card = Card(FileEvidence(marks, found))
    assert walked_s < within(LIMIT_S)
    return found, [one for _, one in sentences(card)]


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def reader(authority):
    with ProvenanceReader(anchors=authority.pem) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_random_bytes_in_a_manifest_never_end_the_child_nor_change_what_is_said(
    authority, reader, kind
):
    whole = authority.signed(drawn(kind), kind)
    n_bytes = read_marks(whole).n_c2pa_bytes
    assert (found := said(reader, whole)[0]).signer == "known"
    child, begin = reader._process, whole.index(b"jumb")
    end = min(len(whole), begin + n_bytes - 8)
    for seed in range(80):
        rnd, data = random.Random(seed), bytearray(whole)  # noqa: S311 - the same in every run
        for _ in range(rnd.choice([1, 2, 5, 20, 100])):
            data[rnd.randrange(begin, end)] = rnd.randrange(256)
        other, _ = said(reader, bytes(data))
        assert other.why_not is None
        assert other.content != "intact" or other.says == found.says
    assert reader._process is child


CREDENTIALS = {
    "90 MB of empty segments": (
        lambda: jpeg(b"\xff\xeb\0\2" * 22_500_000), None, "none", "what could be looked at"),
    "90 MB of zeros": (lambda: png(chunk(b"caBX", bytes(90_000_000))),
        "too_large", "unreadable", "too large"),
    "7.9 MB of zeros": (lambda: png(chunk(b"caBX", bytes(7_900_000))),
        None, "unreadable", "cannot be read"),
    "100 deep": (lambda: png(chunk(b"caBX", nested(100))), None, "unreadable", "cannot be read"),
    "10,000 deep": (lambda: png(chunk(b"caBX", nested(10_000))), None, "unreadable", "cannot"),
    "10,000 deep in a JPEG": (lambda: jpeg(*app11(nested(10_000))), None, "unreadable", "cannot"),
}  # fmt: skip


@pytest.mark.parametrize("case", CREDENTIALS)
def test_hostile_credentials_are_told_within_the_limits(reader, case):
    make, why_not, content, words = CREDENTIALS[case]
    found, texts = said(reader, make())
    assert (found.why_not, found.content, found.signer) == (why_not, content, None)
    assert any(words in one for one in texts), texts


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_credentials_of_another_picture_do_not_count(authority, reader, kind):
    signed = authority.signed(drawn(kind), kind)
    if kind == "jpg":
        copied = drawn(kind, 200)
        copied = copied[:2] + b"".join(segments_of(signed, 0xEB)) + copied[2:]
    else:
        at = signed.index(b"caBX") - 4
        (length,) = struct.unpack_from(">I", signed, at)
        copied = drawn(kind, 200)
        copied = copied[:33] + signed[at : at + 12 + length] + copied[33:]
    found, texts = said(reader, copied)
    assert (found.content, found.says) == ("changed", None)
    assert any("does not count" in one for one in texts)


def test_a_signed_picture_behind_another_is_not_the_picture(authority, reader):
    found, texts = said(reader, drawn("jpg") + authority.signed(drawn("jpg"), "jpg"))
    assert found.content == "none"
    assert reader._process is None
    assert texts[0].startswith("No Content Credentials. ")


def test_credentials_behind_too_many_segments_are_not_said_to_be_missing(authority, reader):
    signed = authority.signed(drawn("jpg"), "jpg")
    _, texts = said(reader, signed[:2] + b"\xff\xe5\0\2" * (MAX_CHUNKS + 1) + signed[2:])
    assert "Most pictures have none" not in texts[0]
    assert "what could be looked at" in texts[0]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
def test_a_child_without_memory_costs_only_this_picture(authority, reader):
    signed = authority.signed(drawn("jpg"), "jpg")
    assert said(reader, signed)[0].content == "intact"
    import resource

    resource.prlimit(reader._process.pid, resource.RLIMIT_AS, (150_000_000, 150_000_000))
    found, texts = said(reader, signed + bytes(200_000_000))
    assert (found.why_not, found.content) == ("crashed", "unreadable")
    assert any("could not be read safely" in one for one in texts)
    assert said(reader, signed)[0].content == "intact"


def test_a_large_signed_picture_is_read_within_the_limits(authority, reader):
    signed = authority.signed(png(chunk(b"juNk", bytes(95_000_000))), "png")
    found, _ = said(reader, signed)
    assert (found.why_not, found.content) == (None, "intact")


NAMES = ("DigitalSourceType", "AISystemUsed", "AIGC", "Credit", "CreatorTool")
PROPERTIES = (
    ':{}="', ":{}>", ':{} rdf:resource="', ":{}><rdf:Alt><rdf:li ", ":{}>" + " " * 99,
    ":{}" + " " * 9 + "=" + " " * 9, ':{}="' + "a" * 3999,
)  # fmt: skip
KEYS = ("parameters", "prompt", "Comment", "Dream", "Description", "Software", "AIGC")
UNITS = ('{"a":', "[", "Steps: 1, ", "-s 1 -S ", "Job ID: 01234567-89ab-cdef-", "DALL", "A", "\n")
NUMBERS = ("9" * 250_000, "0." + "9" * 250_000, "1e" + "9" * 99_000, "NaN", "-Infinity", "-1e999")
MANY = "{" + ",".join(f'"{n}":{{}}' for n in range(20_000)) + "}"
BOMB = zlib.compress(b"A" * 50_000_000)
TEXTS = {
    "380 graphs": lambda: png(*[text("prompt", MANY)] * 380),
    "5,001 chunks": lambda: png(*[text("prompt", "{}")] * 5_001),
    "100 bombs": lambda: png(*[chunk(b"zTXt", b"parameters\0\0" + BOMB)] * 100),
    "100 bombs of XMP": lambda: png(
        *[chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB)] * 100
    ),
    "300 EXIF blocks": lambda: png(*[chunk(b"eXIf", directory(20_000))] * 300),
    "EXIF in itself": lambda: png(chunk(b"eXIf", directory(1, 0x8769, 4, 1))),
    "a TIFF of 60,000 fields": lambda: directory(60_000, count=60_000),
    "a TIFF whose maker is 5,000,000 numbers": lambda: (
        directory(1, 0x010F, count=5_000_000, offset=40) + bytes(50_000_000)
    ),
    "1,500 comments": lambda: jpeg(*[segment(0xFE, b"Steps: 1, " * 6_500)] * 1_500),
    "1,500 packets of XMP": lambda: jpeg(
        *[segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b':AIGC="' * 9_000)] * 1_500
    ),
    "1,500 lists of IPTC's": lambda: jpeg(
        *[segment(0xED, b"Photoshop 3.0\x008BIM\4\4" + b"\x1c\2\x6e\0\0" * 13_000)] * 1_500
    ),
    "90 MB of fill bytes": lambda: drawn("jpg")[:2] + b"\xff" * 90_000_000,
    "extents of no bytes": lambda: (
        box(b"ftyp", b"avif" + bytes(8))
        + box(b"meta", bytes(4) + box(b"iinf", bytes(6)) + box(
            b"iloc", bytes(6) + struct.pack(">H", 5_000) + struct.pack(">HHH", 1, 0, 65_535) * 5_000
        ))
    ),
}  # fmt: skip


PASSED_OVER = (
    "EXIF in itself", "extents of no bytes", "a TIFF whose maker is 5,000,000 numbers",
)  # fmt: skip
"""They say nothing that could be a text."""


@pytest.mark.parametrize("case", TEXTS)
def test_many_and_large_texts_are_bounded_and_told(case):
    data = TEXTS[case]()
    started = time.perf_counter()
    marks = read_marks(data)
    assert time.perf_counter() - started < within(LIMIT_S)
    assert (marks.found, marks.camera) == ((), None)
    assert marks.is_complete == (case in PASSED_OVER)


def test_texts_that_patterns_could_choke_on_are_bounded():
    hostile = [png(xmp(repeated(one.format(name)))) for name in NAMES for one in PROPERTIES]
    hostile += [png(text(key, repeated(unit))) for key in KEYS for unit in UNITS]
    hostile += [
        png(text(key, f'{{"Label": {number}, "seed": {number}}}'))
        for key in KEYS
        for number in NUMBERS
    ]
    for data in hostile:
        started = time.perf_counter()
        assert len(read_marks(data).found) <= 1, data[:200]
        assert time.perf_counter() - started < within(LIMIT_S), data[:200]


def test_changes_to_any_fixture_end_in_an_answer_within_300_ms(fixtures):
    folder, expected = fixtures
    assert len(expected) == 74
    for name in expected:
        whole = (folder / name).read_bytes()
        for seed in range(50):
            rnd, data = random.Random(seed), bytearray(whole)  # noqa: S311
            for _ in range(rnd.randrange(1, 30)):
                data[rnd.randrange(min(len(data), 5_000))] = rnd.randrange(256)
            started = time.perf_counter()
            read_marks(bytes(data[: rnd.randrange(len(data) // 2, len(data) + 1)]))
            assert time.perf_counter() - started < within(LIMIT_S), (name, seed)
