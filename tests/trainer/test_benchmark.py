"""`antifake benchmark` from the command line, with the tiny model."""

import csv
import json
import shutil
import signal

import pytest
from kit import suites as trees
from kit.command_line import antifake, ended, start
from kit.waiting import eventually


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    trees.antifakeprompt(root / "antifakeprompt", n=3)
    trees.genimage(root / "genimage", n=3)
    return root


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def results_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jsonl"))


@pytest.mark.usefixtures("tiny_home")
class TestRun:
    def test_every_set_is_a_file_and_every_picture_a_line(self, data, tmp_path):
        done = antifake("benchmark", "run", "antifakeprompt", "genimage", data, "-o", tmp_path)
        names = results_in(tmp_path)
        sets = [name.split(".")[0] for name in names]
        assert sets == [
            *(f"antifakeprompt/{name}" for name in ("COCO", "DALLE-2", "Flickr", "SD2", "SDXL")),
            *(f"genimage/{name}" for name in ("ADM", "BigGAN")),
        ]
        head, *rows = lines_of(tmp_path / names[0])
        assert head["n"] == len(rows) == 3
        assert [row["name"] for row in rows] == [f"COCO/{number}.jpeg" for number in range(3)]
        assert all(0 <= row["p_fake"] <= 1 for row in rows)
        assert rows[0]["header"]["format"] == "JPEG"
        assert str(data) not in (tmp_path / names[0]).read_text()
        assert "7 sets are in" in done.output

    def test_what_is_finished_is_not_judged_again_and_what_is_half_done_goes_on(
        self, data, tmp_path
    ):
        command = ("benchmark", "run", "antifakeprompt", data, "-o", tmp_path)
        antifake(*command)
        whole = {name: (tmp_path / name).read_bytes() for name in results_in(tmp_path)}
        stopped = tmp_path / next(name for name in whole if "/SD2." in name)
        # As a kill leaves it: one row whole, the next one torn.
        head, first, second, _ = stopped.read_bytes().splitlines(keepends=True)
        stopped.write_bytes(head + first + second[:20])
        again = antifake(*command)
        assert [line for line in again.output.splitlines() if "antifakeprompt/" in line] == [
            "antifakeprompt/SD2, delivered, ours: 2 of 3 pictures are left"
        ]
        assert {name: (tmp_path / name).read_bytes() for name in results_in(tmp_path)} == whole

    def test_results_of_other_pictures_are_not_mixed(self, data, tmp_path):
        command = ("benchmark", "run", "genimage", data, "-o", tmp_path)
        antifake(*command)
        before = {name: (tmp_path / name).read_bytes() for name in results_in(tmp_path)}
        refused = antifake(*command, "--limit", 1, code=2)
        assert "other pictures or settings" in refused.output
        assert {name: (tmp_path / name).read_bytes() for name in results_in(tmp_path)} == before

    def test_aligned_pictures_are_all_jpegs_and_stand_beside_those_as_delivered(
        self, data, tmp_path
    ):
        antifake("benchmark", "run", "genimage", data, "-o", tmp_path, "--aligned", "jpeg90")
        delivered, aligned = (
            lines_of(next(tmp_path.rglob(f"ADM.*.{kind}.jsonl")))
            for kind in ("delivered", "jpeg90")
        )
        assert {row["header"]["format"] for row in delivered[1:]} == {"JPEG", "PNG"}
        assert {row["header"]["format"] for row in aligned[1:]} == {"JPEG"}
        tables = {row["header"]["quantisation"] for row in aligned[1:]}
        assert len(tables) == 1
        assert [row["name"] for row in aligned[1:]] == [row["name"] for row in delivered[1:]]
        assert [row["sha256"] for row in aligned[1:]] != [row["sha256"] for row in delivered[1:]]

    def test_a_picture_that_cannot_be_judged_is_a_row_with_a_reason(self, tmp_path):
        root = trees.genimage(tmp_path / "data")
        (root / "ADM/imagenet_ai_0508_adm/val/ai/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nx")
        out = tmp_path / "out"
        done = antifake(
            "benchmark", "run", "genimage", root, "-o", out, "--aligned", "jpeg96", code=1
        )
        assert "2 pictures could not be judged" in done.output
        for path in out.rglob("ADM.*.jsonl"):
            (row,) = [row for row in lines_of(path)[1:] if row["error"]]
            assert (row["name"].rpartition("/")[2], row["p_fake"]) == ("broken.png", None)
        shown = antifake("benchmark", "table", out)
        assert "1 picture could not be judged" in shown.output

    def test_pictures_in_parquet_become_sets_by_generator(self, tmp_path):
        root = trees.openfake(tmp_path / "data")
        antifake("benchmark", "run", "openfake", root, "-o", tmp_path / "out")
        shown = antifake("benchmark", "table", tmp_path / "out", "--format", "csv").output
        rows = list(csv.DictReader(shown.splitlines()))
        balanced = {row["set"]: row["n"] for row in rows if row["measure"] == "balanced"}
        # Two pictures of each generator, beside the same two real ones.
        assert balanced == {"flux.1-dev": "4", "imagen-4.0": "4", "": "2"}

    def test_a_run_that_is_stopped_keeps_what_is_judged_and_goes_on(self, tmp_path):
        trees.both(tmp_path / "data" / "gen", "0_real", "1_fake", 150)
        command = ("benchmark", "run", "folders", tmp_path / "data", "-o", tmp_path / "out")
        running = start(*command)
        eventually(
            lambda: any(path.read_bytes().count(b"\n") > 1 for path in tmp_path.rglob("*.jsonl")),
            120,
        )
        _, said = ended(running, signal.SIGTERM)
        assert "the same command goes on from there" in said
        (path,) = (tmp_path / "out").rglob("*.jsonl")
        before = lines_of(path)
        assert 1 < len(before) < 301
        antifake(*command)
        after = lines_of(path)
        assert after[: len(before)] == before
        assert len({row["name"] for row in after[1:]}) == len(after) - 1 == 300

    def test_nonsense_is_refused_before_a_model_is_loaded(self, data, tmp_path):
        for extra, sentence in (
            (("--aligned", "png"), "png is no alignment"),
            (("--aligned", "jpeg101"), "jpeg101 is no alignment"),
        ):
            refused = antifake("benchmark", "run", "genimage", data, "-o", tmp_path, *extra, code=2)
            assert sentence in refused.output
        refused = antifake("benchmark", "run", "nothing", data, "-o", tmp_path, code=2)
        assert "There is no suite nothing" in refused.output


@pytest.fixture(scope="module")
def results(data, tiny_source, tmp_path_factory):
    """Results of both suites, as delivered and aligned."""
    from antifake.core.catalog import Home
    from antifake.core.prepare import Source, prepare

    home = Home(tmp_path_factory.mktemp("home"))
    prepare(Source(tiny_source), home.models / "tiny", dtype="fp32")
    home.use("tiny")
    from conftest import tiny_prompt

    from antifake.core.promptbook import Promptbook

    Promptbook(home.prompts).add("first", tiny_prompt(1).to_bytes())
    out = tmp_path_factory.mktemp("results")
    command = ("benchmark", "run", "antifakeprompt", "genimage", data, "-o", out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTIFAKE_HOME", str(home.root))
        antifake(*command, "--aligned", "jpeg96", "--prompt", "first")
    return out


@pytest.fixture(scope="module")
def shown(results):
    return antifake("benchmark", "table", results, "--with", "peers", "--oracle").output


def test_the_table_has_real_and_balanced_accuracy_first_and_the_average_last(shown):
    lines = shown.splitlines()
    header = lines[lines.index("### AntifakePrompt: means over sets") + 2]
    cells = [cell.strip() for cell in header.strip("|").split("|")]
    assert cells[2:5] == ["Real, %", "AI-made, %", "Balanced, %"]
    assert cells[-1] == "Paper's average, %"
    row = next(line for line in lines if line.startswith("| tiny") and "as delivered" in line)
    assert "(2 of 2 sets)" in row
    assert "(3 of 21 sets)" in row
    assert row.endswith("(5 of 23 sets) |")


def test_a_set_that_is_missing_is_a_dash(shown):
    (row,) = [line for line in shown.splitlines() if line.startswith("| LaMa |")]
    assert set(row.strip("|").replace(" ", "").split("|")[1:]) == {"-"}


def test_the_average_comes_with_its_warning_where_most_sets_are_ai_made(shown):
    before, after = shown.split("### GenImage", 1)
    assert "whoever calls every picture AI-made gets 60.0 %" in before
    assert "whoever calls" not in after


def test_peers_stand_beside_with_their_sources_and_second_hand_where_they_are(shown):
    rows = [line for line in shown.splitlines() if line.startswith("| AntifakePrompt [")]
    assert any("COCO vs SD2 (150k)" in row and row.endswith("| 91.59 |") for row in rows)
    assert any("second-hand]" in line for line in shown.splitlines())
    assert "[1] arXiv:2310.17419" in shown


def test_balanced_accuracy_of_published_rows_shows_what_their_average_hides(shown):
    """With LaMa in the training the average rises from 91.59 to 92.60."""
    cells = {
        row.split("|")[2].strip(): row.split("|")
        for row in shown.splitlines()
        if row.startswith("| AntifakePrompt [") and "vs SD2" in row
    }
    without, with_lama = cells["COCO vs SD2 (150k)"], cells["COCO vs SD2+LaMa (180k)"]
    assert (without[5].strip(), without[-2].strip()) == ("92.3", "91.59")
    assert (with_lama[5].strip(), with_lama[-2].strip()) == ("89.7", "92.60")


def test_results_of_several_machines_make_one_table(results, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for name in results_in(results):
        if "delivered" in name and "genimage" not in name:
            target = (one if "/COCO." in name else other) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(results / name, target)
    text = antifake("benchmark", "table", one, other).output
    assert "(2 of 2 sets)" in text
    assert "(5 of 23 sets)" in text


def test_half_a_set_is_left_out_and_told(results, tmp_path):
    shutil.copytree(results / "antifakeprompt", tmp_path / "half")
    (path,) = (tmp_path / "half").rglob("SD2.*.delivered.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    text = antifake("benchmark", "table", tmp_path / "half").output
    assert "SD2 is left out, as 2 of 3 pictures are judged" in text
    assert "(2 of 21 sets)" in text


def test_a_figure_a_line_for_programs(results):
    text = antifake("benchmark", "table", results, "--with", "peers", "--format", "csv").output
    rows = list(csv.DictReader(text.splitlines()))
    ours = [row for row in rows if row["detector"].startswith("tiny@") and row["set"] == "COCO"]
    assert {row["alignment"] for row in ours} == {"delivered", "jpeg96"}
    real = next(row for row in ours if row["measure"] == "real")
    assert 0 <= float(real["low"]) <= float(real["percent"]) <= float(real["high"]) <= 100
    theirs = [row for row in rows if row["source"]]
    assert {row["read"] for row in theirs} == {"read", "second-hand"}
    assert all(row["read"] for row in theirs)


def test_the_best_threshold_is_shown_only_when_asked_for(results, shown):
    assert "| Best threshold, % | Paper's average, % |" in shown
    assert "Best threshold" not in antifake("benchmark", "table", results / "genimage").output


@pytest.mark.parametrize(("form", "begin"), [("tex", r"\begin{table}"), ("html", "<!doctype")])
def test_other_forms_hold_the_same_cells(results, form, begin, tmp_path):
    out = tmp_path / f"t.{form}"
    antifake("benchmark", "table", results / "antifakeprompt", "--format", form, "-o", out)
    text = out.read_text()
    assert text.startswith(begin)
    assert "(5 of 23 sets)" in text
    assert "AI-made, \\%" in text or "AI-made, %" in text
    refused = antifake("benchmark", "table", results, "--format", form, "-o", out, code=2)
    assert "exists already" in refused.output


def test_a_folder_without_results_is_a_sentence(tmp_path):
    refused = antifake("benchmark", "table", tmp_path, code=2)
    assert "There are no results" in refused.output
    (tmp_path / "x.jsonl").write_text('{"path": "x"}\n')
    refused = antifake("benchmark", "table", tmp_path, code=2)
    assert "not a file of benchmark results" in refused.output


def test_the_suites_are_listed_with_licence_and_layout():
    text = antifake("benchmark", "list").output
    assert "genimage: GenImage, validation (arXiv:2306.08571)" in text
    assert "licence:" in text
    assert "{set}/imagenet_*/val/ai" in text
