"""Suites on disk, each in its own layout: which pictures are found, and as what."""

import sys

import pytest
from kit import suites as trees

from antifake.core.errors import UsageError
from antifake.trainer.benchmark.layouts import find_sets, folder_of
from antifake.trainer.benchmark.suites import suite, suites


def counts(name, root):
    """Returns of each set how many pictures are real and how many are AI-made."""
    return {
        those.name: (
            sum(not one.example.is_fake for one in those.pictures),
            sum(one.example.is_fake for one in those.pictures),
        )
        for those in find_sets(suite(name), root)
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "antifakeprompt",
            {"COCO": (2, 0), "Flickr": (2, 0), "SD2": (0, 2), "SDXL": (0, 2), "DALLE-2": (0, 2)},
        ),
        ("forensynths", {"progan": (4, 4), "biggan": (2, 2)}),
        (
            "universalfakedetect",
            {
                "progan": (4, 4),
                "biggan": (2, 2),
                "guided": (0, 2),
                "ldm_100": (0, 2),
                "imagenet": (2, 0),
                "laion": (2, 0),
            },
        ),
        ("genimage", {"ADM": (2, 2), "BigGAN": (2, 2)}),
        ("aigibench", {"FLUX1-dev": (2, 2), "ProGAN": (2, 2)}),
        ("synthbuster", {"dalle2": (0, 2), "midjourney-v5": (0, 2), "RAISE": (2, 0)}),
        ("raid", {"original": (2, 4), "epsilon32": (2, 4)}),
        ("openfake", {"test": (2, 4)}),
        ("communityforensics", {"CompEval": (2, 4)}),
    ],
)
def test_a_suite_is_found_in_its_own_layout(name, expected, tmp_path):
    root = getattr(trees, name)(tmp_path / "data")
    assert counts(name, root) == expected


def test_sets_come_in_the_order_of_the_paper(tmp_path):
    root = trees.antifakeprompt(tmp_path)
    found = [those.name for those in find_sets(suite("antifakeprompt"), root)]
    assert found == ["COCO", "Flickr", "SD2", "SDXL", "DALLE-2"]


def test_names_are_those_below_the_folder_so_that_every_machine_has_the_same(tmp_path):
    found = []
    for place in ("here", "there"):
        root = trees.raid(tmp_path / place)
        found.append(
            [one.name for those in find_sets(suite("raid"), root) for one in those.pictures]
        )
    assert found[0] == found[1]
    assert "original/gen_1/0.png" in found[0]


def test_generators_of_one_set_are_told_apart(tmp_path):
    original, _ = find_sets(suite("raid"), trees.raid(tmp_path))
    families = {one.example.family for one in original.pictures if one.example.is_fake}
    assert families == {"gen_0", "gen_1"}


def test_a_limit_draws_the_same_pictures_each_time_and_of_every_generator(tmp_path):
    original, _ = find_sets(suite("raid"), trees.raid(tmp_path, n=6))
    first, again, other = (
        [one.name for one in original.sampled(2, seed).pictures] for seed in (0, 0, 1)
    )
    assert first == again != other
    assert [name.split("/")[1] for name in first] == ["real"] * 2 + ["gen_0"] * 2 + ["gen_1"] * 2


def test_a_set_may_be_a_link_to_where_its_pictures_are(tmp_path):
    trees.both(tmp_path / "elsewhere", "0_real", "1_fake", 1)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").symlink_to(tmp_path / "elsewhere")
    assert counts("folders", tmp_path / "data") == {"mine": (1, 1)}


def test_pictures_of_a_list_keep_their_source_and_missing_ones_are_counted(tmp_path):
    (viral,) = find_sets(suite("bfree"), trees.bfree(tmp_path))
    assert [one.example.source for one in viral.pictures] == ["r1"] * 3 + ["f1"] * 3
    assert [one.example.is_fake for one in viral.pictures] == [False] * 3 + [True] * 3
    assert viral.n_missing == 1


def test_a_table_cannot_name_files_outside_its_folder(tmp_path):
    trees.write_csv(tmp_path / "mine.csv", ("file", "label"), [("../secret.png", "real")])
    with pytest.raises(UsageError, match="not below the folder of its table"):
        find_sets(suite("csv"), tmp_path)


def test_a_table_with_another_word_for_a_class_is_refused_with_the_line(tmp_path):
    trees.write_csv(tmp_path / "mine.csv", ("file", "label"), [("a.png", "real"), ("b.png", "?")])
    with pytest.raises(UsageError, match="line 3: the label is '\\?'"):
        find_sets(suite("csv"), tmp_path)


def test_bytes_of_parquet_are_read_by_place_in_any_order(tmp_path):
    (those,) = find_sets(suite("communityforensics"), trees.communityforensics(tmp_path, n=3))
    forwards = [one.read() for one in those.pictures]
    assert len(set(forwards)) == 9
    assert all(data.startswith(b"\x89PNG") for data in forwards)
    assert [one.read() for one in reversed(those.pictures)] == forwards[::-1]
    families = [one.example.family for one in those.pictures]
    assert families == ["galip"] * 3 + [""] * 3 + ["kandinsky"] * 3


def test_a_parquet_file_that_is_none_is_a_sentence(tmp_path):
    (tmp_path / "test-0.parquet").write_bytes(b"not one")
    with pytest.raises(UsageError, match="not a Parquet file that can be read"):
        find_sets(suite("openfake"), tmp_path)


def test_without_pyarrow_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    root = trees.openfake(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'antifake\[benchmark\]'"):
        find_sets(suite("openfake"), root)


def test_an_empty_folder_is_told_with_the_layout_that_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match="val/nature"):
        find_sets(suite("genimage"), tmp_path)


def test_one_suite_may_be_the_folder_itself_and_several_are_below_it(tmp_path):
    assert folder_of(suite("raid"), tmp_path, is_only=True) == tmp_path
    (tmp_path / "raid").mkdir()
    assert folder_of(suite("raid"), tmp_path, is_only=True) == tmp_path / "raid"
    with pytest.raises(UsageError, match="genimage"):
        folder_of(suite("genimage"), tmp_path, is_only=False)


def test_every_suite_says_how_it_lies_and_how_to_get_it():
    assert len(suites()) >= 12
    for each in suites().values():
        assert each.layout
        assert each.access
        assert sum(map(bool, (each.folders, each.parquet, each.csv))) == 1


def test_an_unknown_suite_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="antifakeprompt, forensynths"):
        suite("nothing")
