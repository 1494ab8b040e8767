"""The commands of core as a person types them, on the tiny model.

Most run in this process. What depends on a process of its own (signals, pipes, the encoding of
the terminal) has one.
"""

import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import tiny_prompt
from kit.command_line import antifake as run
from kit.command_line import ended, process, start
from kit.official import write_evil_pth, write_official_pth
from kit.processes import children
from kit.toy import toy_pictures
from kit.waiting import eventually
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

from antifake.core.verdict import Bands

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    toy_pictures(folder, n=8)
    return folder


def test_check_prints_one_array_with_every_field(pictures, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    good = sorted((pictures / "real").iterdir())[:2]
    done = run("check", *good, tmp_path / "broken.jpg", tmp_path / "gone.png", "--json", code=1)
    rows = json.loads(done.stdout)
    assert [row["path"] for row in rows] == [
        *map(str, good),
        str(tmp_path / "broken.jpg"),
        str(tmp_path / "gone.png"),
    ]
    for row in rows[:2]:
        assert row["label"] in ("real", "fake", "unsure")
        assert 0 <= row["p_fake"] <= 1
        assert row["error"] is None
        assert row["model"].startswith("tiny@")
        assert row["prompt"].startswith("first@")
        assert row["ms"] > 0
        assert len(row["sha256"]) == 64
    for row in rows[2:]:
        assert row["label"] is row["p_fake"] is None
        assert row["error"].endswith(".")


def test_check_shows_words_and_a_percentage_only_on_demand(pictures):
    path = next((pictures / "real").iterdir())
    assert "%" not in run("check", path).stdout
    plain = run("check", path).stdout.splitlines()
    assert plain[0].split() == ["VERDICT", "PICTURE"]
    assert str(path) in plain[1]
    assert "fake" not in plain[1].replace(str(path), "")


def test_check_reads_standard_input(pictures):
    data = next((pictures / "real").glob("*.png")).read_bytes()
    done = subprocess.run(
        process("check", "-", "--json"), input=data, capture_output=True, check=True
    )
    row = json.loads(done.stdout)[0]
    assert row["path"] == "-"
    assert row["label"]


def test_a_hostile_file_name_cannot_command_the_terminal(pictures, tmp_path):
    evil = tmp_path / "a\x1b[31m\nlikely real b.png"
    evil.write_bytes(next((pictures / "real").glob("*.png")).read_bytes())
    done = run("check", evil)
    assert "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == 2
    assert json.loads(run("check", evil, "--json").stdout)[0]["path"] == str(evil)


def test_a_name_that_is_not_utf8_is_judged_and_survives_in_json(pictures, tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(name)).write_bytes(next((pictures / "real").glob("*.png")).read_bytes())
    row = json.loads(run("check", os.fsdecode(name), "--json").stdout)[0]
    assert os.fsencode(row["path"]) == name
    assert r"\udcff" in run("check", os.fsdecode(name)).stdout


def test_scan_writes_jsonl_and_csv_of_the_same_rows(pictures, tmp_path):
    lines = run("scan", "-r", "--jsonl", pictures).stdout.splitlines()
    rows = {row["path"]: row for row in map(json.loads, lines)}
    assert len(rows) == 8
    table = list(csv.DictReader(io.StringIO(run("scan", "-r", "--csv", pictures).stdout)))
    assert {row["path"]: row["label"] for row in table} == {
        path: row["label"] for path, row in rows.items()
    }
    assert not run("scan", "--jsonl", pictures, code=2).stdout
    run("scan", "-r", pictures, "-o", tmp_path / "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 8


def test_scan_resumes_after_a_kill_without_doing_anything_twice(pictures, tmp_path):
    out = tmp_path / "out.jsonl"
    run("scan", "-r", pictures, "-o", out)
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    # As a kill leaves it: five rows and a torn sixth.
    out.write_bytes(b"".join(lines[:5]) + lines[5][:30])
    done = run("scan", "-r", pictures, "-o", out, "--resume")
    assert "3 pictures" in done.stderr
    paths = [json.loads(line)["path"] for line in out.read_text().splitlines()]
    assert len(paths) == len(set(paths)) == 8


def test_scan_resumes_csv_too(pictures, tmp_path):
    out = tmp_path / "out.csv"
    run("scan", "-r", "--csv", pictures, "-o", out)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]) + lines[4][:20])
    run("scan", "-r", "--csv", pictures, "-o", out, "--resume")
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert len({row["path"] for row in rows}) == len(rows) == 8


def test_scan_never_overwrites_and_never_appends_to_a_strangers_file(pictures, tmp_path):
    out = tmp_path / "notes.jsonl"
    out.write_text("dear diary\n")
    assert "exists already" in run("scan", "-r", pictures, "-o", out, code=2).stderr
    assert (
        "not the JSONL output" in run("scan", "-r", pictures, "-o", out, "--resume", code=2).stderr
    )
    assert out.read_text() == "dear diary\n"


def test_scan_says_with_its_exit_code_what_it_found(tiny_home, pictures, tmp_path):
    # A threshold far below every margin: all of them are called AI-made.
    from antifake.core.promptbook import Promptbook

    book = Promptbook(tiny_home.prompts)
    book.add("paranoid", tiny_prompt(1, threshold=-1e6).to_bytes())
    book.add("trusting", tiny_prompt(1, threshold=1e6).to_bytes())
    book.add("careful", tiny_prompt(1, bands=Bands(0.0, 1.0)).to_bytes())
    run("scan", "-r", pictures, "--fail-on", "fake", "--prompt", "paranoid", code=10)
    run("scan", "-r", pictures, "--fail-on", "fake", "--prompt", "trusting")
    run("scan", "-r", pictures, "--fail-on", "unsure", "--prompt", "careful", code=10)
    run("scan", "-r", pictures, "--fail-on", "fake", "--prompt", "careful")
    (tmp_path / "x.PNG").write_bytes(b"")
    done = run("scan", tmp_path, "--prompt", "trusting", code=1)
    assert "1 not checked" in done.stderr


def test_scan_says_what_it_left_out(pictures, tmp_path):
    data = next((pictures / "real").glob("*.png")).read_bytes()
    (tmp_path / "a" / "below").mkdir(parents=True)
    (tmp_path / "a" / "below" / "b.png").write_bytes(data)
    for name in ("notes.txt", "film.mp4", ".hidden", "excluded.txt"):
        (tmp_path / "a" / name).write_bytes(b"x")
    refused = run("scan", tmp_path / "a", code=2)
    assert "There are pictures only in folders below" in refused.stderr
    assert refused.stderr.rstrip().endswith("add -r.")
    (tmp_path / "a" / "c.png").write_bytes(data)
    done = run("scan", tmp_path / "a", "--exclude", "excluded*")
    assert "1 picture:" in done.stderr
    assert "2 other files were passed over" in done.stderr
    assert "Folders below were left out; -r goes into them." in done.stderr
    whole = run("scan", "-r", tmp_path / "a").stderr
    assert "left out" not in whole
    assert "3 other files were passed over" in whole


def test_an_address_and_a_folder_are_told_where_they_belong(pictures, tmp_path):
    for command in ("check", "scan"):
        for address in ("https://example.org/a.png", "FTP://example.org/a"):
            refused = run(command, address, code=2)
            assert f"{address} is an address, and antifake never fetches" in refused.stderr
    assert "`antifake scan` judges the pictures in one" in run("check", tmp_path, code=1).stdout
    picture = next((pictures / "real").iterdir())
    assert "`antifake check` judges single pictures" in run("scan", picture, code=2).stderr
    assert "There is no folder" in run("scan", tmp_path / "none", code=2).stderr


def test_the_bands_of_a_prompt_decide_what_is_called_ai_made(tiny_home, pictures):
    from antifake.core.promptbook import Promptbook

    picture = next((pictures / "real").iterdir())
    p_fake = json.loads(run("check", picture, "--json").stdout)[0]["p_fake"]
    # The same margin, moved to a p_fake of 0.7: AI-made above 0.6, and not above 0.8.
    moved = math.log(p_fake / (1 - p_fake)) - math.log(0.7 / 0.3)
    book = Promptbook(tiny_home.prompts)
    for name, fake_above in (("strict", 0.6), ("lenient", 0.8)):
        prompt = tiny_prompt(1, threshold=moved, bands=Bands(0.4, fake_above))
        book.add(name, prompt.to_bytes())
    said = {}
    for name in ("strict", "lenient"):
        (said[name],) = json.loads(run("check", picture, "--json", "--prompt", name).stdout)
        assert said[name]["p_fake"] == pytest.approx(0.7, abs=1e-3)
    assert said["strict"]["label"] == "fake"
    assert said["lenient"]["label"] == "unsure"


def test_scan_takes_capital_endings_and_obeys_include_and_exclude(pictures, tmp_path):
    data = next((pictures / "real").glob("*.png")).read_bytes()
    for name in ("a.PNG", "b.png", "c.txt", "skip/d.png", "keep/e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    def names(*options):
        lines = run("scan", "-r", "--jsonl", *options, tmp_path).stdout.splitlines()
        return sorted(Path(json.loads(line)["path"]).name for line in lines)

    assert names() == ["a.PNG", "b.png", "d.png", "e.png"]
    assert names("--exclude", "skip") == ["a.PNG", "b.png", "e.png"]
    assert names("--include", "*.txt") == ["c.txt"]


def test_a_circle_of_links_is_walked_once(pictures, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(next((pictures / "real").glob("*.png")).read_bytes())
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    assert len(run("scan", "-r", "--jsonl", tmp_path).stdout.splitlines()) == 1


def many(pictures, folder, n=3000):
    data = next((pictures / "real").glob("*.png")).read_bytes()
    folder.mkdir()
    for number in range(n):
        (folder / f"{number}.png").write_bytes(data)
    return sorted(folder.iterdir())


posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
both_signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@posix
@both_signals
@pytest.mark.parametrize("style", ["jsonl", "csv"])
def test_a_scan_that_is_stopped_keeps_what_is_done(pictures, tmp_path, number, style):
    many(pictures, tmp_path / "in")
    out = tmp_path / "out"
    scan = start("scan", tmp_path / "in", f"--{style}", "-o", out)
    eventually(lambda: out.exists() and out.stat().st_size > 2000)
    _, stderr = ended(scan, number)
    text = out.read_text()
    rows = (
        [json.loads(line) for line in text.splitlines()]
        if style == "jsonl"
        else list(csv.DictReader(io.StringIO(text)))
    )
    assert 0 < len(rows) < 3000
    assert f"Stopped. {len(rows):,} pictures: " in stderr
    assert not any(row["error"] for row in rows)


@posix
@both_signals
def test_a_scan_onto_the_screen_that_is_stopped_ends_with_a_whole_line(pictures, tmp_path, number):
    many(pictures, tmp_path / "in")
    scan = start("scan", tmp_path / "in")
    first = [scan.stdout.readline() for _ in range(9)]
    stdout, stderr = ended(scan, number)
    lines = [*first, *stdout.splitlines(keepends=True)]
    assert all(line.endswith(".png\n") for line in lines[1:])
    assert f"Stopped. {len(lines) - 1:,} pictures: " in stderr


class Opened(FileSystemEventHandler):
    """Notes which files are opened: what a command without output is doing."""

    def __init__(self):
        self.paths = set()

    def on_opened(self, event):
        self.paths.add(event.src_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only there opening a file is an event")
@both_signals
def test_a_check_that_is_stopped_prints_what_is_done_as_valid_json(pictures, tmp_path, number):
    paths = many(pictures, tmp_path / "in")
    opened, observer = Opened(), Observer()
    observer.schedule(opened, str(tmp_path / "in"))
    observer.start()
    check = start("check", "--json", *paths)
    # The decoder is at most a few batches ahead.
    eventually(lambda: len(opened.paths) > 200, 60)
    stdout, stderr = ended(check, number)
    observer.stop()
    rows = json.loads(stdout)
    assert 100 < len(rows) < 3000
    assert [row["path"] for row in rows] == list(map(str, paths[: len(rows)]))
    assert f"Stopped: {len(rows)} of 3,000 pictures were judged." in stderr
    assert not any(row["error"] for row in rows)


@posix
def test_a_check_that_is_stopped_while_the_model_loads_prints_an_empty_list(pictures):
    check = start("check", "--json", *sorted((pictures / "real").iterdir()))
    eventually(lambda: children(check.pid), 60)  # the decoder starts first
    stdout, stderr = ended(check, signal.SIGTERM)
    assert json.loads(stdout) == []
    assert "Stopped: 0 of 4 pictures were judged." in stderr


def test_an_argument_is_echoed_as_it_was_given(pictures, tmp_path, monkeypatch):
    data = next((pictures / "real").glob("*.png")).read_bytes()
    (tmp_path / "caf\u00e9 50%.png").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    address = (tmp_path / "caf\u00e9 50%.png").as_uri()
    given = [
        address,
        address.replace("file:///", "file://localhost/"),
        address.replace("file:///", "FILE:/"),
        "./caf\u00e9 50%.png",
        f"{tmp_path}//caf\u00e9 50%.png",
    ]
    rows = json.loads(run("check", "--json", *given).stdout)
    assert [row["path"] for row in rows] == given
    assert len({row["sha256"] for row in rows}) == 1
    assert given[0] in run("check", address).stdout
    assert (
        "file:///gone.png: There is no such file" in run("check", "file:///gone.png", code=1).stdout
    )
    assert len(run("scan", tmp_path.as_uri()).stdout.splitlines()) == 2
    assert "is on another computer, nas," in run("check", "file://nas/a.png", code=2).stderr


def test_a_reader_who_has_seen_enough_is_no_error(pictures):
    with subprocess.Popen(
        process("scan", "-r", "--jsonl", pictures),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as scan:
        assert scan.stdout.readline()
        scan.stdout.close()
        assert "Traceback" not in scan.stderr.read()


def test_wrong_use_ends_with_2(tmp_path):
    run("check", code=2)
    run("scan", tmp_path / "nowhere", code=2)
    run("scan", tmp_path, "--jobs", "0", code=2)
    run("evaluate", code=2)
    run("model", "use", "../../etc", code=2)


def test_no_model_ends_with_3_and_a_sentence(tmp_path, pictures):
    path = next((pictures / "real").iterdir())
    done = run("check", path, "--model", "nothing", code=3)
    assert len(done.stderr.strip().splitlines()) == 1
    (tmp_path / "empty").mkdir()
    assert "no bundle.json" in run("check", path, "--model", f"{tmp_path}/empty", code=3).stderr


def test_a_changed_byte_in_a_model_is_noticed(tiny_home, pictures):
    shard = tiny_home.models / "tiny" / "model-00001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-100] ^= 1
    shard.write_bytes(bytes(data))
    done = run("check", next((pictures / "real").iterdir()), code=3)
    assert "is damaged" in done.stderr
    assert "is damaged" in run("model", "verify", "tiny", code=3).stderr


def test_a_changed_byte_in_a_prompt_falls_back_to_the_last_good_one(tiny_home, pictures):
    from antifake.core.promptbook import Promptbook

    book = Promptbook(tiny_home.prompts)
    book.add("second", tiny_prompt(2).to_bytes())
    run("prompt", "use", "second")
    path = next((pictures / "real").iterdir())
    assert json.loads(run("check", path, "--json").stdout)[0]["prompt"].startswith("second@")
    file = book.path("second")
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(bytes(data))
    done = run("check", path, "--json")
    assert json.loads(done.stdout)[0]["prompt"].startswith("first@")
    assert "The prompt second" in done.stderr


def test_prompts_are_imported_shown_used_rolled_back_and_exported(tiny_home, tmp_path):
    import torch

    official = write_official_pth(tmp_path / "official.pth", torch.randn(1, 32), torch.randn(1, 64))
    done = run("prompt", "import", official)
    assert "took" in done.stderr
    assert "assumed" in done.stderr
    assert "already" in run("prompt", "import", official, code=2).stderr
    run("prompt", "use", "official")
    listed = json.loads(run("prompt", "list", "--json").stdout)
    assert {row["name"]: row["active"] for row in listed} == {"first": False, "official": True}
    assert "Is this photo real [*]?" in run("prompt", "show", "official").stdout
    run("prompt", "export", "official", tmp_path / "out.safetensors")
    run("prompt", "export", "official", tmp_path / "out.safetensors", code=2)
    run("prompt", "import", tmp_path / "out.safetensors", "--name", "again")
    first, again = (run("prompt", "show", name, "--json").stdout for name in ("official", "again"))
    assert json.loads(first)["id"] == json.loads(again)["id"]
    run("prompt", "rollback")
    assert json.loads(run("prompt", "list", "--json").stdout)[1]["active"]
    assert (tiny_home.prompts / "official.safetensors").is_file()


def test_an_evil_prompt_is_one_sentence_and_runs_nothing(tiny_home, tmp_path):
    path = write_evil_pth(tmp_path / "evil.pth", tmp_path / "canary", kind="zip")
    done = run("prompt", "import", path, code=3)
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "canary").exists()
    assert not (tiny_home.prompts / "evil.safetensors").exists()


def test_a_prompt_for_another_model_is_refused_and_the_old_one_stays(tmp_path):
    import torch

    big = write_official_pth(tmp_path / "big.pth", torch.randn(1, 768), torch.randn(1, 4096))
    run("prompt", "import", big)
    assert "another model" in run("prompt", "use", "big", code=3).stderr
    active = [row for row in json.loads(run("prompt", "list", "--json").stdout) if row["active"]]
    assert [row["name"] for row in active] == ["first"]


def test_prepare_takes_a_folder_to_a_model_that_answers(tiny_home, tiny_source, pictures, tmp_path):
    run("model", "prepare", tiny_source, "other", "--dtype", "bf16")
    run("model", "use", "other")
    row = json.loads(
        run("check", next((pictures / "real").iterdir()), "--json", "--prompt", "first").stdout
    )[0]
    assert row["model"].startswith("other@")
    assert "exists already" in run("model", "prepare", tiny_source, "other", code=2).stderr
    (tmp_path / "nothing").mkdir()
    assert "no model" in run("model", "prepare", tmp_path / "nothing", "x", code=3).stderr
    assert not (tiny_home.models / "x").exists()
    assert not (tiny_home.models / ".x.part").exists()
    listed = {row["name"]: row for row in json.loads(run("model", "list", "--json").stdout)}
    assert listed["other"]["active"]
    assert not listed["instructblip-vicuna-7b"]["installed"]


def test_the_true_size_model_has_a_plan():
    rows = json.loads(run("model", "plan", "instructblip-vicuna-7b", "--json").stdout)
    assert 7.6e9 < sum(row["parameters"] for row in rows) < 8e9
    assert 15e9 < sum(row["bytes"] for row in rows) < 16.5e9
    assert "together" in run("model", "plan", "--dtype", "int8").stdout


def test_evaluate_counts_as_the_official_test_does_without_its_bugs(pictures, tmp_path):
    found = json.loads(
        run(
            "evaluate",
            "--real",
            pictures / "real",
            "--fake",
            pictures / "fake",
            "--json",
            "--log",
            tmp_path / "log.jsonl",
        ).stdout
    )
    assert (found["n_real"], found["n_fake"]) == (4, 4)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    right = [row["is_fake"] == (row["p_fake"] > 0.5) for row in log]
    assert found["accuracy"] == sum(right) / 8
    assert sum(found["confusion"].values()) == 8
    alone = json.loads(run("evaluate", "--fake", pictures / "fake", "--json").stdout)
    assert alone["fake_accuracy"] == found["fake_accuracy"] == alone["accuracy"]
    assert alone["auc"] is alone["balanced_accuracy"] is None


def test_help_of_every_command_is_one_screen():
    for command in ([], ["check"], ["scan"], ["evaluate"], ["model"], ["prompt"], ["privacy"]):
        text = run(*command, "--help").stdout
        assert text.startswith("Usage: ")
        assert len(text.splitlines()) < (40 if command else 50)  # the list of all has sections


def test_every_request_that_was_made_is_listed(tiny_home):
    assert "has never asked" in run("privacy").stdout
    tiny_home.note_request("something 1.0 from the Python package index", 1234)
    assert "1,234 bytes  something 1.0" in run("privacy").stdout


def test_a_terminal_that_cannot_write_a_name_stops_nothing(pictures, tmp_path):
    path = tmp_path / "\u4e2d.png"
    path.write_bytes(next((pictures / "real").glob("*.png")).read_bytes())
    western = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = subprocess.run(
        process("check", path), env=western, capture_output=True, text=True, check=True
    )
    assert r"\u4e2d.png" in done.stdout


def test_completion_knows_the_commands():
    assert "_ANTIFAKE_COMPLETE" in run("completion", "bash").stdout


def test_debug_shows_the_traceback_before_the_sentence_and_log_messages():
    done = subprocess.run(
        process("--debug", "model", "use", "nothing"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "Traceback (most recent call last)" in done.stderr
    assert "ModelError" in done.stderr
    sentence = done.stderr.rstrip().splitlines()[-1]
    assert sentence == run("model", "use", "nothing", code=3).stderr.strip()


def test_debug_shows_what_is_logged_at_any_level():
    code = (
        "import logging\n"
        "from antifake.core.terminal import log_to_stderr\n"
        "log_to_stderr()\n"
        "logging.getLogger('antifake.core').debug('a detail')\n"
        "logging.getLogger('another').debug('of a library')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DEBUG antifake.core: a detail" in done.stderr
    assert "library" not in done.stderr
