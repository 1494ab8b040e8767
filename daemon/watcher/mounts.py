"""Which folders lie on a file system that tells of no changes, as the kernel lists them.

On a network drive only what this computer itself changes is told; what others do is not.
"""

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_MUTE = frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "vboxsf", "virtiofs", "prl_fs", "ceph", "afs"]
)
_OCTAL = re.compile(rb"\\([0-7]{3})")


def is_mute(folder: str) -> bool:
    """On other systems nobody can say; there the person can: `polling` in the settings."""
    try:
        listed = _MOUNTS.read_bytes()
    except OSError:
        return False
    kind = kind_of(folder, listed)
    return kind in _MUTE or kind.split(".")[0] in ("fuse", "fuseblk")


def kind_of(folder: str, mountinfo: bytes) -> str:
    """The kind of file system a whole path is on; "" where nothing of the list holds it."""
    wanted = os.fsencode(folder).rstrip(b"/") + b"/"
    best, kind = b"", ""
    for line in mountinfo.splitlines():
        point, found = _read(line)
        # Of two at the same place the later one hides the earlier.
        if point and wanted.startswith(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _read(line: bytes) -> tuple[bytes, str]:
    """Where it is mounted, with / at the end, and what it is. See proc(5): the number of fields
    before the lone - differs."""
    fields = line.split(b" ")
    if b"-" not in fields[6:]:
        return b"", ""
    kind = fields[fields.index(b"-", 6) + 1]
    return _plain(fields[4]).rstrip(b"/") + b"/", kind.decode("ascii", "replace")


def _plain(escaped: bytes) -> bytes:
    return _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), escaped)
