"""The page, made of real files by the tiny model; it is read as a browser would read it."""

import json
import re
from datetime import date
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from conftest import tiny_prompt
from kit.color_files import ADOBE, gamma
from kit.command_line import antifake
from kit.toy import plain_pictures, toy_pictures
from PIL import Image

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.icc import matrix_profile
from antifake.core.images import decode
from antifake.core.instructblip import load
from antifake.trainer.degradations import DEGRADATIONS
from antifake.trainer.evaluate import judge_labelled
from antifake.trainer.examples import Example, from_folders, from_manifest
from antifake.trainer.report.comparison import compare
from antifake.trainer.report.making import Request, make_page
from antifake.trainer.report.mistakes import name_below, worst
from antifake.trainer.report.robustness import Trial, sample
from antifake.trainer.report.unpacking import unpacked

DAY = date(2020, 2, 29)
SECTIONS = [
    "headline",
    "blind",
    "verdicts",
    "curves",
    "calibration",
    "parts",
    "robustness",
    "mistakes",
    "failed",
    "limits",
]
VOID = {"meta", "img", "br", "use", "path"}


class Page(HTMLParser):
    """What a browser would find on it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def ids(self):
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


@pytest.fixture(scope="module")
def judges(tiny_bundle):
    with Decoder(size=tiny_bundle.manifest.image_size) as decoder:
        yield Detector(load(tiny_bundle), tiny_prompt(1), "first@1"), decoder


def page_of(examples, judges, root, **request):
    judged = list(judge_labelled(*judges, examples))
    comparison = compare(judged, judges[0].prompt.about.bands)
    wish = Request("toy pictures", [root], DAY, **request)
    return make_page(wish, judged, comparison, judges, lambda _done, _total: None).decode()


@pytest.fixture(scope="module")
def full_page(judges, tmp_path_factory):
    """All sections filled: both classes, sources, a broken file, degraded copies."""
    folder = tmp_path_factory.mktemp("full")
    examples = from_manifest(plain_pictures(folder, n=30))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    examples.append(Example(folder / "broken.jpg", is_fake=True, source="made-9"))
    return page_of(examples, judges, folder, degraded=6)


def test_every_section_is_there_and_headings_are_in_order(full_page):
    page = Page(full_page)
    assert not page.open
    assert [one for one in page.ids if one in SECTIONS] == SECTIONS
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(then <= now + 1 for now, then in pairwise(levels))
    for words in (
        "15 real and 15 AI-made",
        "first@1",
        "2020-02-29",
        "screenshot",
        "broken.jpg",
        "Brier",
        "toy",
    ):
        assert words in full_page


def test_the_page_needs_nothing_else(full_page):
    page = Page(full_page)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & {
        tag for tag, _ in page.tags
    }
    for _, attrs in page.tags:
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "action", "srcset", "data"):
                assert value.startswith(("#", "data:image/jpeg;base64,"))
    assert "http" not in full_page.replace("http-equiv", "")
    assert "@import" not in full_page
    assert all(address.startswith("#") for address in re.findall(r"url\(([^)]*)", full_page))
    policy = next(one for one in page.all("meta") if one.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_no_id_is_there_twice_and_every_reference_has_its_aim(full_page):
    page = Page(full_page)
    assert len(page.ids) == len(set(page.ids))
    aims = re.findall(r'(?:href="|url\()#([^")]+)', full_page)
    aims += [attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs]
    assert set(aims) <= set(page.ids)


def test_figures_follow_the_page_and_tables_say_what_they_are(full_page):
    page = Page(full_page)
    assert len(page.all("svg")) == 5
    assert all(svg["role"] == "img" for svg in page.all("svg"))
    drawn = full_page[full_page.index("<svg") :]
    assert not re.search(r"#[0-9a-f]{6}\b", drawn), "a colour that dark mode does not change"
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(th.get("scope") in ("row", "col") for th in page.all("th"))
    assert all(img["alt"] for img in page.all("img"))


def test_thumbnails_are_made_anew_and_hold_nothing_of_the_file(judges, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 80, 3), np.uint8))
    noise.resize((300, 300)).save(tmp_path / "a.jpg", exif=exif)
    text = page_of(
        [Example(tmp_path / "a.jpg", True), Example(tmp_path / "a.jpg", False)], judges, tmp_path
    )
    addresses = [img["src"] for img in Page(text).all("img")]
    assert addresses, "one of the two labels is wrong"
    for address in addresses:
        import base64

        data = base64.b64decode(address.partition(",")[2])
        assert b"SECRET" not in data
        assert Image.open(BytesIO(data)).size == (144, 144)


HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e\n.jpg"


def test_hostile_names_and_labels_stay_text(judges, tmp_path):
    path = tmp_path / HOSTILE.replace("/", "")
    toy_pictures(tmp_path / "toy", n=2)
    path.write_bytes((tmp_path / "toy" / "real" / "000.jpg").read_bytes())
    (tmp_path / f"broken{HOSTILE}").write_bytes(b"")
    evil = {"source": "</td><script>1</script>", "family": "{{ 7 * 7 }}", "kind": HOSTILE}
    examples = [Example(path, fake, **evil) for fake in (False, True)]
    examples.append(Example(tmp_path / f"broken{HOSTILE}", True))
    text = page_of(examples, judges, tmp_path)
    page = Page(text)
    assert not page.all("script")
    assert all(img["src"].startswith("data:") for img in page.all("img"))
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert "49" not in "".join(one for one in page.texts if "7 * 7" in one)
    assert r"\u202e\n.jpg" in "".join(page.texts)


def test_the_place_on_this_computer_is_not_on_the_page(judges, tmp_path):
    real, fake = toy_pictures(tmp_path / "private", n=8)
    (fake / "empty.jpg").write_bytes(b"")
    examples = from_folders(real, fake)
    text = page_of(examples, judges, real)
    assert "private" not in text
    assert str(tmp_path) not in text
    assert name_below(real / "a" / "b.jpg", [fake, real]) == "a/b.jpg"
    assert name_below(fake / "b.jpg", [real]) == "b.jpg"


@pytest.mark.parametrize("is_fake", [False, True])
def test_one_class_alone_has_a_page_that_says_what_is_missing(judges, tmp_path, is_fake):
    real, fake = toy_pictures(tmp_path, n=8)
    examples = from_folders(None if is_fake else real, fake if is_fake else None)
    text = page_of(examples, judges, tmp_path, degraded=2)
    page = Page(text)
    assert [one for one in page.ids if one in SECTIONS] == SECTIONS
    assert "All pictures are" in text
    assert not any(re.search(r"\bnan\b", one.lower()) for one in page.texts)


def test_nothing_judged_at_all_has_a_page(judges, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    text = page_of([Example(tmp_path / "a.jpg", False)], judges, tmp_path, degraded=2)
    assert "No picture could be judged" in text
    assert "This file is empty." in text


def test_the_same_pictures_give_the_same_bytes(judges, tmp_path):
    examples = from_manifest(plain_pictures(tmp_path, n=12))
    first, second = (page_of(examples, judges, tmp_path, degraded=2) for _ in range(2))
    assert first == second


def test_the_worst_come_first_and_only_the_wrong(judges, tmp_path):
    real, fake = toy_pictures(tmp_path, n=40)
    judged = list(judge_labelled(*judges, from_folders(real, fake)))
    accused, missed = worst(judged, is_fake=False), worst(judged, is_fake=True)
    assert [one.row.p_fake for one in accused] == sorted(
        (one.row.p_fake for one in judged if not one.is_fake and one.row.p_fake > 0.5), reverse=True
    )[:12]
    assert [one.row.p_fake for one in missed] == sorted(
        one.row.p_fake for one in judged if one.is_fake and one.row.p_fake <= 0.5
    )[:12]


# --- Robustness ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_is_the_same_every_time_and_decodes(tmp_path, name):
    real, _ = toy_pictures(tmp_path, n=2)
    image = Image.open(real / "000.jpg").resize((300, 200)).convert("RGB")
    first, second = DEGRADATIONS[name](image), DEGRADATIONS[name](image)
    assert first == second
    picture = decode(first)
    expected = {"half size": (150, 100), "screenshot": (1080, 720)}.get(name, (300, 200))
    assert (picture.width, picture.height) == expected
    assert np.abs(picture.crop.astype(int) - np.array(image.resize((336, 224)))[:, 56:280]).any()


def test_noise_differs_from_picture_to_picture():
    flat = [Image.new("RGB", (80, 80), (grey,) * 3) for grey in (100, 101)]
    grains = [
        np.asarray(Image.open(BytesIO(DEGRADATIONS["noise 5"](one)))).astype(int)
        - one.getpixel((0, 0))[0]
        for one in flat
    ]
    assert abs(np.corrcoef(grains[0].ravel(), grains[1].ravel())[0, 1]) < 0.05
    assert grains[0].std() == pytest.approx(5, rel=0.05)


def lossless(image):
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_that_was_only_copied_is_judged_as_before(judges, tmp_path):
    """And what cannot be degraded is left out of both sides of the comparison."""
    real, fake = toy_pictures(tmp_path, n=12)
    judged = list(judge_labelled(*judges, from_folders(real, fake)))
    comparison = compare(judged, judges[0].prompt.about.bands)
    trial = Trial(*judges, comparison, {"copy": lossless, "nothing": lambda _: b""})
    found = trial.run(range(12), lambda _done, _total: None)
    clean, copied, nothing = found.rows
    assert (found.n_real, found.n_fake, found.n_left_out) == (6, 6, 0)
    assert copied.figures == clean.figures
    assert all(one.value == one.low == one.high == 0 for one in copied.changes.values())
    assert nothing.n == 0
    assert not nothing.figures["auc"].is_known


def test_a_file_that_changed_since_it_was_judged_is_not_unpacked(judges, tmp_path):
    real, fake = toy_pictures(tmp_path, n=4)
    judged = list(judge_labelled(*judges, from_folders(real, fake)))
    comparison = compare(judged, judges[0].prompt.about.bands)
    Image.new("RGB", (80, 80)).save(real / "000.jpg")
    found = Trial(*judges, comparison, {"copy": lossless}).run(range(4), lambda _d, _t: None)
    assert (found.n_real, found.n_fake, found.n_left_out) == (1, 2, 1)


def test_a_picture_is_unpacked_in_the_colors_that_were_judged(judges, tmp_path):
    real, fake = toy_pictures(tmp_path, n=4)
    file = real / "000.jpg"
    wide = matrix_profile(ADOBE, gamma(1.8))
    Image.open(file).convert("RGB").save(file, quality=95, icc_profile=wide)
    [one] = [
        one for one in judge_labelled(*judges, from_folders(real, fake)) if one.example.path == file
    ]
    image = unpacked(one)
    assert image is not None
    assert np.array_equal(decode(lossless(image)).crop, decode(file.read_bytes()).crop)


def test_a_sample_takes_half_of_each_class_and_of_every_source_its_share(judges, tmp_path):
    examples = from_manifest(plain_pictures(tmp_path, n=60))
    judged = list(judge_labelled(*judges, examples))
    chosen = [examples[at] for at in sample(judged, 20)]
    assert sum(one.is_fake for one in chosen) == 10
    assert {one.source for one in chosen} == {one.source for one in examples}
    assert len(sample(judged, 1000)) == 60
    assert sample(judged, 20) == sample(judged, 20)


# --- The command --------------------------------------------------------------------------


def evaluate(*arguments, code=0):
    return antifake("evaluate", *arguments, code=code)


@pytest.mark.usefixtures("tiny_home")
def test_the_command_writes_a_report_and_more_in_json(tmp_path):
    table = plain_pictures(tmp_path / "pictures", n=20)
    out = tmp_path / "report.html"
    done = evaluate(
        "--manifest",
        table,
        "--only",
        "00*",
        "--report",
        out,
        "--robustness",
        "--sample",
        2,
        "--json",
    )
    found = json.loads(done.stdout)
    assert (found["n_real"], found["n_fake"]) == (5, 5)
    assert found["intervals"]["auc"][0] <= found["auc"] <= found["intervals"]["auc"][1]
    assert 0 <= found["blind"]["auc"] <= 1
    text = out.read_text()
    assert "table.csv, 00*" in text
    assert "A sample of 1 real and 1 AI-made" in text
    assert "tiny@" in text


@pytest.mark.usefixtures("tiny_home")
def test_a_report_is_never_written_over_and_that_is_said_before_the_work(tmp_path):
    real, _ = toy_pictures(tmp_path / "pictures", n=2)
    (tmp_path / "report.html").write_text("mine")
    assert (
        "exists already"
        in evaluate("--real", real, "--report", tmp_path / "report.html", code=2).stderr
    )
    assert (tmp_path / "report.html").read_text() == "mine"


@pytest.mark.usefixtures("tiny_home")
def test_what_makes_no_sense_together_is_refused(tmp_path):
    table = plain_pictures(tmp_path, n=2)
    evaluate("--manifest", table, "--real", tmp_path, code=2)
    evaluate("--real", tmp_path, "--only", "*", code=2)
    evaluate("--manifest", table, "--robustness", code=2)
    evaluate("--manifest", table, "--only", "nothing*", code=2)
    evaluate("--manifest", tmp_path / "gone.csv", code=2)
