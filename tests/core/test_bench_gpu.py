"""The harness for graphics cards, at a size for which any processor will do."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bench.gpu.__main__ import main
from bench.gpu.floors import Products, flops, only, products
from bench.gpu.model import build, config_of, detector_of
from bench.gpu.setting import Bench, Scale
from bench.gpu.table import Aim, Line, Table
from bench.gpu.verdicts import OfficialWay
from kit.pictures import picture

from antifake.core.errors import ModelError
from antifake.core.precision import Precision

ROOT = Path(__file__).parents[2]
FLOAT32 = Precision(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """So small products are done before a second thread has heard of them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> dict[str, list[str]]:
    """What one run of all parts wrote: a row's cells by its name."""
    out = tmp_path_factory.mktemp("bench") / "table.md"
    # float16, with its float32 Q-Former and scaled gradients, as on a graphics card.
    how = ["--device=cpu", "--dtype=fp16", "--tiny", "--batches=1,3", "--jobs=1", "--long"]
    assert main([*how, f"--out={out}"]) == 0
    lines = out.read_text().splitlines()
    assert "REDUCED" in lines[2]
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {name: [cell.strip() for cell in cells] for name, *cells in rows[2:]}


def test_every_part_writes_its_rows(table):
    # A JPEG's length is its library's.
    assert [re.sub(r"\d+ KB", "n KB", name) for name in table] == [
        "verdict, batch 1",
        "beside its products",
        "operation by operation",
        "verdict, batch 3",
        "of batch 3, vision tower",
        "of batch 3, Q-Former",
        "of batch 3, language model",
        "the official way, batch 8, a picture",
        "tuning, a step of 8, features kept",
        "tuning, a step of 8, not kept",
        "not kept beside kept",
        "a picture's first look",
        "1000 pictures x 10 epochs, extrapolated",
        "files, 1 decoders, a picture",
        "decoding 0.1 MP, n KB, one process",
        "this device needs",
        "3 crops onto the device",
        "memory, float16, at rest",
        "float16, verdict, batch 8",
        "memory, int8, at rest",
        "int8, verdict, batch 8",
        "int8, l_no - l_yes",
        "memory, nf4, at rest",
        "nf4, verdict, batch 8",
        "nf4, l_no - l_yes",
        "20 pictures x 10 epochs, really",
    ]


def test_each_figure_stands_beside_another_of_the_same_run(table):
    without = {"this device needs", "int8, l_no - l_yes", "nf4, l_no - l_yes"}
    for name, (_, ratio, beside, *_) in table.items():
        assert beside
        assert (name in without) == (not ratio)
        assert name in without or float(ratio.removesuffix(" x")) > 0


def test_a_reduced_model_has_aims_but_does_not_miss_them(table):
    assert [row[3] for row in table.values() if row[3:]] == ["<= 2", ">= 3", "<= 1", "<= 1"]


def test_the_fewer_bits_the_less_memory_and_the_less_agreement(table):
    at_rest = [
        float(table[f"memory, {kind}, at rest"][0].split()[0])
        for kind in ("float16", "int8", "nf4")
    ]
    assert at_rest == sorted(at_rest, reverse=True)
    off = [float(table[f"{kind}, l_no - l_yes"][0].split()[2]) for kind in ("int8", "nf4")]
    assert 0 < off[0] < off[1]


def test_the_products_are_those_of_the_true_model():
    found = products(config_of())
    tower, qformer, words = (
        flops(only(found, [part])) for part in ("vision_model", "qformer", "language_model")
    )
    # By hand: patches and 39 layers of 257 tokens; 32 layers of 39 tokens.
    assert tower == 2 * 1408 * (256 * 588 + 39 * 257 * (4 * 1408 + 2 * 6144))
    assert words == 2 * 4096 * 32 * 39 * (4 * 4096 + 3 * 11008)
    assert qformer == pytest.approx(0.0139e12, rel=0.01)
    # A gradient passes all but the Q-Former's keys and values of the picture.
    of_picture = 12 * 2 * 257 * 1408 * 768
    projection = 2 * 32 * 768 * 4096
    assert flops(found, teaching=True) == words + qformer - of_picture + projection


def test_a_floor_makes_as_many_products_as_it_says():
    found = products(config_of(2, narrow=True))
    forth = Products(found, 3, FLOAT32)
    both = Products(found, 3, FLOAT32, teaching=True)
    assert forth.flops == 3 * flops(found)
    assert both.flops == 3 * (flops(found) + flops(found, teaching=True))
    for floor in (forth, both):
        made = sum(2 * x.numel() * len(weight) * count for x, weight, count in floor._todo)
        assert made == floor.flops
        floor()


def test_the_official_way_and_the_margin_decide_the_same():
    detector = detector_of(build(config_of(2, narrow=True), FLOAT32))
    crops = [np.array(picture(seed, detector.model.image_size)) for seed in range(32)]
    answers = (detector.margins(crops) > 0).long().tolist()
    assert set(answers) == {0, 1}
    assert OfficialWay(detector, 5000)(crops) == answers


def test_what_cannot_be_measured_is_said_and_the_rest_goes_on(capsys):
    bench = Bench(config_of(2, narrow=True), FLOAT32, Scale(), Table([]))

    def fails_with(error):
        def part(_):
            raise error

        return part

    bench.attempt("nf4", fails_with(ImportError("No module named 'bitsandbytes'")))
    bench.attempt("a model", fails_with(ModelError("It is not whole.")))
    bench.attempt("much", fails_with(torch.OutOfMemoryError("tried to allocate 3 TiB")))
    assert not bench.has_failed
    bench.attempt("a mistake", fails_with(ZeroDivisionError("by nothing")))
    assert bench.has_failed
    assert [(line.what, line.measured, line.beside) for line in bench.table.lines] == [
        (
            "nf4",
            "not measured",
            "It takes a library that is not installed: No module named 'bitsandbytes'.",
        ),
        ("a model", "not measured", "It is not whole."),
        ("much", "not measured", "It needs more memory than is free here."),
        ("a mistake", "FAILED", "ZeroDivisionError: by nothing"),
    ]
    assert "ZeroDivisionError" in capsys.readouterr().err  # where it went wrong


def test_an_aim_is_met_or_missed():
    table = Table([])
    said = [
        table.verdict(Line("", "", ratio, "", aim))
        for ratio, aim in (
            (1.6, Aim(at_most=1 / 0.6)),
            (1.7, Aim(at_most=1 / 0.6)),
            (3.1, Aim(at_least=3)),
            (2.9, Aim(at_least=3)),
            (1.0, None),
        )
    ]
    assert said == ["<= 1.67 met", "<= 1.67 missed", ">= 3 met", ">= 3 missed", ""]


def test_the_command_refuses_a_part_that_it_does_not_have():
    command = [sys.executable, "-m", "tests.bench.gpu", "--only", "verdict,weather"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "weather is none of verdict, official, tuning" in done.stderr
