"""Tells paths from addresses: what a file manager or browser pastes for a file is a file:// one."""

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

from .errors import UsageError
from .i18n import _

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_FILE = re.compile(r"file:(?://(?P<host>[^/\\]*))?(?=/)", re.IGNORECASE)
_DRIVE = re.compile(r"/[a-z][:|](?=/|$)", re.IGNORECASE)


def path_of(text: str) -> Path:
    """Returns the path that a person gave, as a path or as a file:// address of this computer.

    Raises UsageError for every other address: nothing is fetched.
    """
    return Path(text_of(text))


def text_of(text: str) -> str:
    """Returns a file:// address of this computer as a path; a path as it is. Raises UsageError.

    >>> text_of("file:///tmp/caf%C3%A9.jpg"), text_of("file://localhost/a"), text_of("./a%20b")
    ('/tmp/café.jpg', '/a', './a%20b')
    """
    found = _FILE.match(text)
    if found is not None and (found["host"] or "localhost").lower() == "localhost":
        return _local(text[found.end() :])
    if found is not None:
        raise UsageError(
            _(
                "{address} is on another computer, {host}, and antifake opens only files of this "
                "one. Copy the file here, or give its path if that computer's folder is mounted.",
                address=text,
                host=found["host"],
            )
        )
    if _ADDRESS.match(text):
        raise UsageError(
            _(
                "{address} is an address, and antifake never fetches anything from the web. Save "
                "the picture and check the file, or use the extension for your browser.",
                address=text,
            )
        )
    return text


def _local(encoded: str) -> str:
    path = os.fsdecode(unquote_to_bytes(os.fsencode(encoded)))
    if os.name == "nt" and _DRIVE.match(path):
        return f"{path[1]}:{path[3:] or os.sep}"
    return path
