"""The children that decode: killed, starved, bombed, and still there for the next picture."""

import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from kit.pace import within
from kit.pictures import scan_bomb, slow_jpeg
from kit.shared import shared_data
from PIL import Image

from antifake.core import detector as detector_module
from antifake.core import images
from antifake.core.catalog import Home
from antifake.core.child_process import TimeLimit
from antifake.core.decoder import (
    MEMORY_BYTES,
    Decoded,
    Decoder,
    View,
    jobs_beside_gpu,
    usable_cores,
)
from antifake.core.errors import AntifakeError
from antifake.core.instructblip import InstructBlip
from antifake.core.loading import loaded

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has neither limits nor signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc and pidfd")


def photo(seed: int = 0, width: int = 320, height: int = 240, **options: object) -> bytes:
    """A PNG of soft clouds, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.BICUBIC).save(file, "PNG", **options)
    return file.getvalue()


def computed_s(data: bytes) -> float:
    """Returns how many processor seconds a picture takes on this machine."""
    began = time.process_time()
    Image.open(BytesIO(data)).load()
    return time.process_time() - began


def pids(decoder: Decoder) -> set[int]:
    return {child._process.pid for child in decoder._children}


def code(decoded: Decoded) -> str:
    assert decoded.picture is None
    assert decoded.error is not None
    return decoded.error.code


@pytest.fixture(scope="module")
def one() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


# --- A picture and its way ----------------------------------------------------------------


def test_a_child_gives_what_core_images_gives(one: Decoder, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo())
    here = images.decode(photo())
    for decoded in (one.decode(photo()), one.decode(tmp_path / "a.jpg")):
        there = decoded.picture
        assert there is not None
        assert np.array_equal(there.crop, here.crop)
        assert (there.width, there.height, there.format) == (320, 240, "PNG")
        assert decoded.sha256 == hashlib.sha256(photo()).hexdigest()
        assert decoded.n_bytes == len(photo())
        assert decoded.error is None


def test_the_hash_is_known_even_of_what_does_not_decode(one: Decoder) -> None:
    decoded = one.decode(b"hello")
    assert code(decoded) == "unknown_format"
    assert decoded.sha256 == hashlib.sha256(b"hello").hexdigest()


def test_what_cannot_be_read_has_no_hash(one: Decoder, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone", Path("/dev/zero")):
        decoded = one.decode(path)
        assert code(decoded) in ("no_file", "not_a_file")
        assert (decoded.sha256, decoded.n_bytes) == (None, 0)


def test_paths_are_meant_as_the_caller_means_them(
    one: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ä \n.png").write_bytes(photo())
    monkeypatch.chdir(tmp_path)
    assert one.decode(Path("ä \n.png")).picture


@posix
def test_names_that_are_no_text_are_read_too(one: Decoder, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.png")
    path.write_bytes(photo())
    assert one.decode(path).picture


def test_the_crop_can_have_another_size() -> None:
    with Decoder(size=96) as decoder:
        picture = decoder.decode(photo()).picture
        assert picture is not None
        assert picture.crop.shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1200, 800), (480, 320)),
        ((800, 1200), (213, 320)),
        ((900, 900), (320, 320)),
        ((2000, 500), (480, 120)),
        ((100, 80), (100, 80)),
    ],
)
def test_a_preview_has_the_pictures_own_shape(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    data = photo(1, *size)
    with Decoder(view="shown") as decoder:
        picture = decoder.decode(data).picture
    assert picture is not None
    assert picture.preview is not None
    small = Image.fromarray(picture.preview)
    assert small.size == shown
    whole = Image.open(BytesIO(data)).convert("RGB").resize(shown, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(small, int) - np.asarray(whole, int)).mean() < 3


@pytest.mark.parametrize("view", ["middle", "whole"])
def test_there_is_no_preview_unless_one_is_to_be_shown(view: View) -> None:
    with Decoder(view=view) as decoder:
        picture = decoder.decode(photo()).picture
    assert picture is not None
    assert picture.preview is None


def test_a_strip_too_narrow_to_be_seen_has_no_preview() -> None:
    with Decoder(view="shown") as decoder:
        picture = decoder.decode(photo(1, 6400, 100)).picture
    assert picture is not None
    assert picture.preview is None


# --- Many ---------------------------------------------------------------------------------


def test_many_come_back_in_order_good_and_bad() -> None:
    sources = [photo(n) if n % 3 else b"bad %d" % n for n in range(20)]
    with Decoder(jobs=2) as decoder:
        answers = list(decoder.decode_many(sources))
    assert [source for source, _ in answers] == sources
    for source, decoded in answers:
        assert decoded.sha256 == hashlib.sha256(source).hexdigest()
        assert (decoded.picture is None) == source.startswith(b"bad")


def test_a_folder_of_any_size_is_read_only_a_little_ahead(one: Decoder) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"no picture"

    for given, _ in enumerate(one.decode_many(endless()), 1):
        assert taken - given <= 3
        if given == 50:
            break


def test_all_children_work_at_once() -> None:
    with Decoder(jobs=2) as decoder:
        first, second = pids(decoder)
        for pid in (first, second):
            os.kill(pid, signal.SIGSTOP)
        with ThreadPoolExecutor(2) as threads:
            answers = [threads.submit(decoder.decode, photo(n)) for n in range(2)]
            os.kill(first, signal.SIGCONT)
            os.kill(second, signal.SIGCONT)
            assert all(answer.result(timeout=within(10)).picture for answer in answers)
        assert pids(decoder) == {first, second}


# --- Hostile files ------------------------------------------------------------------------


@pytest.mark.attack
def test_a_scan_bomb_costs_its_time_and_one_child() -> None:
    bomb = slow_jpeg()
    limit_s = round(computed_s(scan_bomb()) / 4, 2)
    with Decoder(time_limit=TimeLimit(within(120), limit_s)) as decoder:
        before = pids(decoder)
        decoded = decoder.decode(bomb)
        assert code(decoded) == "too_much_work"
        assert f"takes more than {limit_s:g} seconds of computing" in str(decoded.error)
        assert decoded.sha256 == hashlib.sha256(bomb).hexdigest()
        assert decoder.decode(photo()).picture
        assert pids(decoder).isdisjoint(before)


@posix
def test_a_picture_is_not_given_up_because_the_computer_is_busy() -> None:
    """Others have the processor for longer than the picture may compute."""
    limit_s = 1.0
    with (
        Decoder(time_limit=TimeLimit(within(120), limit_s)) as decoder,
        ThreadPoolExecutor(1) as one,
    ):
        assert decoder.decode(photo()).picture
        (pid,) = pids(decoder)
        os.kill(pid, signal.SIGSTOP)
        answer = one.submit(decoder.decode, photo())
        time.sleep(1.5 * limit_s)  # this long: a clock with the same limit would end it
        assert not answer.done()
        os.kill(pid, signal.SIGCONT)
        assert answer.result(within(60)).picture
        assert pids(decoder) == {pid}


@pytest.mark.attack
@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not limit address space")
def test_a_picture_that_needs_too_much_memory_does_not_get_it() -> None:
    file = BytesIO()
    Image.new("L", (8000, 8000)).save(file, "PNG")
    with Decoder(memory_bytes=300_000_000) as decoder:
        before = pids(decoder)
        assert code(decoder.decode(file.getvalue())) == "memory"
        assert decoder.decode(photo()).picture
        assert pids(decoder) == before  # it need not even die of it


@pytest.fixture
def core_files() -> Iterator[None]:
    """Programs that this one starts may leave core files, as on a developer's machine."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("this session allows no core files at all")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.attack
@linux
@pytest.mark.usefixtures("core_files")
def test_a_child_leaves_no_core_file_of_a_picture() -> None:
    with Decoder() as decoder:
        assert decoder.decode(photo()).picture
        (pid,) = pids(decoder)
        assert limits_of(pid)["Max core file size"] == 0


@linux
def test_a_child_has_limits_of_memory_and_time() -> None:
    with Decoder(time_limit=TimeLimit(60, 3)) as decoder:
        assert decoder.decode(photo()).picture
        (pid,) = pids(decoder)
        limits = limits_of(pid)
        assert limits["Max address space"] == MEMORY_BYTES == 1_500_000_000
        # Counted from what it has used before: more than the parent allows, which can say why.
        used_s = sum(psutil.Process(pid).cpu_times()[:2])
        assert 6 <= limits["Max cpu time"] <= 6 + used_s + 2


def limits_of(pid: int) -> dict[str, float]:
    """Returns the soft limits that the kernel has for a process."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    cells = [re.split(r"\s{2,}", line) for line in lines]
    return {name: float(soft.replace("unlimited", "inf")) for name, soft, *_ in cells}


@posix
def test_a_child_killed_at_work_loses_that_picture_only() -> None:
    with Decoder() as decoder, ThreadPoolExecutor(1) as threads:
        decoder.decode(photo())
        (pid,) = pids(decoder)
        os.kill(pid, signal.SIGSTOP)
        answer = threads.submit(decoder.decode, photo())
        os.kill(pid, signal.SIGKILL)
        assert answer.result(timeout=within(10)).picture or code(answer.result()) == "crashed"
        assert decoder.decode(photo()).picture
        assert pid not in pids(decoder)


@posix
def test_a_child_killed_while_idle_loses_nothing() -> None:
    with Decoder() as decoder:
        (pid,) = pids(decoder)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert decoder.decode(photo()).picture


@posix
def test_a_child_that_does_not_answer_is_given_up() -> None:
    with Decoder(time_limit=TimeLimit(clock_s=0.3, cpu_s=60)) as decoder:
        decoded = decoder.decode(slow_jpeg())
        assert code(decoded) == "timeout"
        assert "the disk with the file does not answer" in str(decoded.error)


@posix
@pytest.mark.attack
@pytest.mark.parametrize("side", [100, 2000])  # which fits into the pipe, and which does not
def test_a_child_that_was_stopped_is_killed_and_the_picture_is_not_to_blame(side: int) -> None:
    with Decoder(time_limit=TimeLimit(clock_s=within(1), cpu_s=10)) as decoder:
        assert decoder.decode(photo()).picture
        (pid,) = pids(decoder)
        os.kill(pid, signal.SIGSTOP)
        # What decodes for the daemon tries a picture again after this (see Judge).
        assert code(decoder.decode(photo(width=side, height=side))) == "crashed"
        assert not psutil.pid_exists(pid)
        assert decoder.decode(photo()).picture


@pytest.mark.attack
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"C" + (2**60).to_bytes(8, "big"),
        b"E" + (2).to_bytes(8, "big") + b"[]",
        b"I" + (2).to_bytes(8, "big") + b"{}",
        b"I" + (15).to_bytes(8, "big") + b'{"width": 1e999}',
        b"E" + (60_000).to_bytes(8, "big") + b"[" * 60_000,
        b"\x80\x04pickle" * 3,
    ],
)
def test_nonsense_from_a_captured_child_is_a_crash(answer: bytes) -> None:
    with Decoder() as parent:
        (child,) = parent._children
        child._wait_until_ready()
        child._answers.close()
        child._answers = BytesIO(answer)
        assert code(parent.decode(photo())) == "crashed"
        assert child not in parent._children


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_bad_picture_we_know_gets_a_verdict_or_a_sentence(jobs: int) -> None:
    files = sorted(p for p in shared_data("badimages").iterdir() if p.name != "index.csv")
    judged, longest_s, largest = 0, 0.0, 0
    with Decoder(jobs, view="whole") as decoder:
        started = time.perf_counter()
        for path, decoded in decoder.decode_many(files):
            longest_s = max(longest_s, time.perf_counter() - started)
            assert longest_s < within(10), path
            largest = max(largest, *map(most_memory, pids(decoder)))
            assert decoded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            if decoded.picture is None:
                assert code(decoded) not in ("crashed", "timeout", "memory"), path
            judged += decoded.picture is not None
            started = time.perf_counter()
    print(f"{judged} of {len(files)} bad pictures can be judged, the others have a sentence")
    print(f"the slowest took {longest_s:.2f} s, the largest child had {largest / 1e6:.0f} MB")
    assert 30 < judged < len(files)
    assert largest < 1_500_000_000


def most_memory(pid: int) -> int:
    """Bytes that a process has had at once since it began to run its program.

    getrusage() would count what the parent had when it was forked.
    """
    if sys.platform != "linux":
        return 0
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


# --- Coming and going ---------------------------------------------------------------------


@posix
def test_starting_waits_for_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never_ready = tmp_path / "never ready"
    never_ready.write_text("#!/bin/sh\nexec sleep 600\n")
    never_ready.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(never_ready))
    with Decoder(jobs=2) as decoder:
        assert len(pids(decoder)) == 2


@posix
def test_a_child_that_cannot_start_is_no_fault_of_the_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    with Decoder() as decoder, pytest.raises(AntifakeError, match="does not start"):
        decoder.decode(photo())


def test_a_closed_decoder_says_so_instead_of_waiting() -> None:
    with Decoder() as decoder:
        pass
    with pytest.raises(AntifakeError, match="closed"):
        decoder.decode(photo())


@posix
def test_closing_does_not_wait_for_a_picture() -> None:
    with ThreadPoolExecutor(1) as threads:
        with Decoder() as decoder:
            decoder.decode(photo())
            (pid,) = pids(decoder)
            os.kill(pid, signal.SIGSTOP)
            answer = threads.submit(decoder.decode, photo())
        # Closed before or after the child was asked: both may happen.
        assert isinstance(answer.exception(timeout=within(10)), AntifakeError | None)


def test_a_decoder_that_has_grown_uses_all_its_children() -> None:
    with Decoder() as decoder:
        before = pids(decoder)
        decoder.grow(3)
        decoder.grow(2)
        assert len(pids(decoder)) == 3
        assert before < pids(decoder)
        found = [one.picture for _, one in decoder.decode_many([photo()] * 6)]
        assert len(found) == 6
        assert all(found)


def test_a_decoder_grows_before_it_is_started() -> None:
    decoder = Decoder()
    decoder.grow(2)
    assert pids(decoder) == set()
    with decoder:
        assert len(pids(decoder)) == 2


@pytest.mark.parametrize(
    ("jobs", "device", "expected"),
    [(None, "cpu", 1), (None, "cuda", 3), (2, "cuda", 2), (1, "cuda", 1)],
)
def test_a_scan_beside_a_graphics_card_decodes_in_more_processes(
    tiny_home: Home,
    monkeypatch: pytest.MonkeyPatch,
    jobs: int | None,
    device: str,
    expected: int,
) -> None:
    """The tiny model stays on the processor; only what it says of its device is changed."""
    monkeypatch.setattr("antifake.core.loading.user_home", lambda: tiny_home)
    monkeypatch.setattr("antifake.core.decoder.jobs_beside_gpu", lambda: 3)
    monkeypatch.setattr("antifake.core.selfcheck.check_if_changed", lambda *_: None)
    monkeypatch.setattr(InstructBlip, "device", torch.device("cpu"))
    make = detector_module.detector_of

    def made(*args: Any, **kwargs: Any) -> Any:
        detector, warning = make(*args, **kwargs)
        monkeypatch.setattr(InstructBlip, "device", torch.device(device))
        return detector, warning

    monkeypatch.setattr(detector_module, "detector_of", made)
    with loaded(None, None, jobs) as (_, decoder):
        assert len(pids(decoder)) == expected


def test_decoders_beside_a_gpu_leave_it_a_thread_and_the_system_a_core() -> None:
    assert [jobs_beside_gpu(cores) for cores in (1, 2, 4, 16, 18, 64)] == [1, 1, 2, 14, 16, 16]
    assert 1 <= jobs_beside_gpu() <= max(1, usable_cores() - 1)


@linux
def test_nothing_stays_behind() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    seen: set[int] = set()
    for _ in range(3):
        with Decoder(jobs=2, time_limit=TimeLimit(0.05)) as decoder:
            decoder.decode(scan_bomb(20))
            seen |= pids(decoder)
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert not [pid for pid in seen if Path(f"/proc/{pid}").exists()]


@pytest.mark.attack
@linux
def test_children_do_not_outlive_a_killed_parent() -> None:
    program = (
        "import os\n"
        "from antifake.core.decoder import Decoder\n"
        "decoder = Decoder().start()\n"
        "decoder.decode(b'hello')\n"
        "print(*[child._process.pid for child in decoder._children], flush=True)\n"
        "os.kill(os.getpid(), 19)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    assert select.select([child], [], [], 0) == ([], [], [])  # it lives
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert select.select([child], [], [], within(10))[0] == [child]
    os.close(child)


@posix
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_signals_to_all_processes_are_for_the_parent(one: Decoder, number: str) -> None:
    one.decode(photo())
    before = pids(one)
    for pid in before:
        os.kill(pid, getattr(signal, number))
    assert one.decode(photo()).picture
    assert pids(one) == before


def test_a_child_needs_nothing_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit")
    (tmp_path / "antifake").mkdir()
    monkeypatch.chdir(tmp_path)
    with Decoder() as decoder:
        assert decoder.decode(photo()).picture


def test_neither_parent_nor_child_loads_torch() -> None:
    program = "import sys, antifake.core.decoder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
