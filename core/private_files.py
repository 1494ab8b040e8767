"""Whether other users of this computer could change our files, judged as OpenSSH judges its own.

A file counts only if it belongs to this user or to root, and nobody else can write it. Whoever can
write a folder can put another file in the place of one in it, so the same is asked of all folders
and links that lead there.

Drives without rights, such as vfat, let everybody at this computer write everything. A person who
chose such a drive is not refused; the doctor says it. On Windows nothing is judged: the folders of
an account are private by default.
"""

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import AntifakeError
from .i18n import _

_MOST_LINKS = 40
_NAMESPACES = Path("/proc/sys/kernel/overflowuid"), Path("/proc/self/uid_map")


@dataclass(frozen=True)
class Objection:
    """Why a file or folder is not used."""

    sentence: str
    fix: str
    """What to do, in a sentence."""

    def __str__(self) -> str:
        return f"{self.sentence} {self.fix}"


class NotPrivateError(AntifakeError):
    """Others on this computer could change what would be used; `str` says what to do."""

    exit_code = 2
    status = 503
    code = "not_private"


def make_private(folder: Path) -> None:
    """Makes a folder, and the parents that it lacks, for this user only. Raises OSError."""
    missing = [path for path in folder.parents if not path.exists()]
    for path in (*reversed(missing), folder):
        path.mkdir(mode=0o700, exist_ok=True)


def secure(root: Path, folders: Iterable[Path], files: Iterable[Path] = ()) -> None:
    """Takes the rights of others to our own folders away, and judges what is left.

    A person may have chosen a `root` that holds other things, too, as /usr does: its rights are
    changed only where others can write it. What does not exist is passed over. Raises
    NotPrivateError.
    """
    folders = dict.fromkeys((root, *folders))
    for folder in folders:
        _tighten(folder, 0o022 if folder == root else 0o077)
    for path in (*folders, *files):
        if objection := objection_to(path):
            raise NotPrivateError(str(objection))


def require_private(file: Path, error: Callable[[str], AntifakeError]) -> None:
    """Raises an error if others can write a file of ours. One that is missing is passed over."""
    if objection := objection_to_file(file):
        raise error(str(objection))


def objection_to(path: Path) -> Objection | None:
    """Judges a file or folder of ours, and everything that leads to it."""
    try:
        *above, last = _way_to(path)
    except OSError:
        return None  # it cannot be reached, so it is not used either
    for folder in above:
        if objection := _to_parent(folder):
            return objection
    return objection_to_file(last) if os.path.lexists(path) else _to_parent(last)


def objection_to_file(path: Path) -> Objection | None:
    """Judges a file or folder of ours, without what leads to it."""
    try:
        info = path.stat()
    except OSError:
        return None
    if info.st_uid not in (0, _me()):
        return Objection(
            _(
                "{path} belongs to another user of this computer ({owner}), so it is not used.",
                path=path,
                owner=_name_of(info.st_uid),
            ),
            _("Move it away, or make it yours if you know what is in it."),
        )
    if not _others_write(info) or keeps_no_rights(path):
        return None
    return Objection(
        _("Others on this computer can change {path}, so it is not used.", path=path),
        _("Look at what is in it, then run: {command}", command=_closing(path)),
    )


def is_open_to_others(path: Path) -> bool:
    """Returns whether others can read or write a file, or look into a folder."""
    try:
        return sys.platform != "win32" and bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def keeps_no_rights(path: Path) -> bool:
    """Returns whether the drive of a file or folder keeps no rights: a new file is open, too."""
    try:
        with tempfile.TemporaryFile(dir=path if path.is_dir() else path.parent) as probe:
            return bool(os.fstat(probe.fileno()).st_mode & 0o022)
    except OSError:
        return False


def _to_parent(path: Path) -> Objection | None:
    """Judges a folder or link above what is ours."""
    info = path.lstat()
    fix = _("Set ANTIFAKE_HOME to a folder that only you can write.")
    if not _is_trusted(info.st_uid):
        sentence = _(
            "{path} belongs to another user of this computer ({owner}), who can replace what is "
            "in it.",
            path=path,
            owner=_name_of(info.st_uid),
        )
        return Objection(sentence, fix)
    if stat.S_ISLNK(info.st_mode) or info.st_mode & stat.S_ISVTX or not _others_write(info):
        return None
    if info.st_uid == _me():
        if keeps_no_rights(path):
            return None
        fix = _("Run: {command}", command=_closing(path))
    return Objection(
        _(
            "Others on this computer can change the folder {path} and replace what is in it.",
            path=path,
        ),
        fix,
    )


def _tighten(folder: Path, if_others_have: int) -> None:
    try:
        info = folder.stat()
        is_ours = stat.S_ISDIR(info.st_mode) and info.st_uid == _me()
        if info.st_mode & stat.S_ISVTX:
            return  # made for everybody, as /tmp is
        if sys.platform != "win32" and is_ours and info.st_mode & if_others_have:
            folder.chmod(stat.S_IMODE(info.st_mode) & ~0o077)
    except OSError:
        return  # missing, or on a drive that is read-only; what counts is judged afterwards


def _way_to(path: Path) -> Iterator[Path]:
    """Yields all folders and links that lead to what `path` is in the end, and that.

    Ends with the last one that exists. Raises OSError.
    """
    rest, at, n_links = list(reversed(path.absolute().parts)), Path(path.anchor or "/"), 0
    while rest:
        part = rest.pop()
        at = at.parent if part == ".." else at / part
        if not os.path.lexists(at):
            return
        yield at
        if at.is_symlink():
            n_links += 1
            if n_links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            rest += reversed(at.readlink().parts)
            at = at.parent


def _me() -> int:
    if sys.platform == "win32":
        return 0  # everything belongs to 0 there
    return os.geteuid()


def _others_write(info: os.stat_result) -> bool:
    if sys.platform == "win32":
        return False
    return bool(info.st_mode & 0o002) or (
        bool(info.st_mode & 0o020) and not _is_own_group(info.st_gid)
    )


def _is_own_group(gid: int) -> bool:
    """Returns whether nobody else is in a group: many systems give each user one of their own."""
    if sys.platform == "win32":
        return True
    import grp  # noqa: PLC0415  # Windows has none

    try:
        group, me = grp.getgrgid(gid), _name_of(_me())
    except KeyError:
        return False
    return group.gr_name in (me, "root") and {*group.gr_mem} <= {me, "root"}


def _is_trusted(uid: int) -> bool:
    """Returns whether a user may own what is above our files: root and this user may.

    In a container that does not know root, as of Flatpak, all its folders belong to "nobody".
    """
    if uid in (0, _me()):
        return True
    try:
        nobody, known = (path.read_text("ascii") for path in _NAMESPACES)
    except OSError:
        return False
    maps = [[int(n) for n in line.split()] for line in known.splitlines()]
    knows_root = any(inside == 0 == outside for inside, outside, _n in maps)
    return not knows_root and uid == int(nobody)


def _name_of(uid: int) -> str:
    if sys.platform == "win32":
        return str(uid)
    import pwd  # noqa: PLC0415  # Windows has none

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _closing(path: Path) -> str:
    import shlex  # noqa: PLC0415  # only to say it

    return shlex.join(("chmod", "go-w", str(path)))
