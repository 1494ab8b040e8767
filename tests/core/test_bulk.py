"""What a scan by Ray lists, refuses and keeps, without running Ray."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import tiny_prompt
from kit.command_line import antifake as run
from kit.google_cloud import google_bucket, upload
from kit.toy import toy_pictures
from pyarrow import parquet

from antifake.core.bulk.listing import ListingWriter, Sources, path_id
from antifake.core.bulk.output import About, Output
from antifake.core.bulk.pools import Node, Pools, most_cpus
from antifake.core.bulk.stores import Place, place_of
from antifake.core.errors import UsageError
from antifake.core.promptbook import Promptbook
from antifake.core.request_log import scan_by, scan_of
from antifake.core.walk import FileFilter

ALL = FileFilter(recursive=True)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    toy_pictures(folder, n=4)
    (folder / os.fsdecode(b"\xff.png")).touch()
    (folder / "notes.txt").touch()
    return folder


def listing_of(sources, folder, **options):
    """Returns what was listed, as ids and paths, and how many rows were promised."""
    folder.mkdir(exist_ok=True)
    promised = ListingWriter(Place(str(folder)), **options).write(sources)
    tables = [parquet.read_table(file) for file in sorted(folder.glob("*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist()]
    return [(row["id"], row["path"]) for row in rows], promised


def local(*folders, file_filter=ALL):
    return Sources([Place(str(one)) for one in folders], [], file_filter)


def test_a_listing_has_every_picture_once_even_if_folders_overlap(pictures, tmp_path):
    sources = local(pictures / "real", pictures, pictures / "fake")
    rows, promised = listing_of(sources, tmp_path / "listing", rows_a_file=3)
    assert promised == len(rows) == 5
    assert {path for _id, path in rows} == {
        os.fsencode(path) for path in pictures.rglob("*") if path.suffix in (".png", ".jpg")
    }
    assert all(number == path_id(path) for number, path in rows)
    assert sources.others == 1


def test_folders_of_google_cloud_are_entered_though_no_object_stands_for_them(tmp_path):
    toy_pictures(tmp_path / "there", n=4)
    (tmp_path / "there" / "left out" / "below").mkdir(parents=True)
    (tmp_path / "there" / "left out" / "below" / "a.png").touch()
    (tmp_path / "there" / "b.png").touch()
    with google_bucket() as bucket:
        upload(tmp_path / "there", "all of it")
        folder = place_of(f"{bucket}/all of it")

        def listed(number, **chosen):
            rows, _n = listing_of(Sources([folder], [], FileFilter(**chosen)), tmp_path / number)
            return {path.decode().removeprefix(f"{folder.name}/") for _id, path in rows}

        assert listed("1", recursive=False) == {"b.png"}
        assert listed("2", recursive=True, exclude=("left out",)) == {
            *("b.png", "fake/000.jpg", "fake/001.png", "real/000.jpg", "real/001.png")
        }
        assert "left out/below/a.png" in listed("3", recursive=True)


def test_a_folder_of_google_cloud_that_is_taken_is_not_written_to(tmp_path):
    toy_pictures(tmp_path / "there", n=2)
    about = About("tiny", "0", "fp32", "first", [], {})
    with google_bucket() as bucket:
        upload(tmp_path / "there", "taken/rows")
        with pytest.raises(UsageError, match="holds other files"):
            Output(place_of(f"{bucket}/taken")).begin(about, resume=False)


def test_an_id_belongs_to_the_path_and_fits_eight_bytes():
    assert path_id(b"/a/b.png") == path_id(b"/a/b.png") != path_id(b"/a/c.png")
    assert all(-(2**63) <= path_id(bytes([one])) < 2**63 for one in range(256))


def test_two_pictures_that_share_an_id_are_refused_by_name(pictures, tmp_path):
    with pytest.raises(UsageError, match="same number by chance") as refused:
        listing_of(local(pictures / "real"), tmp_path / "listing", id_of=len)
    assert all(str(path) in str(refused.value) for path in (pictures / "real").iterdir())


def test_a_listing_without_any_picture_is_empty(tmp_path):
    (tmp_path / "none").mkdir()
    assert listing_of(local(tmp_path / "none"), tmp_path / "listing") == ([], 0)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"path": ["/a/1.png", "s3://b/c d#.jpg"], "size": [1, 2]},
            ["/a/1.png", "s3://b/c d#.jpg"],
        ),
        ({"bucket": ["b"], "key": ["c/1.png"], "etag": ["x"]}, ["s3://b/c/1.png"]),
        ({"bucket": ["b"], "name": ["c/1.png"]}, ["gs://b/c/1.png"]),
        (
            {
                "bucket": ["b"] * 3,
                "key": ["1.png", "2.png", "3.png"],
                "is_latest": [True, False, True],
                "is_delete_marker": [False, False, True],
            },
            ["s3://b/1.png"],
        ),
        ({"path": ["/a/1.png", "/a/notes.txt"]}, ["/a/1.png"]),
    ],
)
def test_the_inventory_of_a_store_is_a_listing(columns, expected, tmp_path):
    parquet.write_table(pa.table(columns), tmp_path / "inventory.parquet")
    sources = Sources([], [Place(str(tmp_path / "inventory.parquet"))], ALL)
    rows, _promised = listing_of(sources, tmp_path / "listing")
    assert [path.decode() for _id, path in rows] == expected


@pytest.mark.parametrize("content", [b"no table", None])
def test_a_file_that_is_no_inventory_is_refused_in_a_sentence(content, tmp_path):
    path = tmp_path / "inventory.parquet"
    if content is None:
        parquet.write_table(pa.table({"something": [1]}), path)
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"inventory\.parquet"):
        list(Sources([], [Place(str(path))], ALL))


def test_an_address_that_is_no_store_is_not_fetched():
    assert place_of("s3://bucket/pictures/").name == "s3://bucket/pictures"
    assert place_of("pictures").name == str(Path.cwd() / "pictures")
    with pytest.raises(UsageError, match="never fetches"):
        place_of("https://example.org/a.png")


# --- Room in a cluster ---------------------------------------------------------------------


def nodes(*cpus, gpus=0.0):
    return [Node(str(number), float(one), gpus) for number, one in enumerate(cpus)]


def test_two_cpus_of_one_machine_stay_free_wherever_the_pools_end_up():
    assert most_cpus(nodes(4)) == 2
    # With 2 of 2 machines' 6 CPUs taken, 4 are free: never one each.
    assert most_cpus(nodes(3, 3)) == 3
    assert most_cpus(nodes(1, 1)) == most_cpus([]) == 0
    for taken in range(most_cpus(nodes(3, 2)) + 1):
        spread = [(a, taken - a) for a in range(taken + 1) if a <= 3 and taken - a <= 2]
        assert all(max(3 - a, 2 - b) >= 2 for a, b in spread)


def test_pools_that_would_stand_still_are_refused_with_what_fits():
    Pools.chosen(nodes(4), 1, 0, 1)
    with pytest.raises(UsageError, match="At most 2 fit"):
        Pools.chosen(nodes(4), 1, 0, 2)
    with pytest.raises(UsageError, match="At most 0 fit"):
        Pools.chosen(nodes(1, 1), 1, 0, 1)
    with pytest.raises(UsageError, match="enough for 2"):
        Pools.chosen(nodes(8, 8, gpus=1), 3, 1, 1)
    with pytest.raises(UsageError, match="enough for 0"):
        Pools.chosen(nodes(8, 8, gpus=1), 1, 2, 1)


def test_graphics_cards_are_used_where_there_are_enough():
    assert Pools.chosen(nodes(8, 8, gpus=1), 2, None, None) == Pools(2, 1.0, 13)
    assert Pools.chosen(nodes(64, gpus=1), 1, None, None) == Pools(1, 1.0, 16)
    assert Pools.chosen(nodes(16, gpus=1), 2, None, None) == Pools(2, 0.0, 2)
    # Beside a card a detector takes no CPU.
    assert Pools.chosen(nodes(3, gpus=1), 1, 1, None) == Pools(1, 1.0, 1)


# --- The folder ----------------------------------------------------------------------------


def test_ids_that_are_pending_and_final_are_pending_only(tmp_path):
    """Their rows will be removed by the engine, so they must count as not finished."""
    checkpoint = tmp_path / "_checkpoint"
    checkpoint.mkdir()
    for name in ("a_000001.parquet", "a_000001.pending.parquet", "a_000002.parquet"):
        (checkpoint / name).touch()
    (checkpoint / "a_000003.pending.parquet").touch()
    Output(Place(str(tmp_path))).undo_half_commits()
    assert sorted(path.name for path in checkpoint.iterdir()) == [
        "a_000001.pending.parquet",
        "a_000002.parquet",
        "a_000003.pending.parquet",
    ]


@pytest.fixture
def ask(pictures, tiny_home, tmp_path, monkeypatch):
    """Asks for a scan that is refused before Ray starts. Returns what was said."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.setenv(name, "")  # what the command sets is undone with this
    assert tiny_home

    def refused(*options, folder=pictures, out=tmp_path / "out"):
        asked = ("scan", "--engine", "ray", "-r", folder, "-o", out, *options)
        return run(*asked, code=2).stderr

    return refused


@pytest.fixture
def begun(tmp_path, pictures, tiny_home):
    """The description that a scan of these pictures begins with."""
    out = tmp_path / "out"
    out.mkdir()
    manifest = tiny_home.bundle().manifest
    about = {
        "format": 1,
        "model": manifest.version,
        "fingerprint": manifest.fingerprint,
        "dtype": manifest.dtype,
        "prompt": Promptbook(tiny_home.prompts).active(tiny_home.bundle()).version,
        "sources": [str(pictures)],
        "filter": {"recursive": True, "include": [], "exclude": []},
    }

    def write(**others):
        (out / "scan.json").write_text(json.dumps(about | others))

    write()
    return write


def test_an_output_that_exists_is_not_written_to_unless_told(ask, begun):
    begun()
    assert "add --resume" in ask()


def test_a_folder_with_other_files_is_no_output(ask, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    assert "holds other files" in ask(out=tmp_path / "other")
    assert "holds other files" in ask("--resume", out=tmp_path / "other")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"model": "huge@1", "fingerprint": "1"}, "the model huge@1"),
        ({"fingerprint": "1"}, "other weights"),
        ({"dtype": "int8"}, "stored as int8"),
        ({"prompt": "second@1"}, "the prompt second@1"),
        ({"sources": ["/elsewhere"]}, "other sources"),
        ({"filter": {"recursive": False, "include": [], "exclude": []}}, "other options"),
        ({"format": 0}, "another version"),
    ],
)
def test_a_scan_goes_on_with_the_same_only(ask, begun, other, said):
    begun(**other)
    assert said in ask("--resume")


def test_another_prompt_that_was_made_active_is_refused(ask, begun, tiny_home):
    book = Promptbook(tiny_home.prompts)
    book.add("second", tiny_prompt(2).to_bytes())
    book.use("second", tiny_home.bundle())
    begun()
    assert "the prompt first@" in ask("--resume")


def test_options_of_one_engine_are_refused_by_the_other(ask, pictures, tmp_path):
    assert "--jobs does not go with --engine ray" in ask("--jobs", 2)
    assert "--csv does not go with --engine ray" in ask("--csv")
    for option in ("--detectors", "--decoders", "--gpus", "--address", "--listing"):
        said = run("scan", pictures, option, 1, code=2).stderr
        assert f"{option} does not go with --engine local" in said
    assert "-o OUT" in run("scan", "--engine", "ray", pictures, code=2).stderr
    assert "Which folders" in run("scan", "--engine", "ray", "-o", tmp_path, code=2).stderr
    assert "Which folders" in run("scan", code=2).stderr
    assert "no folder" in ask(folder=tmp_path / "missing")


def test_rows_of_something_else_are_refused(tmp_path):
    assert "is no output of" in run("rows", tmp_path, code=2).stderr


def test_stores_and_clusters_of_scans_are_told_as_what_left_this_computer(tiny_home):
    tiny_home.note_request(scan_of("s3://bucket/pictures"), 0)
    tiny_home.note_request(scan_by("10.0.0.1:6379"), 0)
    done = run("privacy")
    assert "s3://bucket/pictures" in done.stdout
    assert "10.0.0.1:6379" in done.stdout
    assert "machines of a cluster" in done.stderr
    assert "No picture ever leaves" not in done.stderr
