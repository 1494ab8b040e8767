"""`antifake train` as a person gives it: killed and given again, on two processes, mistaken."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from kit.toy import toy_pictures

from antifake.core.prompt import load_prompt

ANTIFAKE = ["-m", "antifake.daemon"]
pytestmark = pytest.mark.usefixtures("tiny_home")

ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    toy_pictures(folder, n=30)
    return folder


def command(toys, out, *more):
    return [
        *ANTIFAKE, "train", "--real", toys / "real", "--fake", toys / "fake",
        "--lr", "0.01", "--batch", "5", "-o", out, *more,
    ]  # fmt: skip


def run(*arguments, code=0):
    environment = ONE_THREAD | {"ANTIFAKE_HOME": os.environ["ANTIFAKE_HOME"]}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True, text=True, timeout=240, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert code == 0 or "Traceback" not in done.stderr
    return done


def log_lines(path):
    return path.read_text().splitlines() if path.is_file() else []


def killed_in_the_middle(arguments, partial, step):
    """Start it, kill it once the checkpoint is of some epoch and the log has reached `step`."""
    environment = ONE_THREAD | {"ANTIFAKE_HOME": os.environ["ANTIFAKE_HOME"]}
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            if (partial / "checkpoint.pt").is_file() and len(log_lines(partial / "log.csv")) > step:
                break
            time.sleep(0.002)
        assert process.poll() is None, "it was over before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def test_killed_and_given_again_it_ends_as_if_nothing_had_been(toys, tmp_path):
    more = ("--epochs", "40")
    run(*command(toys, tmp_path / "whole.safetensors", *more))
    out = tmp_path / "killed.safetensors"
    partial = tmp_path / "killed.safetensors.partial"
    killed_in_the_middle(command(toys, out, *more), partial, 17)
    assert not out.exists()
    assert partial.is_dir()
    run(*command(toys, out, *more))
    assert load_prompt(out).id == load_prompt(tmp_path / "whole.safetensors").id
    assert not partial.exists()
    logs = [log_lines(tmp_path / f"{name}.log.csv") for name in ("whole", "killed")]
    assert logs[0] == logs[1]
    assert len(logs[0]) > 20


def test_an_unfinished_run_of_something_else_is_left_alone(toys, tmp_path):
    out = tmp_path / "w.safetensors"
    partial = tmp_path / "w.safetensors.partial"
    killed_in_the_middle(command(toys, out, "--epochs", "200"), partial, 2)
    done = run(*command(toys, out, "--epochs", "3"), code=2)
    assert "unfinished run with other pictures, settings" in done.stderr
    (partial / "checkpoint.pt").write_bytes(b"torn")
    done = run(*command(toys, out, "--epochs", "3"))
    assert "begins anew" in done.stderr
    assert out.is_file()


def test_two_processes_teach_the_same_word_as_one(tiny_home, toys, tmp_path):
    """Batches of 5 on two processes: the shares are never even, and the last has 4."""
    more = ("--epochs", "4", "--no-cache")
    run(*command(toys, tmp_path / "one.safetensors", *more))
    launch = [
        "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1",
        "--main_process_ip", "127.0.0.1", "--main_process_port", "0",
    ]  # fmt: skip
    done = run(*launch, *command(toys, tmp_path / "two.safetensors", *more))
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
    done = run(*command(toys, tmp_path / "mine", "--epochs", "2"))
    assert "epoch 2, step 10 of 10: loss " in done.stderr
    assert "s left at most" in done.stderr
    lines = [line.split() for line in done.stderr.splitlines() if line.startswith("  antifake ")]
    assert [line[:3] for line in lines] == [
        ["antifake", "prompt", "import"],
        ["antifake", "prompt", "use"],
    ]
    for line in lines:
        run(*ANTIFAKE, *line[1:])
    picture = next((toys / "real").iterdir())
    row = json.loads(run(*ANTIFAKE, "check", "--json", picture).stdout)[0]
    assert row["prompt"].startswith("mine@")
    again = run(*command(toys, tmp_path / "mine"), code=2)
    assert "nothing was overwritten" in again.stderr


def test_mistakes_are_sentences(tiny_home, toys, tmp_path):
    out = ("-o", tmp_path / "w")
    assert "Name pictures" in run(*ANTIFAKE, "train", *out, code=2).stderr
    gone = run(*ANTIFAKE, "train", "--real", tmp_path / "gone", *out, code=2)
    assert "is not a folder" in gone.stderr
    official = run(*command(toys, tmp_path / "w", "--preset", "paper"), code=2)
    assert "--full-tables" in official.stderr
    shutil.rmtree(tiny_home.models / "tiny")
    assert "not on this computer" in run(*command(toys, tmp_path / "w"), code=3).stderr
    assert list(tmp_path.glob("w*")) == []


def test_the_command_line_itself_brings_neither_torch_nor_accelerate():
    code = "import antifake.daemon.cli, sys; print(*sys.modules)"
    loaded = run("-c", code).stdout.split()
    assert not {"torch", "accelerate", "peft", "numpy"} & set(loaded)
