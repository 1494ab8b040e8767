"""Children that compute, sleep, hang and are signalled, and parents that are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest
from kit.pace import within
from kit.pictures import scan_bomb, slow_jpeg
from kit.processes import has_ended
from kit.waiting import eventually

from antifake.core import child_process, preview
from antifake.core.child_process import PATIENCE, Deadline, TimeLimit

posix = pytest.mark.skipif(os.name == "nt", reason="signals and groups of POSIX")

ENDLESS = "while True: pass"
THREADS = """
import hashlib, threading
def work():
    while True:
        hashlib.sha256(bytes(1_000_000))
for _ in range(3):
    threading.Thread(target=work).start()
"""


def watched(code: str, limit: TimeLimit) -> tuple[str | None, float]:
    """Runs a child until it ends. Returns the limit that passed, and the seconds that it took."""
    process = child_process.start(code)
    began = time.monotonic()
    try:
        with Deadline(limit, process) as deadline:
            process.communicate()
    finally:
        child_process.end(process)
    return deadline.passed, time.monotonic() - began


def test_a_limit_of_computing_has_a_longer_clock_beside_it() -> None:
    assert TimeLimit.of_computing(10) == TimeLimit(clock_s=10 * PATIENCE, cpu_s=10)
    assert PATIENCE > 2


@posix
@pytest.mark.parametrize("code", [ENDLESS, THREADS], ids=["one thread", "threads"])
def test_what_computes_is_ended_by_what_it_has_computed(code: str) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    passed, _ = watched(code, TimeLimit(clock_s=within(60), cpu_s=0.5))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert passed == "cpu"
    assert 0.45 < used_s < 0.5 + within(0.5) * (os.cpu_count() or 1)


@pytest.mark.parametrize("code", ["import time; time.sleep(600)", "input()"])
def test_what_hangs_without_computing_is_ended_by_the_clock(code: str) -> None:
    code = code.replace("input()", "import os; os.read(os.pipe()[0], 1)")
    passed, took_s = watched(code, TimeLimit(clock_s=1.0, cpu_s=60))
    assert passed == "clock"
    assert 1.0 <= took_s < within(10)


def test_what_answers_in_time_lives_on() -> None:
    process = child_process.start("import sys; sys.stdin.read()")
    try:
        for _ in range(20):
            with Deadline(TimeLimit(clock_s=60, cpu_s=60), process) as deadline:
                pass
            assert not deadline.is_past
        assert process.poll() is None
        assert not [one for one in threading.enumerate() if one.name == "deadline"]
    finally:
        child_process.end(process)


def test_only_what_is_computed_in_the_block_counts() -> None:
    code = """
import sys, time
while time.process_time() < 1:
    pass
print("r", flush=True)
sys.stdin.read(1)
"""
    process = child_process.start(code)
    assert process.stdout is not None
    try:
        assert process.stdout.readline()
        with Deadline(TimeLimit(clock_s=within(60), cpu_s=0.8), process) as deadline:
            time.sleep(0.9)  # longer than until the next look
            process.communicate(b"x")
        assert not deadline.is_past
        assert process.returncode == 0
    finally:
        child_process.end(process)


def test_a_child_that_has_ended_is_no_trouble() -> None:
    process = child_process.start("")
    process.wait()
    with Deadline(TimeLimit(clock_s=0.3, cpu_s=0.1), process):
        pass
    child_process.end(process)


def test_the_process_that_is_watched_is_the_one_that_computes() -> None:
    """Not one that only starts it, as python.exe in a virtual environment of Windows."""
    process = child_process.start("import os, sys; print(os.getpid(), sys.prefix)")
    said, _ = process.communicate()
    child_process.end(process)
    assert said.decode().strip() == f"{process.pid} {sys.prefix}"


def test_a_preview_that_takes_too_much_computing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = scan_bomb(2)
    before = psutil.Process().children()
    assert preview.preview(data) is not None
    monkeypatch.setattr(preview, "TIME_LIMIT", TimeLimit(clock_s=within(60), cpu_s=0.3))
    assert preview.preview(scan_bomb()) is None
    assert psutil.Process().children() == before


# --- Signals ------------------------------------------------------------------------------

PARENT = """
import os, signal, sys, threading
from pathlib import Path

what, picture = sys.argv[1], Path(sys.argv[2]).read_bytes()

def decode():
    from antifake.core.decoder import Decoder
    with Decoder() as decoder:
        return decoder.decode(picture).picture is not None

def preview():
    from antifake.core.preview import preview
    return preview(picture) is not None

def credentials(then=lambda: None):
    from antifake.core.evidence.reading import read_marks
    from antifake.core.evidence.provenance import ProvenanceReader
    with ProvenanceReader() as reader:
        found = reader.read(read_marks(picture), lambda: picture)
        then()
        return found.content == "intact"

work = {"decode": decode, "preview": preview, "credentials": credentials}[what]
"""
STORM = (
    PARENT
    + """
numbers = [signal.SIGINT, signal.SIGTERM]
for number in numbers:
    signal.signal(number, lambda *_: None)
is_over = threading.Event()

def storm():
    while not is_over.wait(0.002):
        for number in numbers:
            os.killpg(0, number)

threading.Thread(target=storm, daemon=True).start()
found = work()
is_over.set()
print(found)
"""
)
KINDS = pytest.mark.parametrize("what", ["decode", "preview", "credentials"])


@posix
@KINDS
def test_signals_to_all_processes_do_nothing_to_children_not_even_to_one_that_starts(
    fixtures: tuple[Path, object], what: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORM, what, fixtures[0] / "c2pa_ai.jpg"],
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "True", done.stderr


@posix
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
@pytest.mark.parametrize("what", ["decode", "preview"])
def test_children_at_work_end_with_a_parent_that_is_ended(
    tmp_path: Path, what: str, number: str
) -> None:
    (tmp_path / "slow.jpg").write_bytes(slow_jpeg())
    # The program that runs the tests may ignore both.
    command = (
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        " signal.signal(signal.SIGHUP, signal.SIG_DFL); work()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT + command, what, tmp_path / "slow.jpg"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    (child,) = eventually(lambda: psutil.Process(parent.pid).children())
    eventually(lambda: computed_s(child) > 0.8)  # it has started, and decodes
    os.kill(parent.pid, getattr(signal, number))
    assert parent.wait(within(20)) != 0
    eventually(lambda: has_ended(child), 30)


@posix
def test_a_child_that_waits_ends_with_its_parent(fixtures: tuple[Path, object]) -> None:
    command = """
def wait():
    print("ready", flush=True)
    signal.pause()

credentials(wait)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT + command, "credentials", fixtures[0] / "c2pa_ai.jpg"],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline()
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.communicate()
    eventually(lambda: has_ended(child))


def computed_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
