"""Figures of sets and means over them, against sums done by hand."""

import numpy as np
import pytest

from antifake.trainer.benchmark.figures import (
    Detector,
    agreement,
    figures_of,
)
from antifake.trainer.benchmark.published import peers, published
from antifake.trainer.benchmark.results import Head, Judged, Row
from antifake.trainer.benchmark.suites import suite, suites
from antifake.trainer.report.estimates import wilson
from antifake.trainer.report.headers import Header


def row(number, is_fake, p_fake, **more):
    known = {"source": "", "family": "", "sha256": "0", "error": None, **more}
    return Row(f"{is_fake}/{number}", is_fake, p_fake=p_fake, **known)


def rows(is_fake, hits, n, **more):
    """Returns n pictures of a class, of which some are called what they are."""
    right, wrong = (0.9, 0.1) if is_fake else (0.1, 0.9)
    return [row(at, is_fake, right if at < hits else wrong, **more) for at in range(n)]


def judged(suite_name, set_name, those, n=None, **more):
    head = Head(
        **{
            "suite": suite_name,
            "set": set_name,
            "model": "m@1",
            "prompt": "p@1",
            "alignment": "delivered",
            "protocol": "ours",
            "n": len(those) if n is None else n,
            "pictures": "",
            "limit": None,
            "seed": 0,
            **more,
        }
    )
    return Judged(head, those)


def figures(*results):
    (found,) = figures_of(results)
    return found


def test_means_give_every_set_the_same_weight():
    found = figures(
        judged("antifakeprompt", "COCO", rows(False, 9, 10)),
        judged("antifakeprompt", "Flickr", rows(False, 1, 2)),
        judged("antifakeprompt", "SD2", rows(True, 30, 100)),
    )
    assert found.real.estimate.value == pytest.approx((0.9 + 0.5) / 2)
    assert found.fake.estimate.value == pytest.approx(0.3)
    assert found.balanced.value == pytest.approx((0.7 + 0.3) / 2)
    assert found.average.estimate.value == pytest.approx((0.9 + 0.5 + 0.3) / 3)
    assert [(mean.n, mean.of) for mean in (found.real, found.fake, found.average)] == [
        (2, 2),
        (1, 21),
        (3, 23),
    ]


def test_calling_everything_ai_made_is_rewarded_where_most_sets_are():
    only_fakes = [judged("antifakeprompt", name, rows(True, 9, 9)) for name in ("SD2", "IF", "LTE")]
    found = figures(judged("antifakeprompt", "COCO", rows(False, 0, 9)), *only_fakes)
    assert found.always_fake == found.average.estimate.value == 0.75
    assert found.balanced.value == 0.5
    both = figures(judged("genimage", "ADM", rows(False, 0, 5) + rows(True, 5, 5)))
    assert both.always_fake == both.average.estimate.value == both.balanced.value == 0.5


def test_a_set_of_one_class_has_wilsons_interval():
    found = figures(judged("antifakeprompt", "SD2", rows(True, 20, 20))).sets["SD2"]
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(
        (wilson(20, 20).low, wilson(20, 20).high)
    )
    assert not found.balanced.is_known
    assert not found.auc.is_known


def test_sets_without_real_pictures_borrow_those_that_the_suite_names():
    found = figures(
        judged("synthbuster", "RAISE", rows(False, 8, 10)),
        judged("synthbuster", "dalle2", rows(True, 6, 10)),
        judged("synthbuster", "dalle3", rows(True, 2, 10)),
    )
    assert list(found.sets) == ["dalle2", "dalle3"]
    assert found.sets["dalle2"].balanced.value == pytest.approx(0.7)
    assert (found.real.n, found.real.of) == (2, 9)
    assert found.real.estimate.value == pytest.approx(0.8)
    assert found.balanced.value == pytest.approx((0.8 + 0.4) / 2)


def test_pictures_of_parquet_are_parted_by_generator():
    those = [
        *rows(False, 4, 4),
        *rows(True, 1, 2, family="flux"),
        *rows(True, 3, 3, family="imagen"),
    ]
    found = figures(judged("openfake", "test", those))
    assert {name: one.fake.value for name, one in found.sets.items()} == {"flux": 0.5, "imagen": 1}
    assert all(one.n_real == 4 for one in found.sets.values())


def spread_of(shares):
    results = [
        judged("aigibench", f"g{at}", rows(False, 50, 50) + rows(True, round(50 * share), 50))
        for at, share in enumerate(shares)
    ]
    mean = figures(*results).fake.estimate
    return mean.high - mean.low


def test_the_interval_of_a_mean_is_of_other_sets_not_of_other_pictures():
    alike, apart = spread_of([0.5] * 10), spread_of([0.0, 1.0] * 5)
    assert alike == 0
    assert apart > 0.3


def test_with_few_sets_the_interval_is_of_other_pictures():
    few = figures(judged("antifakeprompt", "COCO", rows(False, 10, 10))).real.estimate
    many = figures(judged("antifakeprompt", "COCO", rows(False, 1000, 1000))).real.estimate
    assert few.value == many.value == 1
    assert few.low < 0.9
    assert many.low > 0.99


def test_copies_of_one_picture_are_resampled_together():
    """50 copies of 10 pictures tell about as much as 10 pictures."""

    def of(source):
        those = []
        for is_fake in (False, True):
            for at in range(10):
                right = at % 2 == 0
                those += rows(is_fake, 50 if right else 0, 50, source=source(is_fake, at))
        found = figures(judged("bfree", "viral", those)).sets["viral"].balanced
        return found.high - found.low

    together, apart = of(lambda is_fake, at: f"{is_fake}{at}"), of(lambda _is_fake, _at: "")
    assert together > 4 * apart


def test_the_best_threshold_is_found_and_needs_both_classes():
    those = [row(at, False, 0.6 + at / 100) for at in range(5)]
    those += [row(at, True, 0.8 + at / 100) for at in range(5)]
    found = figures(judged("genimage", "ADM", those))
    assert found.balanced.value == 0.5
    best, threshold = found.oracle
    assert best == 1
    assert 0.64 <= threshold < 0.8
    fakes = figures(judged("antifakeprompt", "IF", those[5:]))
    assert np.isnan(fakes.oracle[0])


def test_the_blind_classifier_tells_a_set_whose_formats_give_it_away():
    def of(kind):
        fakes = [row(at, True, 0.5, header=Header(kind, 1.0, 10, 10)) for at in range(20)]
        reals = [row(at, False, 0.5, header=Header("JPEG", 1.0, 10, 10)) for at in range(20)]
        return figures(judged("genimage", "ADM", reals + fakes)).blind

    assert of("PNG") == 1
    assert of("JPEG") == pytest.approx(0.5, abs=0.1)


def test_the_blind_classifier_takes_a_suite_together_whose_sets_have_one_class():
    reals = [row(at, False, 0.5, header=Header("JPEG")) for at in range(9)]
    fakes = [row(at, True, 0.5, header=Header("PNG")) for at in range(9)]
    found = figures(judged("antifakeprompt", "COCO", reals), judged("antifakeprompt", "SD2", fakes))
    assert found.blind == 1
    assert np.isnan(found.sets["SD2"].blind)


def test_half_a_set_and_pictures_without_a_score_count_nowhere():
    broken = [row(at, True, None, error="Broken.") for at in range(3)]
    found = figures(
        judged("genimage", "ADM", rows(False, 5, 5) + rows(True, 2, 4) + broken),
        judged("genimage", "BigGAN", rows(False, 0, 5), n=10),
    )
    assert found.sets["ADM"].fake.value == 0.5
    assert found.sets["ADM"].n_failed == 3
    assert list(found.sets) == ["ADM"]
    assert list(found.unfinished) == ["BigGAN"]
    assert (found.average.n, found.average.of) == (1, 8)


def test_each_way_of_judging_is_a_detector_of_its_own():
    those = rows(True, 1, 2)
    found = figures_of(
        [
            judged("genimage", "ADM", those, alignment=alignment, protocol=protocol)
            for alignment, protocol in (
                ("delivered", "official"),
                ("jpeg96", "ours"),
                ("delivered", "ours"),
            )
        ]
    )
    assert [one.detector for one in found] == [
        Detector("m@1", "p@1", "delivered", "ours"),
        Detector("m@1", "p@1", "jpeg96", "ours"),
        Detector("m@1", "p@1", "delivered", "official"),
    ]


def test_agreement_is_over_the_pictures_that_both_have_judged():
    ours = judged("genimage", "ADM", [row(at, True, at / 10) for at in range(10)])
    theirs = judged("genimage", "ADM", [row(at, True, 0.9) for at in range(8)])
    assert agreement([ours], [theirs]).value == 2 / 8  # 0.6 and 0.7; 0.5 is a tie, so real


def test_every_published_figure_has_a_source_and_says_whether_it_was_read_there():
    found = published()
    assert len(found) == 576
    assert {one.read for one in found} == {"read", "read (abstract)", "second-hand"}
    assert all(one.source and one.method and one.value for one in found)
    assert {one.suite for one in found} - {""} <= set(suites())


def test_published_sets_are_sets_of_their_suite():
    for one in published():
        if one.set:
            assert one.set in suite(one.suite).sets, one


def test_real_and_fake_of_a_published_row_are_means_of_its_printed_sets():
    paper = suite("antifakeprompt")
    (lama,) = [
        one
        for one in peers(paper)
        if (one.method, one.trained_on) == ("AntifakePrompt", "COCO vs SD2+LaMa (180k)")
    ]
    real, fake = (lama.mean(paper, is_fake=kind) for kind in (False, True))
    assert (real[1], fake[1]) == (2, 14)
    assert (real[0] + fake[0]) / 2 == pytest.approx(89.74, abs=0.01)
    assert lama.of_suite("average") == "92.60"
