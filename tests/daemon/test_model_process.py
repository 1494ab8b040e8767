"""The process that runs the model: it judges, is ended when idle, crashes, hangs, is replaced."""

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_prompt
from kit.pace import within
from kit.tiny import IMAGE_SIZE
from kit.waiting import eventually

from antifake.core import cuda_graphs
from antifake.core.batching import judge_pictures
from antifake.core.bundle import Bundle
from antifake.core.catalog import Home
from antifake.core.detector import Detector, load_detector
from antifake.core.errors import (
    AntifakeError,
    CudaBrokenError,
    DamagedModelError,
    ModelError,
    NoScoreError,
)
from antifake.core.pixels import Pixels
from antifake.core.prepare import Source, prepare
from antifake.core.promptbook import Promptbook
from antifake.core.verdict import Verdict
from antifake.daemon.redaction import without_paths
from antifake.daemon.worker.active_model import ActiveModel, ModelVersion
from antifake.daemon.worker.model_child import CUDA_GRAPHS_SWITCH
from antifake.daemon.worker.model_process import (
    BackOff,
    ModelChangedError,
    ModelDiedError,
    ModelProcess,
)

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc and pidfd")


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def pictures(n: int, seed: int = 0, size: int = IMAGE_SIZE) -> list[Pixels]:
    """Pictures of one, two and three parts in turn."""
    random = np.random.default_rng(seed)
    shapes = [(1 + at % 3, size, size, 3) for at in range(n)]
    return [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def judged_here(detector: Detector, found: list[Pixels]) -> list[Verdict | NoScoreError]:
    return judge_pictures(detector.judge, detector.bands, found)


def pid(model: ModelProcess) -> int:
    assert model._child is not None
    return model._child.pid


def kill_and_wait(child: int) -> None:
    """Kills a child and waits for its end; it may still be a zombie then."""
    handle = os.pidfd_open(child)
    os.kill(child, signal.SIGKILL)
    assert select.select([handle], [], [], within(20))[0]
    os.close(handle)


def is_gone(child: int) -> bool:
    """Returns whether the process has ended and is not even a zombie."""
    return not Path(f"/proc/{child}").exists()


def fill(home: Home, source: Path) -> Home:
    """Adds the tiny model and two prompts; the first prompt is active."""
    bundle = prepare(Source(source), home.models / "tiny", dtype="fp32")
    home.use("tiny")
    book = Promptbook(home.prompts)
    for seed, name in enumerate(("first", "second"), 1):
        book.add(name, tiny_prompt(seed).to_bytes())
    book.use("first", bundle)
    return home


@pytest.fixture(scope="module", autouse=True)
def _same_number_of_threads_in_the_child() -> Iterator[None]:
    """The child must use as many threads as we do: another order of sums changes the last bit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
        yield


@pytest.fixture
def bundle(tiny_home: Home) -> Bundle:
    return tiny_home.bundle("tiny")


@pytest.fixture(scope="module")
def home(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that all tests share, so none may leave it changed."""
    return fill(Home(tmp_path_factory.mktemp("model") / "hömé ' \""), tiny_source)


@pytest.fixture(scope="module")
def model(home: Home) -> Iterator[ModelProcess]:
    """One child for many tests. A test that kills it must let it judge again."""
    with ModelProcess(home) as process:
        yield process


# --- Judging ------------------------------------------------------------------------------


def test_verdicts_are_identical_to_the_detectors_to_the_last_bit(
    model: ModelProcess, home: Home
) -> None:
    detector, _ = load_detector(home)
    for n in (1, 3, 8):
        assert model.judge(pictures(n, seed=n)) == judged_here(detector, pictures(n, seed=n))
    state = model.state()
    assert (state.phase, state.why, state.warning) == ("ready", None, None)
    verdict = model.judge(pictures(1))[0]
    assert isinstance(verdict, Verdict)
    assert (state.model, state.prompt) == (verdict.model, verdict.prompt)


def test_the_active_model_and_prompt_are_known_without_loading(
    model: ModelProcess, home: Home
) -> None:
    verdict = model.judge(pictures(1))[0]
    assert isinstance(verdict, Verdict)
    assert ActiveModel(home).now() == ModelVersion(verdict.model, verdict.prompt, IMAGE_SIZE)


def test_threads_are_served_in_turn_and_each_gets_its_own_verdict(model: ModelProcess) -> None:
    alone = [model.judge(pictures(3, seed)) for seed in range(4)]
    before = pid(model)

    def judge_often(seed: int) -> bool:
        return all(model.judge(pictures(3, seed)) == alone[seed] for _ in range(10))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(judge_often, range(4)))
    assert pid(model) == before


def test_an_empty_batch_needs_no_model(tmp_path: Path) -> None:
    with ModelProcess(Home(tmp_path)) as model:
        assert model.judge([]) == []


def test_pictures_of_another_size_must_be_decoded_again(model: ModelProcess) -> None:
    with pytest.raises(ModelChangedError, match="28 x 28"):
        model.judge(pictures(1, size=14))
    assert len(model.judge(pictures(1))) == 1


@linux
def test_the_status_shows_the_memory_of_the_process(model: ModelProcess) -> None:
    model.judge(pictures(1))
    assert 50_000_000 < (model.state().rss_bytes or 0) < 2_000_000_000


@linux
@pytest.mark.parametrize("batches", [40, pytest.param(200, marks=pytest.mark.soak)])
def test_many_pictures_do_not_fill_the_memory(model: ModelProcess, batches: int) -> None:
    for _ in range(20):
        model.judge(pictures(64))
    before = model.state().rss_bytes or 0
    for _ in range(batches):
        model.judge(pictures(64))
    assert (model.state().rss_bytes or 0) - before < 10_000_000  # they were 30 MB


# --- Crashes and hangs --------------------------------------------------------------------


@linux
def test_a_child_that_dies_while_idle_loses_no_picture(model: ModelProcess) -> None:
    expected = model.judge(pictures(2))
    before = pid(model)
    kill_and_wait(before)
    state = eventually(lambda: model.state() if model.state().phase == "broken" else None)
    assert "SIGKILL" in (state.why or "")
    assert model.judge(pictures(2)) == expected
    assert pid(model) != before
    assert is_gone(before)


@linux
def test_a_child_that_dies_at_work_is_reported_and_the_next_picture_is_judged(
    model: ModelProcess, caplog: pytest.LogCaptureFixture
) -> None:
    expected = model.judge(pictures(2))
    before = pid(model)
    os.kill(before, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(model.judge, pictures(2))
        eventually(lambda: model._child and model._child.is_busy)
        kill_and_wait(before)
        with pytest.raises(ModelDiedError, match=r"while it was judging \(SIGKILL\)"):
            answer.result(within(20))
    assert "while it was judging" in caplog.text
    assert model.judge(pictures(2)) == expected
    assert is_gone(before)


@linux
def test_a_hang_ends_at_the_deadline_and_the_next_picture_is_judged(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelProcess(home) as model:
        expected = model.judge(pictures(2))
        before = pid(model)
        os.kill(before, signal.SIGSTOP)
        with monkeypatch.context() as short:
            short.setattr(model, "_deadline_s", 0.5)
            with pytest.raises(ModelDiedError, match=r"no answer within 0\.5 seconds"):
                model.judge(pictures(64))
        assert is_gone(before)
        assert model.state().phase == "broken"
        assert model.judge(pictures(2)) == expected


@posix
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_to_all_processes_does_not_end_the_child(model: ModelProcess, number: str) -> None:
    expected = model.judge(pictures(1))
    before = pid(model)
    os.kill(before, getattr(signal, number))
    assert model.judge(pictures(1)) == expected
    assert pid(model) == before


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"[7]",
        b'[{"p_fake": NaN, "label": "real", "part_scores": [0]}]',
        b'[{"p_fake": 0, "label": 0, "part_scores": [0]}]',
        b'[{"p_fake": 0, "label": "real", "part_scores": []}]',
        b'[{"p_fake": 0, "label": "real", "part_scores": [2]}]',
        b"[",
    ],
)
@posix
def test_a_malformed_answer_is_no_verdict(tmp_path: Path, home: Home, answer: bytes) -> None:
    """A compromised child may send anything."""
    script = tmp_path / "captured"
    ready = b'{"model": "m@1", "prompt": "p@1", "warning": null}'
    said = b"".join(k + len(p).to_bytes(8, "big") + p for k, p in ((b"R", ready), (b"V", answer)))
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdout.buffer.write({said!r})\n"
        "sys.stdout.buffer.flush()\nsys.stdin.buffer.read(8)\n"
    )
    script.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch, ModelProcess(home) as model:
        patch.setattr(sys, "executable", str(script))
        with pytest.raises(ModelDiedError, match="while it was judging"):
            model.judge(pictures(1))


@posix
@pytest.mark.parametrize("breaks_at", ["its start", "its first batch"])
def test_a_child_whose_cuda_graphs_break_the_card_is_replaced_by_one_without(
    tmp_path: Path, home: Home, caplog: pytest.LogCaptureFixture, breaks_at: str
) -> None:
    """The same picture gets its verdict, and the next child starts without graphs, too."""
    script = tmp_path / "with graphs"
    ready = b'{"model": "m@1", "prompt": "p@1", "warning": null}'
    broken = b"G", b'{"sentence": "The graphics card cannot be used any more."}'
    sent = [broken] if breaks_at == "its start" else [(b"R", ready), broken]
    said = b"".join(k + len(p).to_bytes(8, "big") + p for k, p in sent)
    script.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"if os.environ.get({CUDA_GRAPHS_SWITCH!r}) == 'off':\n"
        f"    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])\n"
        f"sys.stdout.buffer.write({said!r})\n"
        "sys.stdout.buffer.flush()\nsys.stdin.buffer.read(8)\n"
    )
    script.chmod(0o700)
    detector, _ = load_detector(home)
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch, ModelProcess(home, clock=clock) as model:
        patch.setattr(sys, "executable", str(script))
        assert model.judge(pictures(1)) == judged_here(detector, pictures(1))
        assert (model.state().phase, model.state().why) == ("ready", None)
        clock.now_s += 100
        assert model.sleep_if_idle(10)
        assert model.judge(pictures(2)) == judged_here(detector, pictures(2))
    told = [record.getMessage() for record in caplog.records if "without CUDA" in record.message]
    assert len(told) == 1
    assert "The graphics card cannot be used any more." in told[0]


def test_a_child_says_when_its_card_is_broken(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The child's side: a real child, in which the detector's pass finds CUDA broken."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading\n"
        "from antifake.core import detector, errors\n"
        "def broken(self, crops):\n"
        "    raise errors.CudaBrokenError('It is broken.')\n"
        "detector.Detector.margins = broken\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ModelProcess(home) as model, pytest.raises(CudaBrokenError, match=r"^It is broken\.$"):
        model.judge(pictures(1))


# --- Idle, closed or orphaned -------------------------------------------------------------


@linux
def test_an_idle_process_is_ended_and_started_for_the_next_picture(home: Home) -> None:
    clock = Clock()
    with ModelProcess(home, clock=clock) as model:
        assert model.state().phase == "asleep"
        assert not model.sleep_if_idle(0)
        model.wake()
        before = pid(model)
        os.kill(before, signal.SIGSTOP)  # so it is still loading
        assert model.state().phase == "loading"
        clock.now_s += 1000
        assert not model.sleep_if_idle(60)
        model.wake()
        assert pid(model) == before
        os.kill(before, signal.SIGCONT)
        expected = model.judge(pictures(2))
        assert pid(model) == before

        clock.now_s += 60
        assert not model.sleep_if_idle(60)
        clock.now_s += 1
        assert model.sleep_if_idle(60)
        assert is_gone(before)
        assert (model.state().phase, model.state().rss_bytes) == ("asleep", None)
        assert model.state().prompt is not None
        assert model.judge(pictures(2)) == expected


@linux
def test_no_process_or_open_file_is_left_over(home: Home) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    seen = []
    for _ in range(3):
        with ModelProcess(home) as model:
            model.wake()
            seen.append(pid(model))
    assert all(map(is_gone, seen))
    # What threads of earlier tests still have open may be closed meanwhile.
    eventually(lambda: set(Path("/proc/self/fd").iterdir()) <= before)


@linux
def test_closing_does_not_wait_and_waiting_threads_get_an_error(home: Home) -> None:
    with ThreadPoolExecutor(2) as threads:
        with ModelProcess(home) as model:
            model.wake()
            child = pid(model)
            os.kill(child, signal.SIGSTOP)
            answers = [threads.submit(model.judge, pictures(1)) for _ in range(2)]
            eventually(model._judging.locked)
        for answer in answers:
            with pytest.raises(AntifakeError, match="shut down"):
                answer.result(within(20))
    assert is_gone(child)
    with pytest.raises(AntifakeError, match="shut down"):
        model.judge(pictures(1))


@linux
@pytest.mark.parametrize("is_ready", [False, True])
def test_the_child_does_not_outlive_a_killed_daemon(home: Home, is_ready: bool) -> None:
    program = (
        "import sys, numpy, pathlib\n"
        "from antifake.core.catalog import Home\n"
        "from antifake.daemon.worker.model_process import ModelProcess\n"
        f"model = ModelProcess(Home(pathlib.Path({str(home.root)!a})))\n"
        "model.wake()\n"
        f"{is_ready} and model.judge([numpy.zeros((1, {IMAGE_SIZE}, {IMAGE_SIZE}, 3), 'u1')])\n"
        "print(model._child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout is not None
        child = os.pidfd_open(int(daemon.stdout.readline()))
        daemon.kill()
        assert select.select([child], [], [], within(20))[0] == [child]
        os.close(child)


# --- Another model, another prompt, none ---------------------------------------------------


def test_another_prompt_or_model_is_used_from_the_next_picture_on(
    tiny_source: Path, tmp_path: Path
) -> None:
    home = fill(Home(tmp_path), tiny_source)
    with ModelProcess(home) as model:
        first = model.judge(pictures(2))
        Promptbook(home.prompts).use("second", home.bundle())
        second = model.judge(pictures(2))
        assert second == judged_here(load_detector(home)[0], pictures(2)) != first

        half = prepare(Source(tiny_source), home.models / "half", dtype="fp16")
        Promptbook(home.prompts).use("first", half)
        home.use("half")
        third = model.judge(pictures(2))
        assert third == judged_here(load_detector(home)[0], pictures(2))
        assert isinstance(third[0], Verdict)
        assert (third[0].model, third[0].prompt) == (model.state().model, model.state().prompt)


def test_model_and_prompt_are_read_again_only_after_a_file_changed(
    tiny_home: Home, bundle: Bundle
) -> None:
    book = Promptbook(tiny_home.prompts)
    active_model = ActiveModel(tiny_home)
    first = active_model.now()
    assert active_model.now() is first

    book.add("second", tiny_prompt(2).to_bytes())
    seen = active_model.seen
    assert active_model.now() == first
    assert active_model.seen != seen
    book.use("second", bundle)
    second = active_model.now()
    assert second.prompt.startswith("second@")
    (tiny_home.prompts / "second.safetensors").unlink()
    assert active_model.now() == first
    book.add("second", tiny_prompt(2).to_bytes())
    assert active_model.now() == second

    (tiny_home.models / "active").write_text("nobody")
    with pytest.raises(ModelError, match="nobody is not on this computer"):
        active_model.now()
    (tiny_home.models / "active").write_bytes(b"\xff")
    with pytest.raises(ModelError, match="cannot be a name"):
        active_model.now()
    tiny_home.use("tiny")
    assert active_model.now() == second


def test_names_in_the_settings_override_the_active_ones(tiny_home: Home, bundle: Bundle) -> None:
    file = tiny_home.root / "other.safetensors"
    file.write_bytes(tiny_prompt(2).to_bytes())
    by_file = ActiveModel(tiny_home, "tiny", str(file)).now()
    assert by_file.prompt == load_detector(tiny_home, "tiny", str(file))[0].prompt_version
    with pytest.raises(ModelError, match="cannot be a name"):
        ActiveModel(tiny_home, "a:b").now()
    with pytest.raises(ModelError, match="There is no prompt named third"):
        ActiveModel(tiny_home, "", "third").now()
    other = tiny_prompt(3, base="0" * 64).to_bytes()
    Promptbook(tiny_home.prompts).add("third", other)
    with pytest.raises(ModelError, match="was tuned for"):
        ActiveModel(tiny_home, bundle.manifest.name, "third").now()


def test_without_a_model_the_error_says_what_to_do(tmp_path: Path) -> None:
    with ModelProcess(Home(tmp_path)) as model:
        model.wake()
        with pytest.raises(ModelError, match="antifake model pull mini"):
            model.judge(pictures(1))
        state = model.state()
        assert (state.phase, state.model) == ("broken", None)
        assert "antifake model pull mini" in (state.why or "")


def test_a_damaged_model_is_reported_and_judges_once_repaired(tiny_home: Home) -> None:
    clock = Clock()
    folder = tiny_home.models / "tiny"
    weights = next(folder.glob("model-*"))
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with ModelProcess(tiny_home, clock=clock) as model:
        for _ in range(3):  # the third call starts no process
            with pytest.raises(DamagedModelError, match="is damaged"):
                model.judge(pictures(1))
        assert model._child is None
        assert model.state().phase == "broken"
        weights.write_bytes(sound)
        manifest = folder / "bundle.json"
        shutil.copyfile(manifest, folder / "new")
        (folder / "new").replace(manifest)
        assert isinstance(model.judge(pictures(1))[0], Verdict)
        assert model.state().why is None


def test_a_warning_appears_in_the_status(tiny_home: Home, bundle: Bundle) -> None:
    book = Promptbook(tiny_home.prompts)
    book.add("second", tiny_prompt(2).to_bytes())
    book.use("second", bundle)
    (tiny_home.prompts / "second.safetensors").write_bytes(tiny_prompt(3).to_bytes())
    with ModelProcess(tiny_home) as model:
        model.judge(pictures(1))
        assert "The prompt second is damaged" in (model.state().warning or "")
        assert (model.state().prompt or "").startswith("first@")


# --- Starting again -----------------------------------------------------------------------


def test_each_failure_in_a_row_is_followed_by_a_longer_pause() -> None:
    clock = Clock()
    rest = BackOff(clock)
    waits = []
    for _ in range(10):
        rest.failed()
        waits.append(rest.wait_s())
        clock.now_s += rest.wait_s()
        assert rest.wait_s() == 0
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    rest.reset()
    rest.failed()
    assert rest.wait_s() == 0


@posix
def test_a_child_that_always_dies_is_started_less_and_less_often(
    tiny_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    clock = Clock()
    with ModelProcess(tiny_home, clock=clock) as model:
        for rest_s in (0, 0, 1, 2):
            clock.now_s += rest_s
            with pytest.raises(ModelDiedError, match=r"exit code 1\)\.$"):
                model.judge(pictures(1))
        with pytest.raises(ModelDiedError, match="It is tried again in 4 seconds"):
            model.judge(pictures(1))
        model.wake()
        assert model._child is None
        assert "exit code 1" in (model.state().why or "")

        monkeypatch.undo()  # the cause is repaired
        clock.now_s += 4
        assert len(model.judge(pictures(1))) == 1
        assert (model.state().phase, model.state().why) == ("ready", None)


@posix
def test_a_picture_waits_for_the_end_of_a_short_pause(
    tiny_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with ModelProcess(tiny_home) as model:
        started = time.monotonic()
        for _ in range(3):
            with pytest.raises(ModelDiedError, match="exit code 1"):
                model.judge(pictures(1))
        assert 0.8 < time.monotonic() - started < within(20)


@posix
def test_a_model_that_never_loads_is_given_up(
    tiny_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "sleeper"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with (
        ModelProcess(tiny_home, start_s=0.2) as model,
        pytest.raises(ModelDiedError, match=r"not loaded within 0\.2 seconds"),
    ):
        model.judge(pictures(1))


@posix
def test_output_of_the_child_is_logged_without_paths(
    tiny_home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = tmp_path / "complainer"
    script.write_text("#!/bin/sh\nyes 'cannot find /home/me/secret.bin' | head -20000 >&2\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    caplog.set_level(logging.INFO, "antifake.daemon.worker")
    with ModelProcess(tiny_home) as model, pytest.raises(ModelDiedError):
        model.judge(pictures(1))

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records]

    eventually(lambda: lines().count("model: cannot find ...") == 20_000)
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("RuntimeError: CUDA error", "RuntimeError: CUDA error"),
        ('  File "/a b/c.py", line 3, in load', "  File ..., line 3, in load"),
        ("/usr/lib/x.py:12: UserWarning: 3/4 of it", "... UserWarning: 3/4 of it"),
        (r"C:\Users\me\x.py:1: slow", "... slow"),
        ("No such file: '/home/me/x y.png'", "No such file: ..."),
    ],
)
def test_paths_are_removed_from_messages(line: str, expected: str) -> None:
    assert without_paths(line) == expected


def test_the_switch_for_cuda_graphs_is_the_detectors() -> None:
    assert CUDA_GRAPHS_SWITCH == cuda_graphs.SWITCH


def test_the_daemon_imports_no_torch() -> None:
    program = (
        "import sys, antifake.daemon.worker.model_process\n"
        "sys.exit(not {'torch', 'transformers'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
