"""The stage that reads and decodes pictures, in many processes of the engine. Imports no torch."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from antifake.core.decoder import Decoded, Decoder
from antifake.core.errors import UnreadableImageError, UsageError
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.reading import EvidenceReader
from antifake.core.i18n import _
from antifake.core.images import MAX_BYTES, Picture
from antifake.core.parts import Part
from antifake.core.pipeline import LookedAt, file_evidence

from .stores import Place

DECODED = pa.schema(
    [
        ("id", pa.int64()),
        ("path", pa.binary()),
        ("sha256", pa.string()),
        ("parts", pa.string()),
        ("crops", pa.large_binary()),
        ("note", pa.string()),
        ("error", pa.string()),
        ("code", pa.string()),
        ("file", pa.string()),
        ("ms", pa.float64()),
    ]
)
"""A picture between the stages: its squares (uint8 [n, size, size, 3]), where they are, what the
file says; or why there are none."""


class Decode:
    """Reads and decodes pictures, in a child process that a hostile one may kill."""

    def __init__(self, size: int) -> None:
        self._decoder = Decoder(1, size, view="whole").start()
        self._reader = EvidenceReader()
        # One is read from its store while another is decoded; no more, as each may have 100 MB.
        self._threads = ThreadPoolExecutor(2)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Table of a listing -> table of DECODED."""
        return pa.Table.from_pylist([*self._threads.map(self._row, table.to_pylist())], DECODED)

    def _row(self, listed: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        place = Place(os.fsdecode(listed["path"]))
        try:
            source = Path(place.name) if place.is_local else stored_bytes(place)
        except UnreadableImageError as error:
            found, file = Decoded(None, 0, None, error), None
        else:
            found = self._decoder.decode(source)
            file = file_evidence(self._reader, source, found)
        ms = 1000 * (time.perf_counter() - began)
        return listed | {"ms": ms} | _to_row(found, file)


def stored_bytes(place: Place) -> bytes:
    """Reads an object. Raises UnreadableImageError."""
    try:
        with place.filesystem.open_input_file(place.path) as file:
            if file.size() > MAX_BYTES:
                raise UnreadableImageError(
                    _(
                        "This file is too large: a picture may have {limit:.0f} MB.",
                        limit=MAX_BYTES / 1e6,
                    ),
                    "too_large_bytes",
                )
            data: bytes = file.read()
    except FileNotFoundError:
        raise UnreadableImageError(_("There is no such file (any more)."), "no_file") from None
    except (OSError, UsageError, pa.ArrowException) as error:
        raise UnreadableImageError(
            _("This picture cannot be read from its store: {why}", why=error), "unreadable_store"
        ) from error
    return data


def _to_row(found: Decoded, file: FileEvidence | None) -> dict[str, Any]:
    picture, error = found.picture, found.error
    return {
        "sha256": found.sha256,
        "parts": json.dumps([part.to_list() for part in picture.parts] if picture else []),
        "crops": picture.crops.tobytes() if picture else None,
        "note": picture.note if picture else None,
        "error": str(error) if error else None,
        "code": error.code if error else None,
        "file": json.dumps(file.to_dict()) if file else None,
    }


def from_row(row: dict[str, Any], size: int) -> LookedAt:
    """Returns a row of DECODED as it was, but for the size and format that no result has.

    Raises ValueError, TypeError or LookupError for others.
    """
    path = os.fsdecode(row["path"])
    file = FileEvidence.from_dict(json.loads(row["file"])) if row["file"] else None
    if row["error"] is not None:
        error = UnreadableImageError(row["error"], row["code"])
        return LookedAt(path, Decoded(row["sha256"], 0, None, error), file)
    parts = tuple(map(Part.from_list, json.loads(row["parts"])))
    crops = np.frombuffer(row["crops"], np.uint8).reshape(len(parts), size, size, 3).copy()
    picture = Picture(crops, parts, 0, 0, "", None, row["note"])
    return LookedAt(path, Decoded(row["sha256"], 0, picture, None), file)
