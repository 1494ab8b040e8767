"""The child process that runs the detector: the parent's side and the child's side.

Torch and the model's gigabytes are loaded only in the child. So the daemon stays small, a crash or
a hang costs only a restart, and ending the child frees all its memory, also on the graphics card.
The messages are frames of core.framing:

    child    R {"model", "prompt", "warning"} once it is ready, or M {"sentence", "is_damaged"}
    parent   J {"counts": [n], "size"}, then C with the crops of all pictures, uint8
             [sum of counts, size, size, 3]
    child    V [{"p_fake", "label", "part_scores"} | {"error"}], for each picture; or instead of
             R or V, before it ends, G {"sentence"} if CUDA graphs have made the graphics card
             unusable to it

This module imports no torch; `serve` does so in the child.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import psutil

from antifake.core import child_process
from antifake.core.batching import judge_pictures
from antifake.core.catalog import Home
from antifake.core.child_process import Deadline, TimeLimit
from antifake.core.errors import (
    AntifakeError,
    CudaBrokenError,
    DamagedModelError,
    ModelError,
    NoMemoryError,
    NoScoreError,
)
from antifake.core.framing import receive, send
from antifake.core.i18n import _
from antifake.core.pixels import Pixels
from antifake.core.verdict import Label, Verdict
from antifake.daemon.redaction import without_paths

from .active_model import ModelVersion

if TYPE_CHECKING:
    from antifake.core.detector import Detector

log = logging.getLogger(__package__)

Result = Verdict | NoScoreError

CUDA_GRAPHS_SWITCH = "ANTIFAKE_CUDA_GRAPHS"
"""As in core.cuda_graphs, which brings torch."""

_MAX_JSON = 2**20
_EXIT_WITHIN_S = 5.0
_invalid_answer = suppress(
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class ModelDiedError(AntifakeError):
    """The process with the model crashed or hung. Another attempt may succeed."""

    status = 503
    code = "model_died"


# --- The parent's side --------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """What the child reports when it is ready."""

    model: str
    prompt: str
    warning: str | None


class Child:
    """One child process. Only one thread at a time may judge with it."""

    def __init__(
        self,
        home: Home,
        names: tuple[str, str],
        expected: ModelVersion,
        start_s: float,
        *,
        cuda_graphs: bool = True,
    ) -> None:
        """Starts loading the model and the prompt of these names. Raises ModelDiedError.

        Without `cuda_graphs` the child uses none, even on a graphics card.
        """
        self.expected = expected
        """The versions that were active when it was started."""
        self.loaded: Future[Loaded] = Future()
        """Has a ModelError, ModelDiedError or CudaBrokenError if loading failed."""
        self.is_busy = False
        """It was sent crops and has not answered yet."""
        self._process = _start(home, names, cuda_graphs=cuda_graphs)
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        self._threads = (
            threading.Thread(target=self._load, args=(start_s,), name="model-load", daemon=True),
            threading.Thread(target=self._log_stderr, name="model-stderr", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def failure(self) -> AntifakeError | None:
        """Returns why it can no longer be used. None if it is loading, judging or ready."""
        if self.is_busy or not self.loaded.done():
            return None
        if error := self.loaded.exception():
            return cast(AntifakeError, error)
        return None if self._process.poll() is None else self._died("idle")

    def ready(self) -> Loaded | None:
        """Returns None while it is loading, and after that has failed."""
        if not self.loaded.done() or self.loaded.exception():
            return None
        return self.loaded.result()

    def judge(self, pictures: Sequence[Pixels], deadline_s: float) -> list[Result]:
        """Returns the verdict or error of each picture, uint8 crops [n, S, S, 3], in their order.

        Raises ModelDiedError or CudaBrokenError. The child cannot be used after that.
        """
        loaded = self.loaded.result()
        found = None
        self.is_busy = True
        with Deadline(TimeLimit(deadline_s), self._process) as deadline, _invalid_answer:
            self._send_crops(pictures)
            found = self._receive_verdicts([len(crops) for crops in pictures], loaded)
        if deadline.is_past:
            raise ModelDiedError(
                _(
                    "The model gave no answer within {seconds:g} seconds, so it was stopped.",
                    seconds=deadline_s,
                )
            )
        if found is None:
            raise self._died("judging")
        self.is_busy = False
        return found

    def close(self) -> None:
        """Kills the process and waits for its end."""
        child_process.end(self._process)
        for thread in self._threads:
            thread.join(_EXIT_WITHIN_S)

    def rss_bytes(self) -> int | None:
        """Returns the memory in use. None if it has just ended or the system does not tell."""
        try:
            return psutil.Process(self.pid).memory_info().rss
        except psutil.Error:
            return None

    def _load(self, start_s: float) -> None:
        try:
            self.loaded.set_result(self._receive_loaded(start_s))
        except AntifakeError as error:
            self.loaded.set_exception(error)

    def _receive_loaded(self, start_s: float) -> Loaded:
        with Deadline(TimeLimit(start_s), self._process) as deadline, _invalid_answer:
            kind, payload = receive(self._answers, _MAX_JSON)
            message = json.loads(payload)
            if kind == b"G":
                raise CudaBrokenError(str(message["sentence"]))
            if kind == b"M":
                error = DamagedModelError if message["is_damaged"] else ModelError
                raise error(str(message["sentence"]))
            warning = message["warning"] and str(message["warning"])
            return Loaded(str(message["model"]), str(message["prompt"]), warning)
        if deadline.is_past:
            raise ModelDiedError(
                _("The model was not loaded within {seconds:g} seconds.", seconds=start_s)
            )
        raise self._died("loading")

    def _send_crops(self, pictures: Sequence[Pixels]) -> None:
        batch = np.concatenate(pictures)
        about = {"counts": [len(crops) for crops in pictures], "size": batch.shape[1]}
        send(self._requests, b"J", json.dumps(about).encode())
        send(self._requests, b"C", batch.tobytes())

    def _receive_verdicts(self, counts: Sequence[int], loaded: Loaded) -> list[Result]:
        kind, payload = receive(self._answers, _MAX_JSON)
        if kind == b"G":
            raise CudaBrokenError(str(json.loads(payload)["sentence"]))
        messages = json.loads(payload)
        return [
            _verdict(message, count, loaded)
            for message, count in zip(messages, counts, strict=True)
        ]

    def _log_stderr(self) -> None:
        """Logs its stderr, so that the pipe never fills up. Then reaps the process."""
        with cast(IO[bytes], self._process.stderr) as pipe:
            while raw := pipe.readline(4096):
                line = raw.decode("utf-8", "replace").rstrip()
                log.warning("model: %s", without_paths(line))
                log.debug("model, in full: %s", line)
        self._process.wait()

    def _died(self, during: Literal["idle", "loading", "judging"]) -> ModelDiedError:
        try:
            self._process.wait(1)  # its pipe may have closed a moment before it ended
        except subprocess.TimeoutExpired:  # it still runs: its answer was invalid
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_WITHIN_S)
        how = _ending(self._process.returncode)
        match during:
            case "idle":
                told = _(
                    "The process that judges pictures ended while it had nothing to do ({how}).",
                    how=how,
                )
            case "loading":
                told = _(
                    "The process that judges pictures ended while it was loading the model"
                    " ({how}).",
                    how=how,
                )
            case "judging":
                told = _(
                    "The process that judges pictures ended while it was judging ({how}).", how=how
                )
        return ModelDiedError(told)


def _start(home: Home, names: tuple[str, str], *, cuda_graphs: bool) -> subprocess.Popen[bytes]:
    model, prompt = names
    environment = dict(os.environ) if cuda_graphs else os.environ | {CUDA_GRAPHS_SWITCH: "off"}
    # The path must be absolute, and only ASCII even if the folder's name is not.
    code = (
        f"from {__name__} import serve; serve({str(home.root.absolute())!a}, {model!a}, {prompt!a})"
    )
    try:
        return child_process.start(code, environment=environment, stderr=subprocess.PIPE)
    except OSError as error:
        raise ModelDiedError(
            _(
                "The process that judges pictures cannot be started: {reason}.",
                reason=error.strerror or error,
            )
        ) from error


def _verdict(message: dict[str, Any], n_parts: int, loaded: Loaded) -> Result:
    if error := message.get("error"):
        return NoMemoryError() if error == "no_memory" else NoScoreError()
    p_fake, label = float(message["p_fake"]), message["label"]
    scores = tuple(float(score) for score in message["part_scores"])
    are_valid = all(0 <= score <= 1 for score in (p_fake, *scores)) and len(scores) == n_parts
    if not are_valid or label not in get_args(Label):
        raise ValueError("this is no verdict")
    return Verdict(p_fake, label, loaded.model, loaded.prompt, scores)


def _ending(code: int | None) -> str:
    if code is None:
        return _("it does not even end")
    if code >= 0:
        return _("exit code {code}", code=code)
    try:
        return signal.Signals(-code).name
    except ValueError:
        return _("signal {number}", number=-code)


# --- The child's side ---------------------------------------------------------------------


def serve(home: str, model: str, prompt: str) -> None:
    """Loads the model, reports that, and judges until the parent closes the pipe or ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not print into the answers
    batches: SimpleQueue[list[Pixels]] = SimpleQueue()
    threading.Thread(target=_receive_requests, args=(batches,), daemon=True).start()
    try:
        detector, warning = _load(Home(Path(home)), model, prompt)
        version = detector.model.manifest.version
        ready = {"model": version, "prompt": detector.prompt_version, "warning": warning}
        _send_json(answers, b"R", ready)
        while True:
            found = judge_pictures(detector.judge, detector.bands, batches.get())
            _send_json(answers, b"V", [_message(one) for one in found])
    except CudaBrokenError as error:
        _send_json(answers, b"G", {"sentence": str(error)})
    except AntifakeError as error:
        is_damaged = isinstance(error, DamagedModelError)
        _send_json(answers, b"M", {"sentence": str(error), "is_damaged": is_damaged})


def _receive_requests(batches: "SimpleQueue[list[Pixels]]") -> None:
    """Receives requests, and ends this process when the parent has ended.

    It has its own thread, so that the parent's end is noticed while the model computes. Linux's
    PR_SET_PDEATHSIG is no alternative: it ends a child with the *thread* that started it.
    """
    try:
        # Not sys.stdin, whose lock a blocked thread would hold when Python wants to end.
        with os.fdopen(os.dup(0), "rb") as requests:
            while True:
                about = json.loads(receive(requests, _MAX_JSON)[1])
                counts, size = about["counts"], about["size"]
                raw = receive(requests, sys.maxsize)[1]
                crops = np.frombuffer(raw, np.uint8).reshape(sum(counts), size, size, 3)
                batches.put(np.split(crops, np.cumsum(counts)[:-1]))
    finally:
        os._exit(0)


def _load(home: Home, model: str, prompt: str) -> tuple["Detector", str | None]:
    """Returns the detector and a warning for the user, if any. Raises AntifakeError."""
    try:
        from antifake.core.detector import load_detector  # noqa: PLC0415 - brings torch
        from antifake.core.selfcheck import check_if_changed  # noqa: PLC0415

        detector, warning = load_detector(home, model or None, prompt or None)
        drift = None
        with suppress(OSError):  # the disk is full: the check passed, but that cannot be saved
            drift = check_if_changed(detector, home.root / "selfcheck.json")
    except NoScoreError:
        raise ModelError(_("On this computer the model computes what is not a number.")) from None
    except MemoryError:
        raise ModelError(_("There is too little free memory to load the model.")) from None
    return detector, " ".join(filter(None, (warning, drift))) or None


def _message(found: Result) -> dict[str, object]:
    if isinstance(found, Verdict):
        return {"p_fake": found.p_fake, "label": found.label, "part_scores": found.part_scores}
    return {"error": found.code}


def _send_json(pipe: IO[bytes], kind: bytes, message: object) -> None:
    send(pipe, kind, json.dumps(message).encode())
