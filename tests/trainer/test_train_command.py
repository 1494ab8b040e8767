"""`antifake train` as a person gives it: killed and given again, on two processes, mistaken."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from kit.command_line import antifake, process
from kit.pace import within
from kit.toy import toy_pictures

from antifake.core.prompt import load_prompt

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    toy_pictures(folder, n=30)
    return folder


def command(toys, out, *more):
    return [
        "train",
        "--real",
        toys / "real",
        "--fake",
        toys / "fake",
        "--lr",
        "0.01",
        "--batch",
        "5",
        "-o",
        out,
        *more,
    ]


def run(*command):
    """A process of its own, in which torch computes in one thread as it does in this one."""
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=within(240),
        check=False,
        env=one_thread,
    )
    assert done.returncode == 0, done.stderr
    return done


def log_lines(path):
    return path.read_text().splitlines() if path.is_file() else []


KILLED = """
import os, signal, sys
from antifake.daemon.cli import main
from antifake.trainer.checkpoint import CheckpointFolder

log = CheckpointFolder.log

def log_and_die(self, record):
    log(self, record)
    if record.step > 7 and (self.folder / "checkpoint.pt").is_file():
        os.kill(os.getpid(), signal.SIGKILL)

CheckpointFolder.log = log_and_die
main()
"""
"""Is killed after an epoch's end, in the middle of the next."""


def test_killed_and_given_again_it_ends_as_if_nothing_had_been(toys, tmp_path):
    more = ("--epochs", "20")
    antifake(*command(toys, tmp_path / "whole.safetensors", *more))
    out = tmp_path / "killed.safetensors"
    partial = tmp_path / "killed.safetensors.partial"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, command(toys, out, *more))],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        timeout=within(120),
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert partial.is_dir()
    run(*process(*command(toys, out, *more)))
    assert load_prompt(out).id == load_prompt(tmp_path / "whole.safetensors").id
    assert not partial.exists()
    logs = [log_lines(tmp_path / f"{name}.log.csv") for name in ("whole", "killed")]
    assert logs[0] == logs[1]
    assert len(logs[0]) > 20


def test_two_processes_teach_the_same_word_as_one(tiny_home, toys, tmp_path):
    """Batches of 5 on two processes: the shares are never even, and the last has 4."""
    more = ("--epochs", "4", "--no-cache")
    antifake(*command(toys, tmp_path / "one.safetensors", *more))
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--num_cpu_threads_per_process",
        "1",
        "--main_process_ip",
        "127.0.0.1",
        "--main_process_port",
        "0",
    ]
    _, *start = process(*command(toys, tmp_path / "two.safetensors", *more))
    done = run(*launch, *start)
    one, two = (load_prompt(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert torch.allclose(one.llm, two.llm, atol=1e-4)
    assert torch.allclose(one.qformer, two.qformer, atol=1e-4)
    start = load_prompt(tiny_home.prompts / "first.safetensors")
    assert not torch.allclose(one.llm, start.llm, atol=1e-2)
    assert done.stderr.count("Put it into use") == 1
    before, after = (
        [float(row["loss"]) for row in csv.DictReader(log_lines(tmp_path / f"{name}.log.csv"))]
        for name in ("one", "two")
    )
    assert before == pytest.approx(after, abs=1e-3)


def test_what_it_tells_to_do_next_works(toys, tmp_path):
    done = antifake(*command(toys, tmp_path / "mine", "--epochs", "2"))
    assert "epoch 2, step 10 of 10: loss " in done.stderr
    assert "less than a minute left at most" in done.stderr
    lines = [line.split() for line in done.stderr.splitlines() if line.startswith("  antifake ")]
    assert [line[:3] for line in lines] == [
        ["antifake", "prompt", "import"],
        ["antifake", "prompt", "use"],
    ]
    for line in lines:
        antifake(*line[1:])
    picture = next((toys / "real").iterdir())
    row = json.loads(antifake("check", "--json", picture).stdout)[0]
    assert row["prompt"].startswith("mine@")
    again = antifake(*command(toys, tmp_path / "mine"), code=2)
    assert "nothing was overwritten" in again.stderr


def test_mistakes_are_sentences(tiny_home, toys, tmp_path):
    out = ("-o", tmp_path / "w")
    assert "Name pictures" in antifake("train", *out, code=2).stderr
    gone = antifake("train", "--real", tmp_path / "gone", *out, code=2)
    assert "is not a folder" in gone.stderr
    official = antifake(*command(toys, tmp_path / "w", "--preset", "paper"), code=2)
    assert "--full-tables" in official.stderr
    shutil.rmtree(tiny_home.models / "tiny")
    assert "not on this computer" in antifake(*command(toys, tmp_path / "w"), code=3).stderr
    assert list(tmp_path.glob("w*")) == []
