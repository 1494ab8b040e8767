"""Having pictures judged by the daemon: the same rows as if they were judged here."""

import hashlib
import secrets
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from antifake.core.commands.check import judged_here
from antifake.core.errors import UnreadableImageError
from antifake.core.images import read_file
from antifake.core.results import Result
from antifake.core.terminal import say
from antifake.daemon.client import Client, DaemonError

AT_ONCE = 4
"""So many are on their way: one is judged while the next ones are decoded."""
MANY = 8
"""More pictures than that are a batch, and wait for those of people."""
PATIENCE_S = 120.0
"""So long one picture may take, with all that wait before it."""
WAIT_S = 5
"""At a time, or Ctrl-C would have to wait, too."""

Source = Path | bytes


def judged_there(client: Client, sources: list[Source]) -> Iterator[Result]:
    """In order. Where the daemon cannot go on, the rest is judged here."""
    done = 0
    rows = _rows(client, sources)
    try:
        with closing(rows):
            for row in rows:
                yield row
                done += 1
    except DaemonError as error:
        say(f"{error} This process judges instead.", err="yellow")
        yield from judged_here(sources[done:], None, None)


def _rows(client: Client, sources: list[Source]) -> Generator[Result]:
    priority = "batch" if len(sources) > MANY else "person"
    errand = _Errand(replace(client, timeout_s=WAIT_S + 10.0), priority)
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="check")
    try:
        yield from pool.map(errand.row, sources)
    finally:
        pool.shutdown(cancel_futures=True)


class AskedResult(Result):
    """A row whose words may be the person's own, on which no model puts a percentage."""

    def to_text(self, *, percent: bool) -> str:
        return super().to_text(percent=percent and not (self.word or "").startswith("You said"))


@dataclass(frozen=True)
class _Errand:
    client: Client
    priority: str

    def row(self, source: Source) -> Result:
        """Raises DaemonError where it is not the picture that is to blame."""
        name = "-" if isinstance(source, bytes) else str(source)
        try:
            data = source if isinstance(source, bytes) else read_file(source)
        except UnreadableImageError as error:
            return _failed(name, None, str(error), error.code, {})
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            return _judged(name, self._ask(source, data))
        except DaemonError as error:
            about = error.about.get("check")
            # The picture's own fault: judging it here would find the same.
            if error.status == 413 or (error.status == 422 and about):
                return _failed(name, sha256, str(error), error.code, about or {})
            raise

    def _ask(self, source: Source, data: bytes) -> dict[str, Any]:
        """The check object, once it is done."""
        end = time.monotonic() + PATIENCE_S
        kind, body = form(self._fields(source), data)
        said = self._post(kind, body, end)
        while said["state"] != "done":
            if time.monotonic() > end:
                raise DaemonError("The daemon takes too long.")
            path = f"/checks/{quote(said['id'], safe='')}"
            said = self.client.get(path, wait=str(WAIT_S))
        return dict(said)

    def _post(self, kind: str, body: bytes, end: float) -> dict[str, Any]:
        """Where all places are taken: again, until somebody's turn is over."""
        headers = {"Prefer": f"wait={WAIT_S}"}
        while True:
            try:
                return dict(self.client.ask("POST", "/checks", body, kind, headers))
            except DaemonError as error:
                if error.code != "queue_full" or time.monotonic() > end:
                    raise
            time.sleep(1)

    def _fields(self, source: Source) -> dict[str, str]:
        fields = {"source": "cli", "priority": self.priority}
        if isinstance(source, Path) and _is_text(path := str(source.absolute())):
            fields["path"] = path
        return fields


def form(fields: dict[str, str], data: bytes) -> tuple[str, bytes]:
    """Content-Type and body of multipart/form-data; the picture is `file`, and has no name."""
    border = secrets.token_hex(16)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="picture"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    body = b"".join([*parts, head, data, f"\r\n--{border}--\r\n".encode()])
    return f"multipart/form-data; boundary={border}", body


def _is_text(name: str) -> bool:
    """A name that is not UTF-8 cannot be sent; the picture can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _judged(name: str, check: dict[str, Any]) -> Result:
    return AskedResult(
        name, check["sha256"], check["label"], check["p_fake"],
        check["word"] if check["label"] else None,
        check["model"], check["prompt"], check["ms"],
        None if check["label"] else check["error"], check["code"],
    )  # fmt: skip


def _failed(name: str, sha256: str | None, error: str, code: str, check: dict[str, Any]) -> Result:
    return AskedResult(
        name, check.get("sha256") or sha256, None, None, None,
        check.get("model") or "", check.get("prompt") or "", check.get("ms") or 0.0, error, code,
    )  # fmt: skip
