"""The API as methods, for our own programs on this computer: command line, tray and doctor."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from antifake.core.i18n import _
from antifake.daemon.instance import OTHER_VERSION

from .errors import DaemonError, read_answer, understood
from .pieces import pieces
from .transport import Body, Socket, Transport, save, whole

Json = dict[str, Any]
Check = dict[str, Any]
"""A check object of the API."""
Query = Mapping[str, str]
"""The filter of the history, as parameters of GET /checks."""

MOST = 500
"""Checks on one page of the history."""
PATIENCE_S = 120.0
"""How long one picture may take, including the queue before it."""
WAIT_S = 5
"""How long one request waits for a picture. Ctrl-C may take as long."""
_RETRY_S = 1.0
_LONG_S = 3600.0
MOST_SENTENCES = 100
"""About rows that were not imported."""
_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


@dataclass(frozen=True)
class Client:
    """Each method raises DaemonError, with the daemon's own message or because there is none."""

    transport: Transport
    timeout_s: float = 30.0

    def patient(self, timeout_s: float) -> "Client":
        """Returns a client that waits that long for each answer."""
        return replace(self, timeout_s=timeout_s)

    @property
    def is_daemon(self) -> bool:
        """False where the API runs in this process, without a daemon."""
        return isinstance(self.transport, Socket)

    @property
    def address(self) -> str:
        """The address of the daemon's pages; empty if no daemon is running."""
        socket = self.transport
        return f"http://127.0.0.1:{socket.port}/" if isinstance(socket, Socket) else ""

    # --- Pictures -------------------------------------------------------------------------------

    def check(
        self,
        picture: bytes,
        *,
        source: str,
        priority: str = "person",
        path: Path | None = None,
        within_s: float = PATIENCE_S,
    ) -> Check:
        """Returns the check of a picture once it is done.

        Sends it again while the queue is full. Raises DaemonError with the code `too_slow`.
        """
        fields = {"source": source, "priority": priority}
        if path is not None and _is_text(str(path)):
            fields["path"] = str(path)
        end = time.monotonic() + within_s
        asked = self.patient(WAIT_S + 10.0)
        found = asked.post_until_taken(*multipart(fields, picture), end)
        with understood():
            while found["state"] != "done":
                if time.monotonic() > end:
                    raise DaemonError(_("The daemon takes too long."), code="too_slow")
                found = asked.get(f"/checks/{quote(found['id'], safe='')}", wait=str(WAIT_S))
            return dict(found)

    def post_until_taken(self, kind: str, body: bytes, end: float) -> Json:
        """Send a picture. Send it again while the queue is full."""
        while True:
            try:
                return _object(
                    self.ask("POST", "/checks", body, kind, {"Prefer": f"wait={WAIT_S}"})
                )
            except DaemonError as error:
                if error.code != "queue_full" or time.monotonic() > end:
                    raise
            time.sleep(_RETRY_S)

    # --- History --------------------------------------------------------------------------------

    def history(self, query: Query, limit: int) -> Iterator[Check]:
        """Yields the checks, newest first."""
        cursor: Json = {}
        while limit > 0:
            found = self.get("/checks", **query, **cursor, limit=str(min(limit, MOST)))
            page = found["checks"][:limit]
            yield from page
            limit -= len(page)
            if found["next"] is None or not page:
                return
            cursor = {"cursor": found["next"]}

    def show(self, name: str) -> Check:
        return dict(self.get(f"/checks/{quote(name, safe='')}"))

    def thumbnail(self, name: str) -> bytes | None:
        """Returns a small picture as WebP, None if none is kept."""
        try:
            return self._bytes(f"/checks/{quote(name, safe='')}/thumbnail")
        except DaemonError as error:
            if error.status == 404:
                return None
            raise

    def report(self, name: str, kind: str, *, with_name: bool = True) -> bytes:
        """Returns a report on a check; `kind` is "html" or "pdf"."""
        query = urlencode({"format": kind, "name": str(with_name).lower()})
        # The picture is decoded again, which may take as long as it took to judge it.
        return self._bytes(f"/checks/{quote(name, safe='')}/report?{query}", PATIENCE_S)

    def _bytes(self, path: str, timeout_s: float | None = None) -> bytes:
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        with self.transport.send("GET", path, None, {}, timeout_s) as answer:
            data = whole(answer)
            if answer.status >= 300:
                read_answer(answer.status, data)
            return data

    def correct(
        self, names: Sequence[str], label: str, note: str = "", *, source: str
    ) -> list[Check]:
        """Records what the user says these pictures are; `source` is "cli" or "tray".

        The label "right" confirms the verdict of each picture.
        """
        body = {"ids": list(names), "label": label, "note": note, "source": source}
        return list(self.post("/labels:batch", body)["checks"])

    def undo(self, names: Sequence[str], *, source: str) -> list[Check]:
        """Undo the user's last label of each picture."""
        return list(self.post("/labels:undo", {"ids": list(names), "source": source})["checks"])

    def forget(self, names: Sequence[str]) -> int:
        """Returns how many checks were deleted."""
        patient = self.patient(_LONG_S)
        return int(patient.post("/checks:forget", {"ids": list(names)})["forgotten"])

    def export(self, out: IO[bytes], form: str, query: Query) -> None:
        path = f"/history/export?{urlencode({'form': form, **query})}"
        with self.transport.send("GET", path, None, {}, _LONG_S) as answer:
            save(answer, out)

    def backfill(self) -> Json:
        """How many pictures were judged before files were read, and how far that is made up for."""
        return dict(self.get("/history/evidence"))

    def act_on_backfill(self, action: str) -> Json:
        """Begins to read the files of these pictures ("read"), or ends that ("stop")."""
        return dict(self.post("/history/evidence", {"action": action}))

    def import_(
        self, file: Path, form: str, progress: Callable[[int, int], None], done: Json
    ) -> None:
        """Import what `export` wrote, in pieces.

        `done` gets how many rows are new, known and refused, after each piece; `progress` how many
        bytes are done, and of how many.
        """
        done |= {"added": 0, "known": 0, "n_refused": 0, "refused": []}
        patient = self.patient(_LONG_S)
        with file.open("rb") as rows:
            total = os.fstat(rows.fileno()).st_size
            progress(0, total)
            for piece in pieces(rows, form):
                before = done["added"] + done["known"] + done["n_refused"]
                path = f"/history/import?{urlencode({'form': form, 'before': before})}"
                part = patient.ask("POST", path, piece, _TYPES[form])
                for name in ("added", "known", "n_refused"):
                    done[name] += part[name]
                done["refused"] += part["refused"][: MOST_SENTENCES - len(done["refused"])]
                progress(min(rows.tell(), total), total)

    # --- Watched folders ------------------------------------------------------------------------

    def watches(self) -> Json:
        """Returns the folders, and until when they are paused."""
        return dict(self.get("/watches"))

    def watch(self, folder: Mapping[str, Any]) -> None:
        self.post("/watches", folder)

    def unwatch(self, path: Path) -> None:
        self.ask("DELETE", f"/watches?{urlencode({'path': str(path)})}")

    def act_on_existing(self, path: Path, action: str) -> None:
        """`action`: check, pause or leave what the folder held before it was watched."""
        self.post("/watches:existing", {"path": str(path), "action": action})

    def pause(self, minutes: float | None) -> str | None:
        """Returns the end of the pause. None for `minutes` ends the pause now."""
        until = self.post("/watches:pause", {"minutes": minutes})["paused_until"]
        return None if until is None else str(until)

    # --- Access ---------------------------------------------------------------------------------

    def tokens(self) -> list[Json]:
        return list(self.get("/tokens")["tokens"])

    def revoke(self, token_id: int) -> None:
        self.ask("DELETE", f"/tokens/{token_id}")

    def revoke_all(self) -> None:
        self.ask("DELETE", "/tokens")

    def pairings(self) -> list[Json]:
        """Returns the programs that ask to connect now."""
        return list(self.get("/pairings")["pairings"])

    def accept(self, pairing: str) -> None:
        self.post(f"/pairings/{quote(pairing, safe='')}/accept")

    def reject(self, pairing: str) -> None:
        self.post(f"/pairings/{quote(pairing, safe='')}/reject")

    def login(self, page: str | None = None) -> str:
        """Returns a link that opens one of our pages once; without `page` the history."""
        url = str(self.post("/logins", {"next": page} if page else {})["url"])
        is_address = url.isascii() and url.isprintable() and " " not in url
        if not (is_address and url.startswith(self.address or "http://127.0.0.1:")):
            raise DaemonError(
                _("The daemon named an address that is not its own; it is not opened.")
            )
        return url

    # --- The daemon -----------------------------------------------------------------------------

    def health(self) -> Json:
        return _object(self.get("/health"))

    def state(self) -> Json:
        return _object(self.get("/state"))

    def settings(self) -> Json:
        return _object(self.get("/settings"))

    def change_settings(self, values: Mapping[str, Any]) -> Json:
        """Changes some settings, all or none. Returns all of them."""
        kind = "application/json"
        return _object(self.ask("PATCH", "/settings", json.dumps(values).encode(), kind))

    def reload_settings(self) -> None:
        """Make the daemon read the settings file again."""
        self.post("/settings:reload")

    def events(self, after: int, wait_s: int) -> Json:
        """Returns the events after that number, as soon as there is one or after `wait_s`."""
        path = f"/events?after={after}&wait={wait_s}"
        return _object(self.ask("GET", path, headers={"Accept": "application/json"}))

    def stop(self) -> None:
        self.post("/daemon:stop")

    # --- Any request ----------------------------------------------------------------------------

    def get(self, path: str, **query: str) -> Any:
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, json.dumps(body).encode(), "application/json")

    def ask(
        self,
        method: str,
        path: str,
        body: Body = None,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Returns the JSON of an answer, None if it has none. `path` is relative to /api/v1."""
        sent = {**(headers or {}), **({"Content-Type": kind} if kind else {})}
        with self.transport.send(method, path, body, sent, self.timeout_s) as answer:
            return read_answer(answer.status, whole(answer))


_BORDER = secrets.token_hex(16)
"""The same for the whole process, because a server compiles patterns for each new boundary."""


def multipart(fields: Mapping[str, str], picture: bytes) -> tuple[str, bytes]:
    """Returns Content-Type and body of multipart/form-data. `file` is the picture, unnamed."""
    border = _BORDER
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="picture"\r\n'
    kind = b"Content-Type: application/octet-stream\r\n\r\n"
    body = b"".join([*parts, head.encode(), kind, picture, f"\r\n--{border}--\r\n".encode()])
    return f"multipart/form-data; boundary={border}", body


def _is_text(name: str) -> bool:
    """Returns whether a name is UTF-8. Any other cannot be sent, but the picture can."""
    with suppress(UnicodeEncodeError):
        return bool(name.encode())
    return False


def _object(found: Any) -> Json:
    if not isinstance(found, dict):
        raise DaemonError(OTHER_VERSION, 200, "not_antifake")
    return found
