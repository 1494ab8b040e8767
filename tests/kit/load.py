"""Clients of a daemon that act at random, and remember what it has acknowledged.

A request without an answer, or with one that says to come again, is sent again until it has one:
what counts is that in the end every request is answered, and that nothing answered is lost.
"""

import hashlib
import http.client
import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit.acknowledged import Acknowledged, Sent, broken_of, picture_of
from kit.daemon import Reply
from kit.pace import within
from kit.running import multipart

from antifake.daemon.places import Places

ANSWERED_WITHIN_S = 120.0


class Client(threading.Thread):
    """One client. Several use the same daemon and the same watched folder."""

    _numbers = itertools.count(1)

    def __init__(
        self, places: Places, folder: Path, done: Acknowledged, seed: int, pause_s: float
    ) -> None:
        """`pause_s`: its longest pause between two requests."""
        super().__init__(name=f"client {seed}", daemon=True)
        self.places, self.folder, self.done = places, folder, done
        self.random = random.Random(seed)  # noqa: S311
        self._pause_s = pause_s
        self._connection: http.client.HTTPConnection | None = None
        self._port, self._token = 0, ""
        self._judged: list[str] = []
        self._ends = threading.Event()

    def end(self) -> None:
        """Begin nothing new. What was begun is still brought to an answer."""
        self._ends.set()

    def run(self) -> None:
        while not self._ends.is_set():
            act = self.random.choices(*zip(*_ACTS, strict=True))[0]
            try:
                act(self)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test is to tell it
                self.done.wrong.append(f"{act.__name__}: {error!r}")
            self._ends.wait(self.random.uniform(0, self._pause_s))
        self._close()

    # --- Requests -----------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        what: str,
        sent: Sent | None = None,
        **headers: str,
    ) -> Reply:
        """Sends a request until it is answered. `path` is relative to /api/v1."""
        ends = time.monotonic() + within(ANSWERED_WITHIN_S)
        while time.monotonic() < ends:
            if sent is not None:
                sent.attempts += 1
            try:
                reply = self._once(method, path, body, headers)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.done.again[type(error).__name__] += 1
                self._close()
                time.sleep(0.05)
                continue
            if reply.status not in (429, 503):
                self.done.answered[what] += 1
                return reply
            self.done.again[f"{reply.status} {reply.json['code']}"] += 1
            time.sleep(min(2.0, float(reply.headers["Retry-After"])))
        raise TimeoutError(f"{what}: no answer")

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = self._connected()
        sent = {"Authorization": f"Bearer {self._token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/api/v1{path}", body, sent)
        with connection.getresponse() as answer:
            return Reply(answer.status, answer.headers, answer.read())

    def _connected(self) -> http.client.HTTPConnection:
        """Returns a kept connection, or one to the daemon that runs now. Raises OSError."""
        if self._connection is None:
            self._port = json.loads(self.places.running.read_bytes())["port"]
            self._token = self.places.local_token.read_text("ascii").strip()
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=within(40)
            )
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, data: bytes, sent: Sent, what: str, wait_s: int, **fields: str) -> Reply:
        body, kind = multipart(data, **fields)
        return self.ask(
            "POST",
            "/checks",
            body,
            what=what,
            sent=sent,
            Content_Type=kind,
            Prefer=f"wait={wait_s}",
        )

    def _result(self, reply: Reply) -> Reply:
        """Returns the answer to a check, asked for as long as that is not done."""
        while reply.status == 202:
            name = reply.json["id"]
            reply = self.ask("GET", f"/checks/{name}?wait=10", what="questions for a result")
        return reply

    def _expect(self, reply: Reply, what: str, *statuses: int) -> bool:
        if reply.status in statuses:
            return True
        self.done.wrong.append(f"{what}: {reply.status} {reply.body[:300]!r}")
        return False

    # --- The acts -----------------------------------------------------------------------------

    def check_and_wait(self) -> None:
        sent, data = self._new()
        reply = self._post(data, sent, "checks that wait", 20)
        self._keep(data, sent, reply)
        is_kept = reply.status != 202 or reply.json["is_stored"]
        reply = self._result(reply)
        if reply.status == 404 and not is_kept:
            return  # it was in memory, as the answer said
        if self._expect(reply, "a check", 200, 201) and reply.json["is_stored"]:
            if reply.json["label"] is None:
                self.done.wrong.append(f"no verdict: {reply.json['error']}")
                return
            sent.ids.add(reply.json["id"])
            sent.p_fake = reply.json["p_fake"]
            self._judged.append(reply.json["id"])

    def check_and_leave(self) -> None:
        sent, data = self._new()
        self._keep(data, sent, self._post(data, sent, "checks that do not wait", 0))

    def check_again(self) -> None:
        """Sends bytes that were judged before: they have one id for ever."""
        known = [one for one in list(self.done.pictures.values()) if one.p_fake is not None]
        if not known:
            return
        sent = self.random.choice(known)
        data = picture_of(sent.number)
        reply = self._post(data, sent, "checks of known pictures", 20)
        if self._expect(reply, "a known picture", 201):
            sent.ids.add(reply.json["id"])
            if reply.json["p_fake"] != sent.p_fake:
                self.done.wrong.append(f"another score for {reply.json['id']}")

    def check_private(self) -> None:
        sent, data = self._new()
        self.done.private.add(_sha256(data))

        def result() -> Reply:
            return self._result(self._post(data, sent, "private checks", 20, private="true"))

        reply = result()
        # Where the daemon was killed, nobody knows of it any more: that is what private means.
        while reply.status == 404:
            reply = result()
        self._expect(reply, "a private check", 200, 201)

    def check_broken(self) -> None:
        number = next(self._numbers)
        data, sent = broken_of(number), Sent(number)
        reply = self._result(self._post(data, sent, "pictures that are broken", 20))
        if self._expect(reply, "a broken picture", 200, 422):
            self.done.broken[_sha256(data)] = sent

    def go_away(self) -> None:
        """Sends a picture, in full or in part, and does not wait for an answer."""
        _, data = self._new()
        self.done.left.add(_sha256(data))
        body, kind = multipart(data)
        lines = [
            "POST /api/v1/checks HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            f"Authorization: Bearer {self._token}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
        ]
        part = body[: self.random.choice([0, len(body) // 2, len(body)])]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5) as gone:
            gone.sendall("\r\n".join([*lines, "", ""]).encode() + part)
            time.sleep(self.random.uniform(0, 0.05))

    def drop_file(self) -> None:
        sent, data = self._new()
        path = self.folder / f"{sent.number}.{self.random.choice(['png', 'jpg', 'webp'])}"
        sent.paths.add(str(path))
        if self.random.random() < 0.5:
            path.write_bytes(data)
        else:
            part = path.with_suffix(".part")
            part.write_bytes(data)
            part.replace(path)
        self.done.pictures[_sha256(data)] = sent
        self.done.answered["files in the watched folder"] += 1

    def correct(self) -> None:
        if not self._judged:
            return
        name, label = self.random.choice(self._judged), self.random.choice(["real", "fake"])
        body = json.dumps({"label": label}).encode()
        reply = self.ask(
            "PUT",
            f"/checks/{name}/label",
            body,
            what="corrections",
            Content_Type="application/json",
        )
        if self._expect(reply, "a correction", 200):
            self.done.pictures[reply.json["sha256"]].label = label

    def look_at_history(self) -> None:
        reply = self.ask("GET", "/checks?limit=50", what="pages of the history")
        if self._expect(reply, "the history", 200):
            ids = [one["id"] for one in reply.json["checks"]]
            if len(set(ids)) != len(ids):
                self.done.wrong.append("a check is twice on a page")

    def export(self) -> None:
        """Asks once: where faults come faster than an export ends, it shows that it was cut off."""
        kind = self.random.choice(["csv", "jsonl"])
        try:
            reply = self._once("GET", f"/history/export?form={kind}", None, {})
        except (OSError, http.client.HTTPException, ValueError):
            self.done.again["exports that were cut off"] += 1
            self._close()
        else:
            if self._expect(reply, "an export", 200, 503):
                self.done.answered["exports"] += 1

    def listen(self) -> None:
        """Follows the events for a moment, and goes away in the middle."""
        with suppress(OSError):
            request = (
                f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
                f"Authorization: Bearer {self._token}\r\nAccept: text/event-stream\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", self._port), 5) as heard:
                heard.sendall(request.encode())
                heard.recv(4096)
                time.sleep(self.random.uniform(0, 0.5))
        self.done.answered["streams of events"] += 1

    def pretend(self) -> None:
        """Asks with a token that nobody gave out."""
        reply = self.ask(
            "GET", "/checks", what="requests with a wrong token", Authorization="Bearer wrong"
        )
        self._expect(reply, "a wrong token", 401)

    # --- What is remembered -------------------------------------------------------------------

    def _new(self) -> tuple[Sent, bytes]:
        sent = Sent(next(self._numbers))
        return sent, picture_of(sent.number)

    def _keep(self, data: bytes, sent: Sent, reply: Reply) -> None:
        """Remembers that a picture was taken."""
        if self._expect(reply, "a picture", 201, 202):
            found: dict[str, Any] = reply.json
            if not found["is_stored"]:
                self.done.left.add(_sha256(data))  # as the answer says
                return
            sent.ids.add(found["id"])
            self.done.pictures[_sha256(data)] = sent


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_ACTS: list[tuple[Callable[[Client], None], float]] = [
    (Client.check_and_wait, 8),
    (Client.check_and_leave, 8),
    (Client.drop_file, 8),
    (Client.check_again, 4),
    (Client.correct, 3),
    (Client.check_broken, 2),
    (Client.check_private, 2),
    (Client.go_away, 2),
    (Client.look_at_history, 2),
    (Client.listen, 1),
    (Client.pretend, 0.5),
    (Client.export, 0.3),
]
