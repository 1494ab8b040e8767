"""The report on a picture: what it says, as HTML and as PDF, through the API, page and command."""

import hashlib
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import pytest
from kit.pages import NOW, World, ago, scene, webp
from PIL import Image
from pypdf import PdfReader

from antifake.core.embedded import embedded_model
from antifake.core.parts import WHOLE, Box, JudgedPart, Part
from antifake.core.preview import preview
from antifake.daemon import report
from antifake.daemon.report import error_rates
from antifake.daemon.service.service import Service

ROOT = Path(__file__).parents[2]
FORMATS = ["html", "pdf"]
SHIPPED = {"model": error_rates.MODEL, "prompt": "shipped@77aa01b2"}


def text_of(data: bytes, kind: str) -> str:
    """Returns what a reader reads, on one line."""
    if kind == "pdf":
        found = " ".join(page.extract_text() for page in PdfReader(BytesIO(data)).pages)
    else:
        html = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", data.decode(), flags=re.DOTALL)
        found = re.sub(r"<[^>]+>", " ", html)
    return " ".join(found.split())


def made(service: Service, name: str, kind: report.Format = "html", **about) -> bytes:
    return report.made(service, name, kind, NOW, **about)


def picture_of(data: bytes) -> Image.Image:
    (found,) = re.findall(rb'src="data:image/jpeg;base64,([^"]+)"', data)
    return Image.open(BytesIO(b64decode(found)))


def with_file(here: World, folder: Path, name: str, **about):
    """Adds a check of a picture that is there: 320 x 180, with an author in its metadata."""
    out = BytesIO()
    exif = Image.Exif()
    exif[0x013B] = "Jane Secret"
    scene(3, 320, 180).save(out, "JPEG", exif=exif)
    file = folder / name
    file.write_bytes(out.getvalue())
    sha256 = hashlib.sha256(out.getvalue()).hexdigest()
    return here.add(sha256=sha256, path=str(file), thumb=scene(3), **about), file


@pytest.mark.parametrize("kind", FORMATS)
def test_a_report_says_what_a_reader_needs_and_no_path(here, tmp_path, kind):
    check, file = with_file(here, tmp_path, "sunset.jpg", label="fake", p_fake=0.87)
    here.service.correct([check.id], "real", "page", "my own note")
    said = text_of(made(here.service, check.id, kind), kind)
    for words in (
        "Likely AI-made",
        "87 % sure",
        "how sure the model is of its verdict",
        "mini@1f3a90c2",
        "shipped@77aa01b2",
        "found in a watched folder",
        "22 November 2026",
        "sunset.jpg",
        "1600 x 900 pixels",
        "The user of antifake said on",
        "that this picture is real.",
        "This is no proof.",
        "The file itself, with the bytes that were judged.",
    ):
        assert words in said
    assert check.sha256 in said.replace(" ", "")
    for private in (str(file.parent), "my own note", "Jane"):
        assert private not in said


def test_the_picture_in_a_report_is_the_whole_file_without_its_metadata(here, tmp_path):
    check, file = with_file(here, tmp_path, "sunset.jpg")
    data = made(here.service, check.id)
    assert picture_of(data).size == (320, 180)
    assert b"Jane" in file.read_bytes()
    assert not picture_of(data).getexif()


def test_a_file_that_has_changed_is_not_shown_and_the_report_says_what_is(here, tmp_path):
    check, file = with_file(here, tmp_path, "sunset.jpg")
    scene(9, 320, 180).save(file, "JPEG")
    small = made(here.service, check.id)
    assert picture_of(small).size == (128, 128)
    assert "Not the file: a small picture" in text_of(small, "html")
    here.service.crop_files.write(check.sha256, webp(scene(3, 224, 224)))
    kept = made(here.service, check.id)
    assert picture_of(kept).size == (224, 224)
    assert "Not the file: the square of it that the model saw" in text_of(kept, "html")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_report_without_any_picture_says_so(here, kind):
    check = here.add("gone.jpg")
    said = text_of(made(here.service, check.id, kind), kind)
    assert "The file is not there any more, and no picture of it was kept." in said


@pytest.mark.parametrize("kind", FORMATS)
def test_the_name_can_be_left_out(here, kind):
    check = here.add("Anna Example at school.jpg", thumb=scene(1))
    assert "Anna Example" in text_of(made(here.service, check.id, kind), kind)
    data = made(here.service, check.id, kind, with_name=False)
    assert "Anna" not in text_of(data, kind)
    assert b"Anna" not in data


@pytest.mark.parametrize("kind", FORMATS)
def test_of_a_web_page_only_the_site_is_told(here, kind):
    check = here.add(page="https://news.example.org/me?token=1", source="extension", thumb=scene(1))
    said = text_of(made(here.service, check.id, kind), kind)
    assert "news.example.org" in said
    assert "token" not in said


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"label": "unsure", "p_fake": 0.5}, "Cannot tell"),
        ({"label": "real", "p_fake": 0.04}, "finds no sign of a generator; it is 96 % sure"),
        (
            {"label": None, "p_fake": None, "error": "The picture ends in the middle."},
            "The picture ends in the middle.",
        ),
    ],
)
def test_every_verdict_has_its_report(here, kind, about, sentence):
    check = here.add("a.jpg", **about)
    assert sentence in text_of(made(here.service, check.id, kind), kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_error_rates_are_told_of_the_model_that_was_measured_only(here, kind):
    shipped = here.add("a.jpg", **SHIPPED)
    assert "were called AI-made" in text_of(made(here.service, shipped.id, kind), kind)
    for other in ({"prompt": "mine@12345678"}, {"model": "mini@97e30cb6"}):
        check = here.add("b.jpg", **(SHIPPED | other))
        said = text_of(made(here.service, check.id, kind), kind)
        assert "this version of antifake knows no error rates" in said
        assert "were called" not in said


def strip_of(n: int) -> tuple[JudgedPart, ...]:
    boxes = [Box(at / n, 0, 1 / n, 1) for at in range(n)]
    return tuple(JudgedPart(Part(box), 0.1) for box in boxes)


ON_A_PAGE = (JudgedPart(WHOLE, 0.1), JudgedPart(Part(Box(0.1, 0.1, 0.4, 0.3)), 0.2))
IN_FRAMES = (JudgedPart(WHOLE, 0.1), JudgedPart(Part(Box(0, 0, 1, 1), 7), 0.2))


@pytest.mark.parametrize(
    ("size", "parts", "words"),
    [
        ((1000, 800), (JudgedPart(WHOLE, 0.1),), "538 pictures, half of them AI-made, each judged"),
        ((1600, 900), None, "538 pictures, half of them AI-made, each judged by one square"),
        ((1600, 900), strip_of(3), "266 pictures wider or taller than 5 : 4, 61 of them"),
        ((600, 1500), strip_of(3), "of the real ones, 0.5 % were called AI-made"),
        ((4000, 1000), strip_of(5), "178 pictures four times as long as they are wide, 96 of"),
        ((6000, 1000), strip_of(7), "pictures of this shape has not been measured"),
        ((900, 900), ON_A_PAGE, "42.5 % of the screenshots, 42.5 % of the scans and 40 % of the"),
        ((900, 900), IN_FRAMES, "pictures of this shape has not been measured"),
    ],
)
def test_error_rates_are_those_of_pictures_judged_in_such_parts(here, size, parts, words):
    check = here.add("a.jpg", width=size[0], height=size[1], parts=parts, **SHIPPED)
    said = text_of(made(here.service, check.id), "html")
    assert words in said
    if parts and len(parts) > 1:
        assert f"in {len(parts)} parts" in said


def test_the_error_rates_are_those_of_the_model_card():
    assert embedded_model().manifest.version == error_rates.MODEL, "measure the new one first"
    card = " ".join((ROOT / "MODEL_CARD.md").read_text("utf-8").split())
    one = error_rates.SQUARE
    for words in (
        f"on {one.n_real} real and {one.n_made} AI-made web-like pictures",
        f'"cannot tell", {one.flagged} % "AI-made"; AI-made ones {one.missed} %, '
        f"{one.made_unsure} %, {one.found} %.",
        f'"likely real", {one.real_unsure} % "cannot tell"',
        "Pictures up to 5 : 4 are judged as before.",
        "three up to 5 : 2, five up to 4 : 1",
    ):
        assert words in card
    for row, rates in (
        ("own, beyond 5 : 4", error_rates.WIDER),
        ("4 : 1", error_rates.STRIP),
        ("screenshots with one to three pictures", error_rates.PAGES["screenshots"]),
        ("scans with one", error_rates.PAGES["scans"]),
        ("collages of two to nine", error_rates.PAGES["collages"]),
    ):
        assert as_in_the_card(row) == (rates.flagged, rates.found)
    for row, rates in (("own, beyond 5 : 4", error_rates.WIDER), ("4 : 1", error_rates.STRIP)):
        assert f"| {row} ({rates.n_real}, {rates.n_made}) |" in card
    assert "forty of each kind, all photographs or with one of them AI-made" in card
    assert {(one.n_real, one.n_made) for one in error_rates.PAGES.values()} == {(40, 40)}


def as_in_the_card(row: str) -> tuple[float, float]:
    """Returns how many real ones of a row are flagged now, and how many AI-made ones, in percent.

    The cells are "before, now (before, now above 0.5)"; the two before the last, or the last two.
    """
    section = (ROOT / "MODEL_CARD.md").read_text("utf-8").split("## Whole pictures")[1]
    [line] = [one for one in section.splitlines() if one.startswith((f"| {row} |", f"| {row} ("))]
    cells = [cell for cell in line.split("|") if "%" in cell]
    flagged, found = (re.findall(r"([0-9.]+) %", cell) for cell in cells)
    return float(flagged[1]), float(found[1])


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_check_gives_the_same_bytes(here, tmp_path, kind):
    check, _ = with_file(here, tmp_path, "sunset.jpg")
    assert made(here.service, check.id, kind) == made(here.service, check.id, kind)


@pytest.mark.attack
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        "Größe Ωmega Привет.jpg",
        "写真 サンプル.jpg",
        "صورة שלום.jpg",
        "👩\u200d🌾 photo.jpg",
        "<img src=x onerror=alert(1)><b>&amp;.png",
        "caf\udce9\udcff.jpg",
        "two\nlines\x00\u202egpj.exe",
        "n" * 200 + ".jpg",
    ],
)
def test_any_name_can_be_reported(here, kind, name):
    check = here.add(name, thumb=scene(1))
    data = made(here.service, check.id, kind)
    assert "Report on a picture" in text_of(data, kind)
    if kind == "html":
        assert b"<img src=x" not in data
        assert b"\n".join(data.splitlines()).decode()  # it is UTF-8


def test_a_pdf_embeds_its_letters_and_says_which_it_cannot_set(here):
    known, unknown = here.add("Größe Ωmega Привет.jpg"), here.add("写真.jpg")
    pdf = made(here.service, known.id, "pdf")
    assert "Größe Ωmega Привет.jpg" in text_of(pdf, "pdf")
    assert "stands for a letter" not in text_of(pdf, "pdf")
    fonts = PdfReader(BytesIO(pdf)).pages[0]["/Resources"]["/Font"]
    used = [one.get_object() for one in fonts.values() if "DejaVu" in one.get_object()["/BaseFont"]]
    assert used
    assert all("/FontFile2" in one["/FontDescriptor"] for one in used)
    said = text_of(made(here.service, unknown.id, "pdf"), "pdf")
    assert "\ufffd\ufffd.jpg" in said
    assert "stands for a letter" in said
    assert "写真.jpg" in text_of(made(here.service, unknown.id), "html")


@pytest.mark.attack
def test_html_loads_nothing_and_runs_nothing(here, desk_page):
    check = here.add("a <script>alert(1)</script>.jpg", thumb=scene(1))
    data = made(here.service, check.id)
    assert b"<script" not in data
    assert not re.search(rb'(?:src|href)="(?!data:)', data)
    page, asked = desk_page
    page.set_content(data.decode())
    assert page.locator("img").evaluate("one => one.naturalWidth") == 128
    assert asked == []


@pytest.fixture
def desk_page(chromium):
    page, asked = chromium.new_page(), []
    page.on("request", lambda one: None if one.url.startswith("data:") else asked.append(one.url))
    yield page, asked
    page.close()


# --- Preview ------------------------------------------------------------------------------


def test_a_preview_is_upright_small_and_plain():
    out = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    scene(1, 400, 200).save(out, "JPEG", exif=exif)
    found = preview(out.getvalue(), 100)
    assert found is not None
    assert (found.size, found.mode) == ((50, 100), "RGB")


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(500)])
def test_what_is_no_picture_has_no_preview(data):
    assert preview(data) is None


# --- Where it is asked for ------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "start"), [("html", b"<!doctype html>"), ("pdf", b"%PDF-")])
def test_the_page_sends_a_report_as_a_file(here, me, kind, start):
    check = here.add("Anna.jpg", at=ago(days=1), thumb=scene(1))
    shown = me.get(f"/picture/{check.id}").text
    assert "Report: HTML" in shown
    assert "Report: PDF" in shown
    answer = me.get(f"/picture/{check.id}/report?format={kind}&named=yes")
    assert answer.status_code == 200
    assert answer.data.startswith(start)
    expected = f'attachment; filename="antifake-report-{check.id}.{kind}"'
    assert answer.headers["Content-Disposition"] == expected
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Anna" in text_of(answer.data, kind)
    without = me.get(f"/picture/{check.id}/report?format={kind}")
    assert "Anna" not in text_of(without.data, kind)


def test_a_stranger_gets_no_report(here, stranger):
    check = here.add("a.jpg")
    assert stranger.get(f"/picture/{check.id}/report?format=html").status_code == 401


def test_a_report_of_another_kind_or_of_nothing_is_refused(here, me):
    check = here.add("a.jpg")
    assert me.get(f"/picture/{check.id}/report?format=docx").status_code == 400
    assert me.get("/picture/0000000000000/report?format=pdf").status_code == 404
