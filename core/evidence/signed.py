"""Reads C2PA manifests in a child process: the only module that imports the library.

The library loads native code from the current folder before its own, so the child runs in a
folder of the installation (see `provenance`). Nothing is ever fetched.

    parent   B picture
    child    R once when ready; then, for each picture, J {fields of Provenance}
"""

import io
import json
import os
import sys
from contextlib import suppress
from typing import Any

import c2pa

from antifake.core.framing import receive, send
from antifake.core.resource_limits import limit_memory, limit_time

from . import manifests, trust_lists

MEMORY_BYTES = 1_000_000_000
_KINDS = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"RIFF", "image/webp"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
)


def serve(cpu_s: float | None, known: str = "", interim: str = "") -> None:
    """Answers requests until the parent closes the pipe or ends.

    It computes for at most so many seconds for a picture (see limit_time). `known` and `interim`
    are certificates in PEM, as `trust_lists.settings` has them.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints must not get into the answers
    limit_memory(MEMORY_BYTES)
    context = _context(known, interim)
    send(answers, b"R")
    with suppress(EOFError, BrokenPipeError):
        while True:
            _, picture = receive(sys.stdin.buffer, sys.maxsize)
            limit_time(cpu_s)
            send(answers, b"J", json.dumps(read(picture, context)).encode())


def read(picture: bytes, context: Any) -> dict[str, Any]:
    """Returns the fields of a `Provenance` that was read."""
    try:
        reader = c2pa.Reader(_kind(picture), io.BytesIO(picture), context=context)
        report = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return {"content": "none"}
    except c2pa.C2paError as error:
        is_elsewhere = "remote" in str(error).lower()
        return {"content": "elsewhere" if is_elsewhere else "unreadable"}
    content = manifests.content_of(report)
    if content != "intact":
        signer = manifests.signer_of(report) if content == "changed" else None
        return {"content": content, "signer": signer}
    says, by = manifests.says_of(report)
    return {
        "content": content,
        "signer": manifests.signer_of(report),
        "says": says,
        "by": by,
        "name": manifests.name_of(report),
        "at": manifests.time_of(report),
    }


def _kind(picture: bytes) -> str:
    for magic, kind in _KINDS:
        if picture.startswith(magic):
            return kind
    return "image/avif" if b"avif" in picture[8:32] else "image/heic"


def _context(known: str, interim: str) -> Any:
    nothing_fetched = {"remote_manifest_fetch": False, "ocsp_fetch": False}
    trust = trust_lists.settings(known, interim)
    return c2pa.Context(c2pa.Settings.from_dict({"verify": nothing_fetched, "trust": trust}))
