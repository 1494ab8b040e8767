"""Has pictures judged by the daemon. The results are the same as if they were judged here."""

import hashlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from antifake.core.commands.check import judged_here
from antifake.core.errors import UnreadableImageError
from antifake.core.i18n import _
from antifake.core.images import read_file
from antifake.core.results import Result
from antifake.core.terminal import say
from antifake.daemon.client import Check, Client, DaemonError, understood

AT_ONCE = 4
"""Requests at the same time: one picture is judged while the next ones are decoded."""
MANY = 8
"""More pictures than this are a batch, which waits for pictures that a user waits for."""

Source = Path | bytes


def judged_there(client: Client, sources: list[Source]) -> Iterator[Result]:
    """Yields the results in order. If the daemon cannot go on, this process judges the rest."""
    done = 0
    found = _results(client, sources)
    try:
        with closing(found):
            for one in found:
                yield one
                done += 1
    except DaemonError as error:
        say(_("{error} This process judges instead.", error=error), err="yellow")
        yield from judged_here(sources[done:], None, None)


def _results(client: Client, sources: list[Source]) -> Generator[Result]:
    judge = _RemoteJudge(client, "batch" if len(sources) > MANY else "person")
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="check")
    try:
        yield from pool.map(judge.result, sources)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # what is done is printed at once


class CorrectedResult(Result):
    """A picture that the user has labelled. What the model found, and where, says nothing of it."""

    def to_text(self, *, percent: bool, whole_card: bool = False) -> str:  # noqa: ARG002
        return Result.to_text(replace(self, parts=[]), percent=False, whole_card=whole_card)


@dataclass(frozen=True)
class _RemoteJudge:
    client: Client
    priority: str

    def result(self, source: Source) -> Result:
        """Returns the result for one picture. Raises DaemonError if the daemon is at fault."""
        name = "-" if isinstance(source, bytes) else str(source)
        path = source.absolute() if isinstance(source, Path) else None
        try:
            data = source if isinstance(source, bytes) else read_file(source)
        except UnreadableImageError as error:
            return _failed(name, None, str(error), error.code, {})
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            found = self.client.check(data, source="cli", priority=self.priority, path=path)
        except DaemonError as error:
            about = error.about.get("check")
            # The picture is the cause, so judging it here would fail in the same way.
            if error.status == 413 or (error.status == 422 and about):
                with understood():
                    return _failed(name, sha256, str(error), error.code, about or {})
            raise
        with understood():
            return _judged(name, found)


def _judged(name: str, found: Check) -> Result:
    kind = CorrectedResult if found["said"] else Result
    label = found["label"]
    return kind(
        path=name,
        sha256=found["sha256"],
        label=label,
        p_fake=found["p_fake"],
        word=found["word"] if label else None,
        model=found["model"],
        prompt=found["prompt"],
        ms=found["ms"],
        error=None if label else found["error"],
        code=found["code"],
        parts=found["parts"],
        note=found["note"] if label else None,
        **_of_evidence(found),
    )


def _failed(name: str, sha256: str | None, error: str, code: str, found: dict[str, Any]) -> Result:
    return Result(
        path=name,
        sha256=found.get("sha256") or sha256,
        label=None,
        p_fake=None,
        word=None,
        model=found.get("model") or "",
        prompt=found.get("prompt") or "",
        ms=found.get("ms") or 0.0,
        error=error,
        code=code,
        **(_of_evidence(found) if _was_looked_at(found) else {}),
    )


def _of_evidence(found: Check) -> dict[str, Any]:
    """Returns the fields of a Result that come of everything known of a picture."""
    evidence = found["evidence"]
    return {"headline": evidence["headline"], "basis": evidence["basis"], "evidence": evidence}


def _was_looked_at(found: dict[str, Any]) -> bool:
    """Whether what the file says of itself is known. It is not if there was no file to read."""
    return bool(found) and bool(found["evidence"]["tracks"]["marks"]["ran"])
