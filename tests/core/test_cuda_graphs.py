"""When a batch is recorded and replayed, and what happens when that goes wrong.

The recorder is passed in, as no GPU is needed for that. What torch offers to record with is
replaced by a small model of it; CUDA's own has not run in these tests.
"""

import logging
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from antifake.core import cuda_graphs
from antifake.core.cuda_graphs import MAX_BATCH, are_wanted, captured
from antifake.core.detector import load_detector
from antifake.core.errors import CudaBrokenError


@pytest.fixture(autouse=True)
def _nothing_has_failed_yet(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "_has_failed", False)


def runner_of(forward, capture, probe=lambda: None):
    return cuda_graphs.CudaGraphRunner(forward, capture, probe)


def work(pixels):
    return pixels.flatten(1).sum(dim=1)


def batch(size, seed=0):
    return torch.randn(size, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


class Recorder:
    """Plays back what `replay` makes of the true margins, and notes what it recorded."""

    def __init__(self, replay=lambda margins: margins):
        self.replay, self.recorded, self.replayed = replay, [], 0

    def __call__(self, what, example):
        self.recorded.append(len(example))
        what(example)

        def play(pixels):
            self.replayed += 1
            return self.replay(what(pixels))

        return play


def test_a_size_is_recorded_when_it_comes_again_and_replayed_from_then_on():
    recorder = Recorder()
    runner = runner_of(work, recorder)
    for seed in range(4):
        assert torch.equal(runner(batch(1, seed)), work(batch(1, seed)))
        assert recorder.recorded == ([1] if seed else [])
    assert recorder.replayed == 3, "once to compare, then for the third and fourth"


def test_each_small_size_has_its_own_recording_and_a_large_one_has_none():
    recorder = Recorder()
    runner = runner_of(work, recorder)
    for _ in range(3):
        for size in (1, 3, MAX_BATCH, MAX_BATCH + 1, 64):
            assert torch.equal(runner(batch(size)), work(batch(size)))
    assert recorder.recorded == [1, 3, MAX_BATCH]


def test_a_recording_that_differs_is_said_once_and_never_used(caplog):
    recorder = Recorder(lambda margins: margins + 1)
    runner = runner_of(work, recorder)
    with caplog.at_level(logging.WARNING):
        for size in (2, 2, 2, 3, 3, 3):
            assert torch.equal(runner(batch(size)), work(batch(size)))
    assert len(caplog.records) == 1
    assert "is not captured as a CUDA graph" in caplog.text
    assert recorder.recorded == [2]


def test_a_recording_with_the_picture_baked_in_is_found_out(caplog):
    def frozen(what, example):
        margins = what(example)
        return lambda _pixels: margins

    runner = runner_of(work, frozen)
    with caplog.at_level(logging.WARNING):
        for seed in range(3):
            assert torch.equal(runner(batch(2, seed)), work(batch(2, seed)))
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError])
def test_a_recording_that_fails_is_said_once_and_all_goes_on_without(caplog, error):
    tries = []

    def failing(_what, example):
        tries.append(len(example))
        raise error("operation not permitted when stream is capturing\nmore")

    runner = runner_of(work, failing)
    with caplog.at_level(logging.WARNING):
        for size in (1, 1, 1, 2, 2, 2):
            assert torch.equal(runner(batch(size)), work(batch(size)))
    assert tries == [1]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "stream is capturing" in caplog.text
    assert "more" not in caplog.text


def test_after_a_recording_that_failed_no_other_detector_of_the_process_tries():
    """A second failure was not survivable on torch 2.11."""

    def failing(_what, _example):
        raise RuntimeError("operation not permitted when stream is capturing")

    first, recorder = runner_of(work, failing), Recorder()
    second = runner_of(work, recorder)
    for _ in range(2):
        first(batch(1))
    for _ in range(3):
        assert torch.equal(second(batch(1)), work(batch(1)))
    assert recorder.recorded == []


def test_the_log_names_what_went_wrong_first(caplog):
    """Ending a spoilt capture raises another error, which says nothing of the cause."""

    def failing(_what, _example):
        try:
            raise RuntimeError("the host waits for the GPU")
        finally:
            raise RuntimeError("capture was invalidated")

    runner = runner_of(work, failing)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            runner(batch(1))
    assert "the host waits for the GPU" in caplog.text


def test_cuda_that_is_broken_after_a_failed_recording_is_an_error_that_says_what_to_do():
    def failing(_what, _example):
        raise RuntimeError("no")

    def broken():
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED\nsecond line")

    runner = runner_of(work, failing, broken)
    runner(batch(1))
    with pytest.raises(CudaBrokenError, match=r"ANTIFAKE_CUDA_GRAPHS=off.*captures_underway") as e:
        runner(batch(1))
    assert "second line" not in str(e.value)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, True), ("on", True), ("", True), ("off", False), (" 0", False)]
)
def test_graphs_can_be_turned_off(monkeypatch, value, expected):
    monkeypatch.delenv("ANTIFAKE_CUDA_GRAPHS", raising=False)
    if value is not None:
        monkeypatch.setenv("ANTIFAKE_CUDA_GRAPHS", value)
    assert are_wanted() is expected


class Card:
    """What torch.cuda needs for recordings: streams, one of which is current, and graphs.

    As before torch 2.12, a recording whose end fails leaves its stream current.
    """

    def __init__(self, end_fails=False):
        self.current, self.modes = "usual", []
        self.end_fails = end_fails
        self.stream_names = iter(["aside", "another"])

    def Stream(self):  # noqa: N802
        return SimpleNamespace(name=next(self.stream_names), wait_stream=lambda _: None)

    def CUDAGraph(self):  # noqa: N802
        return SimpleNamespace(replay=lambda: None)

    def current_stream(self):
        return SimpleNamespace(wait_stream=lambda _: None)

    @contextmanager
    def stream(self, wanted):
        before, self.current = self.current, wanted.name
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, _graph, _pool, stream, *, capture_error_mode):
        self.modes.append(capture_error_mode)
        before, self.current = self.current, f"recording on {stream.name}"
        try:
            yield
        finally:
            if self.end_fails:
                raise RuntimeError("capture was invalidated")
            self.current = before


@pytest.fixture
def card(monkeypatch):
    card = Card()
    for name in ("Stream", "CUDAGraph", "current_stream", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(card, name))
    return card


def test_work_is_run_beside_the_current_stream_and_then_recorded(card):
    streams = []

    def noted():
        streams.append(card.current)
        return len(streams)

    _, result = captured(noted)
    assert streams == [*3 * ["aside"], "recording on aside"]
    assert (result, card.current) == (4, "usual")
    assert card.modes == ["thread_local"], "another thread may allocate during a recording"


@pytest.mark.parametrize("fails_at", ["work", "recording", "end"])
def test_the_current_stream_is_the_old_one_after_a_recording_that_failed(card, fails_at):
    card.end_fails = fails_at == "end"

    def failing():
        if fails_at == "work" or (fails_at == "recording" and card.modes):
            raise RuntimeError("operation not permitted")

    with pytest.raises(RuntimeError):
        captured(failing)
    assert card.current == "usual"


def test_a_later_failure_drops_earlier_recordings_too():
    recorder = Recorder()

    def second_fails(what, example):
        if recorder.recorded:
            raise RuntimeError("no memory")
        return recorder(what, example)

    runner = runner_of(work, second_fails)
    for size in (1, 1, 1, 2, 2):
        runner(batch(size))
    played = recorder.replayed
    runner(batch(1))
    assert recorder.replayed == played


def test_rounding_is_no_difference_and_what_is_no_number_stays_none():
    runner = runner_of(work, recorder := Recorder(lambda margins: margins + 1e-4))
    for _ in range(3):
        runner(batch(2))
    assert recorder.replayed == 2
    runner = runner_of(lambda pixels: work(pixels) * torch.nan, recorder := Recorder())
    for _ in range(3):
        assert runner(batch(2)).isnan().all()
    assert recorder.replayed == 2


def test_a_processor_is_never_recorded(tiny_home):
    detector, _ = load_detector(tiny_home)
    assert not isinstance(detector._forward, cuda_graphs.CudaGraphRunner)


def test_a_detectors_pass_can_be_replayed_as_it_is(tiny_home):
    """Everything but the pictures lies still: the same pass from a recording, size by size."""
    detector, _ = load_detector(tiny_home)
    size = detector.model.image_size
    crops = [torch.full((size, size, 3), 40 * i, dtype=torch.uint8).numpy() for i in range(5)]
    plain = [detector.margins(crops[:n]) for n in (1, 2, 5)]
    detector._forward = runner_of(detector._margins_of, recorder := Recorder())
    for _ in range(3):
        assert all(
            torch.equal(detector.margins(crops[:n]), margins)
            for n, margins in zip((1, 2, 5), plain, strict=True)
        )
    assert recorder.recorded == [1, 2, 5]
