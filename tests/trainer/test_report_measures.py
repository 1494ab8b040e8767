"""Intervals, measures and the classifier that sees no pixels, on numbers and files made here."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.shared import shared_data
from kit.toy import plain_pictures
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from antifake.core.errors import UnreadableImageError
from antifake.core.results import Result
from antifake.core.verdict import Bands, Verdict
from antifake.trainer.evaluate import Judged
from antifake.trainer.examples import from_manifest
from antifake.trainer.report.blind import blind_p_fake
from antifake.trainer.report.comparison import compare
from antifake.trainer.report.estimates import Groups, groups_of, resamples, wilson
from antifake.trainer.report.headers import CAP, Header, parse_header, read_header
from antifake.trainer.report.measures import MEASURES, Scores, bound, measured
from antifake.trainer.report.tables import confusion, part_tables


def scores(n=200, gap=0.2, seed=0):
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.3
    p_fake = (0.4 + gap * truth + random.normal(0, 0.2, n)).clip(0, 1).round(2)  # with ties
    return Scores(truth, p_fake, Bands())


def judged_by(examples, p_fake_of):
    """As the detector would: every example gets a verdict."""
    return [
        Judged(
            Result.judged(
                str(one.path),
                None,
                Verdict(p_fake_of(one), Bands().label(p_fake_of(one)), "m@1", "p@1"),
                1,
            ),
            one,
        )
        for one in examples
    ]


def one_each(truth):
    return Groups(np.arange(len(truth)), False)


def test_measures_are_scikit_learns_where_it_has_them():
    some = scores()
    found = {name: bound(name, some)(np.ones((1, 200)))[0] for name in MEASURES}
    assert found["auc"] == pytest.approx(roc_auc_score(some.truth, some.p_fake))
    assert found["brier"] == pytest.approx(brier_score_loss(some.truth, some.p_fake))
    called = some.p_fake > 0.5
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(some.truth, called))


def test_a_weight_of_two_is_a_picture_twice():
    some = scores(60)
    weights = np.random.default_rng(1).integers(0, 4, 60).astype(float)
    repeated = some.where(np.repeat(np.arange(60), weights.astype(int)))
    for name in MEASURES:
        once = bound(name, repeated)(np.ones((1, len(repeated.truth))))
        assert bound(name, some)(weights[None]) == pytest.approx(once), name


def test_every_interval_holds_its_figure():
    some = scores(40)
    for found in measured(some, one_each(some.truth)).values():
        assert found.low <= found.value <= found.high


@given(st.integers(1, 300), st.floats(0, 1))
def test_wilsons_interval_holds_the_share_and_never_closes(n, share):
    hits = round(share * n)
    found = wilson(hits, n)
    assert -1e-9 <= found.low <= hits / n <= found.high <= 1 + 1e-9
    assert found.high > found.low


def test_no_share_is_certain_because_few_pictures_agree():
    found = measured(Scores(np.arange(8) < 4, np.zeros(8), Bands()), one_each(np.arange(8)))
    assert found["real_accuracy"].value == found["real_accuracy"].high == 1
    assert found["real_accuracy"].low == pytest.approx(0.51, abs=0.01)


def test_pictures_of_one_source_widen_the_interval():
    """Thirty copies of each of twenty pictures are worth twenty pictures."""
    few = scores(20, gap=0.3)
    many = few.where(np.repeat(np.arange(20), 30))
    groups = Groups(np.repeat(np.arange(20), 30), True)
    by_source = measured(many, groups)["auc"]
    by_picture = measured(many, one_each(many.truth))["auc"]
    assert by_source.high - by_source.low > 2 * (by_picture.high - by_picture.low)


def test_no_resample_lacks_a_class_and_sources_stay_whole():
    truth = np.array([False] * 90 + [True] * 10)
    sources = [f"r{at % 5}" for at in range(90)] + [f"f{at % 5}" for at in range(10)]
    groups = groups_of(truth, sources)
    assert groups.are_sources
    every = np.concatenate(list(resamples(truth, groups)))
    assert every.shape == (1000, 100)
    for weights in every:
        assert weights[truth].sum() > 0
        assert weights[~truth].sum() > 0
        assert all(len(set(weights[groups.ids == group])) == 1 for group in range(10))


@pytest.mark.parametrize("sources", [["", *"abcdefghi"], ["a", "b"] * 5])
def test_sources_are_not_drawn_where_they_are_unknown_or_few(sources):
    assert not groups_of(np.array([False, True] * 5), sources).are_sources


def test_a_class_that_is_absent_is_no_figure_and_no_failure():
    some = Scores(np.ones(5, bool), np.linspace(0, 1, 5), Bands())
    found = measured(some, one_each(some.truth))
    assert not found["auc"].is_known
    assert not found["real_accuracy"].is_known
    assert found["fake_accuracy"].value == pytest.approx(2 / 5)
    assert found["unsure"].value == pytest.approx(1 / 5)


# --- Without pixels -----------------------------------------------------------------------


def blind_auc(table):
    return compare(judged_by(from_manifest(table), lambda _: 0.5), Bands()).blind_figures["auc"]


def test_where_all_fakes_are_png_the_blind_classifier_knows_them(tmp_path):
    assert blind_auc(plain_pictures(tmp_path, fakes_as="png")).value > 0.95


def test_where_files_are_alike_the_blind_classifier_knows_nothing(tmp_path):
    table = plain_pictures(tmp_path, n=120)
    compared = compare(judged_by(from_manifest(table), lambda _: 0.5), Bands())
    assert compared.to_dict()["intervals_over"] == "sources"
    found = compared.blind_figures["auc"]
    assert 0.3 < found.value < 0.7
    assert found.low <= 0.5 <= found.high


def test_the_blind_classifier_judges_no_source_that_it_learned_from():
    """Every source has a width of its own, which says nothing of the next source's label."""
    truth = np.repeat(np.random.default_rng(0).permutation(40) < 20, 10)
    sources = np.repeat(np.arange(40), 10)
    headers = [Header("JPEG", 1e5, 200 + 7 * source, 300) for source in sources]
    auc = {}
    for groups in (Groups(sources, True), one_each(truth)):
        p_fake = blind_p_fake(headers, truth, groups)
        auc[groups.are_sources] = roc_auc_score(truth, p_fake)
    assert auc[False] > 0.95
    assert auc[True] < 0.75


def test_one_class_has_no_blind_classifier_but_everything_else(tmp_path):
    fakes = [one for one in from_manifest(plain_pictures(tmp_path, n=12)) if one.is_fake]
    compared = compare(judged_by(fakes, lambda _: 0.9), Bands())
    assert compared.blind is None
    assert compared.figures["fake_accuracy"].value == 1
    json.dumps(compared.to_dict(), allow_nan=False)
    assert [len(table.parts) for table in part_tables(compared)] == [1, 1, 1]


def test_nothing_judged_is_no_failure(tmp_path):
    example = from_manifest(plain_pictures(tmp_path, n=2))[0]
    row = Result.failed("x", None, UnreadableImageError("Broken."), 1)
    compared = compare([Judged(row, example)], Bands())
    json.dumps(compared.to_dict(), allow_nan=False)
    assert confusion(compared.ours)[0][:2] == ("real", 0)


def test_rows_of_a_table_hold_one_class_each(tmp_path):
    examples = from_manifest(plain_pictures(tmp_path, n=24))
    tables = part_tables(compare(judged_by(examples, lambda one: 0.9 * one.is_fake), Bands()))
    assert [(part.name, part.is_fake, part.n) for part in tables[2].parts] == [
        ("photo", False, 12),
        ("photo", True, 12),
    ]
    assert [part.name for part in tables[1].parts] == ["toy"]
    assert all(part.accuracy.value == 1 for table in tables for part in table.parts)


# --- Headers ------------------------------------------------------------------------------

SHAPED = [
    ("JPEG", {}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("AVIF", {}),
    ("WEBP", {"quality": 50}),
    ("WEBP", {"lossless": True}),
]


@pytest.mark.parametrize(("kind", "options"), SHAPED)
def test_a_header_says_format_and_size(tmp_path, kind, options):
    path = tmp_path / "picture"
    Image.effect_noise((93, 71), 50).convert("RGB").save(path, kind, **options)
    header = read_header(path)
    assert (header.format, header.width, header.height) == (kind, 93, 71)
    assert header.n_bytes == path.stat().st_size
    assert not header.has_exif
    assert not header.has_icc


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_header_says_whether_there_are_exif_and_profile(tmp_path, kind):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    path = tmp_path / "picture"
    Image.new("RGB", (80, 80)).save(path, kind, exif=exif, icc_profile=b"\0" * 200)
    header = read_header(path)
    assert header.has_exif
    assert header.has_icc


def test_coarser_jpegs_have_larger_tables(tmp_path):
    sums = []
    for quality in (95, 75, 40):
        Image.new("RGB", (80, 80)).save(tmp_path / "a.jpg", quality=quality)
        sums.append(read_header(tmp_path / "a.jpg").quantisation)
    assert sums == sorted(sums)


@given(
    st.sampled_from(
        [
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"GIF8",
            b"BM",
            b"RIFF1234WEBP",
            b"\0\0\0\x20ftypavif",
            b"II*\0",
        ]
    ),
    st.binary(max_size=400),
)
def test_no_header_makes_the_reader_fail(magic, rest):
    assert parse_header(magic + rest).format


def test_a_header_that_never_ends_is_read_to_the_cap_only(tmp_path):
    """A PNG of empty chunks, and one chunk that claims four gigabytes."""
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 70, 80) + b"\0" * 9
    (tmp_path / "many").write_bytes(start + struct.pack(">I4sI", 0, b"tEXt", 0) * CAP)
    (tmp_path / "huge").write_bytes(start + struct.pack(">I4s", 2**32 - 1, b"tEXt"))
    for name in ("many", "huge"):
        assert (read_header(tmp_path / name).width, read_header(tmp_path / name).height) == (70, 80)


def test_a_file_that_is_gone_has_no_header(tmp_path):
    assert read_header(tmp_path / "gone").format == Header().format == ""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "AVIF", "TIFF"])
def test_malformed_pictures_have_headers_or_none_but_no_failure(tmp_path, kind):
    """Cut off at every length of its head, and with each of its first bytes changed."""
    path = tmp_path / "picture"
    Image.effect_noise((93, 71), 50).convert("RGB").save(path, kind)
    data = path.read_bytes()
    for length in range(min(len(data), 700)):
        parse_header(data[:length])
    for at in range(min(len(data), 300)):
        parse_header(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
    path.write_bytes(data[:100])
    assert read_header(path).n_bytes == 100


def test_malformed_pictures_from_outside_have_headers_or_none_but_no_failure():
    """Skipped, and said so, where the pictures beside the project are missing."""
    for path in shared_data("badimages").iterdir():
        if path.is_file():
            read_header(path)
