"""Children that are stopped, as by SIGSTOP: none outlives its daemon, or keeps it waiting."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from kit.daemon import mini_home_in
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest
from kit.pace import within
from kit.pictures import png
from kit.processes import children, has_ended
from kit.running import post, running
from kit.waiting import eventually

from antifake.core import child_process
from antifake.core.child_process import TimeLimit
from antifake.core.evidence.file_marks import FileMarks
from antifake.core.evidence.provenance import ProvenanceReader

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends stopped children"),
]

HAS_TRAINER = """
import sys, time
from pathlib import Path
from antifake.daemon.learning.trainer_process import TrainerProcess
print(TrainerProcess(Path(sys.argv[1]), Path(sys.argv[2])).pid, flush=True)
time.sleep(600)
"""
HAS_CHILD = """
import time
from antifake.core import child_process
process = child_process.start("print(1, flush=True); import time; time.sleep(600)")
process.stdout.readline()
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(mini_home, tmp_path) -> Path:
    return mini_home_in(tmp_path / "home", mini_home).root


def stopped(process: psutil.Process) -> psutil.Process:
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: process.status() == psutil.STATUS_STOPPED)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_stopped_child_outlives_its_daemon_or_keeps_it_from_stopping(home, fixtures, number):
    """The model, the decoders, and what reads Content Credentials; a picture waits for them."""
    with running(home) as daemon:
        asked = daemon.ready()
        eventually(lambda: asked.get("/state")["model"]["phase"] == "ready", 60)
        assert post(asked, (fixtures[0] / "c2pa_ai.jpg").read_bytes())["label"]
        found = [stopped(one) for one in children(daemon.process.pid)]
        assert len(found) >= 3
        assert post(asked, png(2), wait_s=0)["state"] != "done"
        daemon.stop(number, within_s=12)
        eventually(lambda: all(map(has_ended, found)))


@pytest.mark.parametrize("what", [HAS_CHILD, HAS_TRAINER], ids=["child", "trainer"])
def test_a_stopped_child_ends_when_its_parent_is_killed(tmp_path, what):
    request = tmp_path / "request.json"
    os.mkfifo(request)  # the trainer waits for what it says
    parent = subprocess.Popen(
        [sys.executable, "-c", what, request, tmp_path / "note"], stdout=subprocess.PIPE
    )
    with parent, ExitStack() as ends:
        ends.callback(parent.kill)
        child = psutil.Process(int(parent.stdout.readline()))
        if what == HAS_TRAINER:
            ends.callback(os.close, eventually(lambda: writing_end(request), 60))
        stopped(child)
        parent.kill()
        eventually(lambda: has_ended(child))


def writing_end(fifo: Path) -> int | None:
    """Returns a descriptor once somebody reads."""
    with suppress(OSError):
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    return None


def test_a_child_lives_on_when_the_thread_that_asked_for_it_ends():
    """Linux ties a child to the thread that started it."""
    started = []
    thread = threading.Thread(
        target=lambda: started.append(child_process.start("import sys; print(sys.stdin.read())"))
    )
    thread.start()
    thread.join()
    (process,) = started
    try:
        assert process.communicate(b"hello")[0] == b"hello\n"
    finally:
        child_process.end(process)


def test_closing_does_not_wait_for_a_stopped_reader_of_credentials(fixtures):
    data = (fixtures[0] / "c2pa_ai.jpg").read_bytes()
    marks = FileMarks(n_c2pa_bytes=100)
    with ProvenanceReader(TimeLimit(within(60))) as reader:
        assert reader.read(marks, lambda: data).content == "intact"
        stopped(psutil.Process(reader._process.pid))
        asking = threading.Thread(target=reader.read, args=(marks, lambda: data))
        asking.start()
        eventually(reader._lock.locked)
        began = time.monotonic()
        reader.close()
        assert time.monotonic() - began < within(5)
        asking.join()
