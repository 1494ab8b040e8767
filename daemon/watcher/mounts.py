"""Which folders are on a file system that sends no events, according to the kernel's mount list.

A network drive reports only what this computer changes, not what other computers change.
"""

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_WITHOUT_EVENTS = frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "vboxsf", "virtiofs", "prl_fs", "ceph", "afs"]
)
_OCTAL = re.compile(rb"\\([0-7]{3})")


def lacks_events(folder: str) -> bool:
    """Always False outside Linux; there a person can set `polling` for the folder."""
    try:
        mountinfo = _MOUNTS.read_bytes()
    except OSError:
        return False
    kind = file_system_of(folder, mountinfo)
    return kind in _WITHOUT_EVENTS or kind.split(".")[0] in ("fuse", "fuseblk")


def file_system_of(folder: str, mountinfo: bytes) -> str:
    """Returns the type of the file system that an absolute path is on; "" if none is listed."""
    searched = os.fsencode(folder).rstrip(b"/") + b"/"
    best, kind = b"", ""
    for line in mountinfo.splitlines():
        point, found = _read(line)
        # Of two at the same place the later one hides the earlier.
        if point and searched.startswith(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _read(line: bytes) -> tuple[bytes, str]:
    """Returns the mount point, with / at its end, and the type; see proc(5).

    The number of fields before the separator - differs.
    """
    fields = line.split(b" ")
    if b"-" not in fields[6:]:
        return b"", ""
    kind = fields[fields.index(b"-", 6) + 1]
    return _unescaped(fields[4]).rstrip(b"/") + b"/", kind.decode("ascii", "replace")


def _unescaped(text: bytes) -> bytes:
    return _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), text)
