"""When a batch is recorded and replayed, and what happens when that goes wrong.

The recorder is passed in, as no GPU is needed for that. CUDA's own has not run in these tests.
"""

import logging

import pytest
import torch

from antifake.core.cuda_graphs import MAX_BATCH, CudaGraphRunner
from antifake.core.detector import load_detector


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
    captured = CudaGraphRunner(work, recorder)
    for seed in range(4):
        assert torch.equal(captured(batch(1, seed)), work(batch(1, seed)))
        assert recorder.recorded == ([1] if seed else [])
    assert recorder.replayed == 3, "once to compare, then for the third and fourth"


def test_each_small_size_has_its_own_recording_and_a_large_one_has_none():
    recorder = Recorder()
    captured = CudaGraphRunner(work, recorder)
    for _ in range(3):
        for size in (1, 3, MAX_BATCH, MAX_BATCH + 1, 64):
            assert torch.equal(captured(batch(size)), work(batch(size)))
    assert recorder.recorded == [1, 3, MAX_BATCH]


def test_a_recording_that_differs_is_said_once_and_never_used(caplog):
    recorder = Recorder(lambda margins: margins + 1)
    captured = CudaGraphRunner(work, recorder)
    with caplog.at_level(logging.WARNING):
        for size in (2, 2, 2, 3, 3, 3):
            assert torch.equal(captured(batch(size)), work(batch(size)))
    assert len(caplog.records) == 1
    assert "is not captured as a CUDA graph" in caplog.text
    assert recorder.recorded == [2]


def test_a_recording_with_the_picture_baked_in_is_found_out(caplog):
    def frozen(what, example):
        margins = what(example)
        return lambda _pixels: margins

    captured = CudaGraphRunner(work, frozen)
    with caplog.at_level(logging.WARNING):
        for seed in range(3):
            assert torch.equal(captured(batch(2, seed)), work(batch(2, seed)))
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError])
def test_a_recording_that_fails_is_said_once_and_all_goes_on_without(caplog, error):
    tries = []

    def failing(_what, example):
        tries.append(len(example))
        raise error("operation not permitted when stream is capturing\nmore")

    captured = CudaGraphRunner(work, failing)
    with caplog.at_level(logging.WARNING):
        for size in (1, 1, 1, 2, 2, 2):
            assert torch.equal(captured(batch(size)), work(batch(size)))
    assert tries == [1]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "stream is capturing" in caplog.text
    assert "more" not in caplog.text


def test_a_later_failure_drops_earlier_recordings_too():
    recorder = Recorder()

    def second_fails(what, example):
        if recorder.recorded:
            raise RuntimeError("no memory")
        return recorder(what, example)

    captured = CudaGraphRunner(work, second_fails)
    for size in (1, 1, 1, 2, 2):
        captured(batch(size))
    played = recorder.replayed
    captured(batch(1))
    assert recorder.replayed == played


def test_rounding_is_no_difference_and_what_is_no_number_stays_none():
    captured = CudaGraphRunner(work, recorder := Recorder(lambda margins: margins + 1e-4))
    for _ in range(3):
        captured(batch(2))
    assert recorder.replayed == 2
    captured = CudaGraphRunner(lambda pixels: work(pixels) * torch.nan, recorder := Recorder())
    for _ in range(3):
        assert captured(batch(2)).isnan().all()
    assert recorder.replayed == 2


def test_a_processor_is_never_recorded(tiny_home):
    detector, _ = load_detector(tiny_home)
    assert not isinstance(detector._forward, CudaGraphRunner)


def test_a_detectors_pass_can_be_replayed_as_it_is(tiny_home):
    """Everything but the pictures lies still: the same pass from a recording, size by size."""
    detector, _ = load_detector(tiny_home)
    size = detector.model.image_size
    crops = [torch.full((size, size, 3), 40 * i, dtype=torch.uint8).numpy() for i in range(5)]
    plain = [detector.margins(crops[:n]) for n in (1, 2, 5)]
    detector._forward = CudaGraphRunner(detector._margins_of, recorder := Recorder())
    for _ in range(3):
        assert all(
            torch.equal(detector.margins(crops[:n]), margins)
            for n, margins in zip((1, 2, 5), plain, strict=True)
        )
    assert recorder.recorded == [1, 2, 5]
