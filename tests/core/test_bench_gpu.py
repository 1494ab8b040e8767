"""The harness for graphics cards, at a size for which any processor will do."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bench.gpu.__main__ import main
from bench.gpu.floors import L2_BYTES, Product, Products, Reading, flops, only, products
from bench.gpu.memory import at_most
from bench.gpu.model import build, config_of, detector_of
from bench.gpu.qformer import qformer
from bench.gpu.setting import Bench, Scale, collect
from bench.gpu.table import Aim, Line, Table
from bench.gpu.verdicts import OfficialWay
from kit.pictures import picture
from torch._subclasses.fake_tensor import FakeTensorMode

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
        made = sum(2 * x.numel() * len(weights[0]) * count for x, weights, count in floor._todo)
        assert made == floor.flops
        floor()


def test_a_part_has_its_floor_in_its_own_dtype():
    found = products(config_of(2, narrow=True))

    def dtypes(part, half, **how):
        floor = Products(only(found, [part]), 2, Precision(torch.device("cpu"), half), **how)
        return {(x.dtype, *(weight.dtype for weight in some)) for x, some, _ in floor._todo}

    half, full = torch.float16, torch.float32
    # In fp16 the official Q-Former is fp32.
    assert dtypes("qformer", half, teaching=True) == {(full, full)}
    assert dtypes("language_model", half, teaching=True) == {(half, half)}
    assert dtypes("vision_model", half) == dtypes("language_projection", half) == {(half, half)}
    assert dtypes("qformer", half, half_qformer=True) == {(half, half)}
    assert dtypes("qformer", torch.bfloat16) == {(torch.bfloat16, torch.bfloat16)}


@pytest.fixture
def fake_cuda(monkeypatch):
    """torch's fake CUDA device, on which tensors have shapes but no values, nor can be recorded."""
    begun = []

    def captured(work):
        work()
        begun.append(work)
        return SimpleNamespace(replay=lambda: begun.append("replay")), None

    monkeypatch.setattr("bench.gpu.floors.captured", captured)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield begun


@pytest.mark.usefixtures("fake_cuda")
def test_weights_of_a_floor_on_a_gpu_do_not_stay_in_its_cache():
    small, large = Product("vision_model", 3, 1408, 1408, False), Product("lm", 3, 8192, 8192, True)
    half = Precision(torch.device("cuda"), torch.float16)
    floor = Products(Counter({small: 39, large: 2}), 1, half)
    (_, many, _), (_, few, _) = floor._todo
    n_bytes = 2 * 1408 * 1408
    assert (len(many) - 1) * n_bytes < L2_BYTES <= len(many) * n_bytes
    assert len(few) == 1, "one of them is larger than the cache"
    assert len({id(weight) for weight in many}) == len(many)
    assert len(Products(Counter({small: 2}), 1, half)._todo[0][1]) == 2, "no more than there are"


def test_a_floor_on_a_gpu_is_one_launch(fake_cuda):
    one = Product("vision_model", 3, 8, 8, False)
    floor = Products(Counter({one: 39}), 1, Precision(torch.device("cuda"), torch.float16))
    assert len(fake_cuda) == 1
    floor()
    assert fake_cuda[1:] == ["replay"]


def test_the_bandwidth_floor_only_reads():
    reading = Reading(torch.device("cpu"))
    assert (
        reading.n_bytes == reading._numbers.numel() * reading._numbers.element_size() > L2_BYTES / 2
    )
    before = reading._numbers.clone()
    reading()
    assert torch.equal(reading._numbers, before)


def test_precisions_of_the_qformer_are_compared_in_one_run():
    half = Precision(torch.device("cpu"), torch.float16)
    scale = Scale(batches=(1, 2), compared=8, for_s=0.05)
    bench = Bench(config_of(1, narrow=True), half, scale, Table([]))
    before = torch.get_float32_matmul_precision()
    qformer(bench)
    assert torch.get_float32_matmul_precision() == before
    rows = {line.what.strip(): line for line in bench.table.lines}
    assert [name for name in rows if name.startswith("Q-Former")] == [
        "Q-Former in fp32, batch 9",
        "Q-Former in TF32, batch 9",
        "Q-Former in half, batch 9",
    ]
    assert "off by" in rows["TF32, l_no - l_yes"].measured
    assert float(rows["half, l_no - l_yes"].measured.split()[2]) > 0
    # No later part may get a model with another Q-Former.
    weights = bench.detector().model.qformer.encoder.layer[0].attention.attention.query.weight
    assert weights.dtype == torch.float32


def test_a_card_that_a_failed_recording_has_broken_does_not_end_the_run(monkeypatch):
    def broken():
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED")

    monkeypatch.setattr(torch.cuda, "empty_cache", broken)
    collect(torch.device("cuda"))


def test_reserved_memory_stands_beside_that_of_tensors(monkeypatch):
    figures = {"max_memory_allocated": 20, "max_memory_reserved": 24}
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    for name, gigabytes in figures.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, n=gigabytes: n * 10**9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (50 * 10**9, 80 * 10**9))
    bench = Bench(config_of(2, narrow=True), FLOAT32, Scale(batches=(1, 2)), Table([]))
    detector = bench.detector()
    bench.resident_bytes = 16 * 10**9
    at_most(bench, detector, "float16")
    peak, reserved = bench.table.lines
    assert (peak.measured, reserved.measured) == ("20 GB", "24 GB")
    assert (peak.ratio, reserved.ratio) == (1.25, 1.5)
    assert "30 GB" in reserved.beside


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
