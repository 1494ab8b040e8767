"""Gathers what a training needs: the crops of the user's words, and the last verdicts' crops."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antifake.core.decoder import Decoder
from antifake.core.files import write_atomically
from antifake.daemon.store import Store, crops
from antifake.daemon.store.corrections import Word
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.worker.judge import lossless

JUDGED_AGAIN = 1_000
"""So many of the last verdicts are judged again, to tell which would change."""
CONFIDENCE = 0.95
_MOST_BYTES = 200_000_000
"""A larger file is not read again: pictures that large are refused anyway."""


@dataclass(frozen=True)
class Material:
    """Where the crops are."""

    store: Store
    files: CropFiles
    size: int
    """Width and height in pixels that the model sees."""

    def has(self, words: Sequence[Word]) -> set[str]:
        """Returns the sha256 of those words whose crop is there."""
        with self.store.machine.reading() as session:
            sizes = crops.sizes(session, [word.sha256 for word in words])
        return {
            sha256
            for sha256, size in sizes.items()
            if size == self.size and self.files.path(sha256).is_file()
        }

    def read_again(
        self, words: Sequence[Word], clock: Callable[[], Any], is_over: Callable[[], bool]
    ) -> None:
        """Makes the missing crops from files that are still where they were, unchanged."""
        missing = sorted({word.sha256 for word in words} - self.has(words))
        found: list[tuple[str, Path]] = []
        for sha256 in missing:
            if is_over():
                return
            if path := self._file_of(sha256):
                found.append((sha256, path))
        if not found:
            return
        with Decoder(jobs=1, size=self.size) as decoder:
            for sha256, path in found:
                if is_over():
                    return
                decoded = decoder.decode(path)
                if decoded.picture is None or decoded.sha256 != sha256:
                    continue
                webp = lossless(decoded.picture.crop)
                self.files.write(sha256, webp)
                with self.store.machine.writing() as session:
                    crops.note(session, sha256, len(webp), self.size, clock())

    def _file_of(self, sha256: str) -> Path | None:
        with self.store.reading() as session:
            paths = crops.paths(session, sha256)
        return next((Path(path) for path in paths if _is(path, sha256)), None)

    def judged(self) -> list[tuple[str, str]]:
        """Returns id and sha256 of the last verdicts whose crop is there."""
        with self.store.reading_both() as (of_history, session):
            found = crops.last_judged(session, of_history, self.size, JUDGED_AGAIN)
        return [one for one in found if self.files.path(one[1]).is_file()]


def _is(path: str, sha256: str) -> bool:
    """Whether a regular file has that hash."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # Path.open() raises for odd names
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except (OSError, ValueError):
        return False


def write_request(  # noqa: PLR0913 - all that a trainer is told
    work: Path,
    material: Material,
    words: Sequence[Word],
    *,
    bundle: Path,
    prompts: Path,
    start: str,
    current: str,
    one_in: int,
    threads: int,
) -> Path:
    """Writes the request of a training into its folder. Returns its path. Raises OSError."""
    there = material.has(words)
    request = {
        "schema": 1,
        "bundle": str(bundle.absolute()),
        "prompts": str(prompts.absolute()),
        "start": start,
        "current": current,
        "seed": 0,
        "threads": threads,
        "words": [
            {
                "sha256": word.sha256,
                "label": word.label,
                "crop": str(material.files.path(word.sha256)),
            }
            for word in words
            if word.sha256 in there
        ],
        "judge": [
            {"id": name, "sha256": sha256, "crop": str(material.files.path(sha256))}
            for name, sha256 in material.judged()
        ],
        "budget": {"one_in": one_in, "confidence": CONFIDENCE} if one_in else None,
        "out": str((work / "out").absolute()),
    }
    (work / "out").mkdir(mode=0o700, parents=True, exist_ok=True)
    path = work / "request.json"
    write_atomically(path, json.dumps(request).encode())
    return path
