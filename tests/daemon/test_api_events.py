"""Events are sent as they happen: as a stream, or as one long poll."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kit.daemon import running_daemon
from kit.pace import within
from kit.pictures import png
from kit.waiting import eventually

from antifake.daemon.service import Events
from antifake.daemon.web.context import STREAMS
from antifake.daemon.web.events import FIRST, stream


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


@pytest.fixture(autouse=True)
def _at_rest(daemon):
    """The end of the work of an earlier test is an event, too."""
    eventually(lambda: not daemon.service.status.is_busy)


class Listener:
    """A stream, read line by line."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        lines = iter(self.file.readline, b"\r\n")
        self.headers = dict(line.decode().strip().lower().split(": ", 1) for line in lines)

    def until(self, wanted: bytes) -> list[bytes]:
        lines = []
        for line in self.file:
            lines.append(line.strip())
            if line.startswith(wanted):
                return lines
        raise AssertionError(f"it ended before {wanted!r}")


@contextmanager
def listening(daemon, query: str = "", *headers: str) -> Iterator[Listener]:
    request = "\r\n".join(
        [
            f"GET /api/v1/events{query} HTTP/1.1",
            f"Host: 127.0.0.1:{daemon.port}",
            f"Authorization: Bearer {daemon.secret}",
            "Accept: text/event-stream",
            *headers,
            "",
            "",
        ]
    )
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=within(10)) as connection:
        connection.sendall(request.encode())
        listener = Listener(connection)
        try:
            yield listener
        finally:
            listener.file.close()


def test_a_client_of_the_stream_gets_each_verdict(daemon):
    with listening(daemon) as listener:
        assert listener.status == 200
        assert listener.headers["content-type"].startswith("text/event-stream")
        assert listener.headers["cache-control"] == "no-store"
        check = daemon.check(png(1)).json
        listener.until(b"event: check")
        data = json.loads(listener.until(b"data:")[-1].removeprefix(b"data: "))
    assert data["id"] == check["id"]
    assert data["word"] == check["word"]


def test_a_client_that_reconnects_gets_the_events_it_missed(daemon):
    last = daemon.get("/state").json["last_event"]
    for n in range(3):
        daemon.service.notice(f"{n}")
    daemon.post("/notices:dismiss")
    with listening(daemon, f"?after={last}") as listener:
        heard = listener.until(f"id: {last + 4}".encode())
    assert [line for line in heard if line.startswith(b"id")] == [
        f"id: {last + n}".encode() for n in range(1, 5)
    ]
    with listening(daemon, "", f"Last-Event-ID: {last + 3}") as listener:
        heard = listener.until(b"id:")
    assert heard[-1] == f"id: {last + 4}".encode()


@pytest.mark.parametrize("after", ["0", "1", str(2**62)])
def test_a_client_that_was_away_too_long_is_told_to_read_the_state_again(daemon, after):
    with listening(daemon, f"?after={after}") as listener:
        assert listener.until(b"event:")[-1] == b"event: reset"
    found = daemon.get(f"/events?after={after}", Accept="application/json").json
    assert (found["reset"], found["events"]) == (True, [])
    assert found["last"] == daemon.service.events.last


def test_a_long_poll_is_answered_as_soon_as_something_happens(daemon):
    last = daemon.get("/state").json["last_event"]
    accept = {"Accept": "application/json"}
    began = time.monotonic()
    nothing = daemon.get(f"/events?after={last}&wait=0.3", **accept).json
    assert nothing == {"events": [], "last": last, "reset": False}
    assert time.monotonic() - began >= 0.3
    daemon.service.status.set_trouble("The disk is full.")
    found = daemon.get(f"/events?after={last}&wait=20", **accept).json
    assert [event["kind"] for event in found["events"]] == ["state"]
    assert found["last"] == last + 1
    daemon.service.status.set_trouble(None)
    assert time.monotonic() - began < within(10)


@pytest.mark.parametrize("query", ["after=x", "after=-1", "wait=21", "wait=-1", "wait=nan"])
def test_an_impossible_wait_is_refused(daemon, query):
    assert daemon.get(f"/events?{query}", Accept="application/json").status == 422


def test_the_number_of_streams_is_limited_and_a_closed_one_makes_room(daemon):
    def room() -> bool:
        with listening(daemon) as listener:
            return listener.status == 200

    eventually(room)
    opened = [listening(daemon) for _ in range(STREAMS)]
    listeners = []

    def fill() -> bool:
        # The server may not have noticed yet that streams of earlier tests are closed.
        while len(listeners) < STREAMS:
            one = opened[len(listeners)].__enter__()
            if one.status != 200:
                opened[len(listeners)].__exit__(None, None, None)
                opened[len(listeners)] = listening(daemon)
                return False
            listeners.append(one)
        return True

    eventually(fill)
    refused = daemon.get("/events", Accept="text/event-stream")
    assert (refused.status, refused.code) == (503, "too_many_open")
    assert int(refused.headers["Retry-After"]) > 0
    began = time.monotonic()
    assert daemon.get("/health").status == 200
    assert daemon.get("/checks").status == 200
    assert time.monotonic() - began < within(10)
    opened[0].__exit__(None, None, None)
    eventually(room)
    for one in opened[1:]:
        one.__exit__(None, None, None)


def test_a_quiet_stream_has_a_heartbeat_and_ends_with_its_client():
    events, gone = Events(), []
    lines = stream(events, events.last, lambda: bool(gone), heartbeat_s=0.0)
    assert next(lines) == FIRST
    assert next(lines) == b": still here\n\n"
    gone.append(True)
    assert list(lines) == []


def test_no_text_of_an_event_can_end_its_line():
    events = Events()
    before = events.last
    events.tell("check", name="a\nevent: forged\r\n\r\n\u2028\ud800")
    lines = stream(events, before, lambda: False)
    next(lines)
    assert next(lines).count(b"\n") == 4


def test_streams_end_at_once_when_the_daemon_stops(tiny_source, tmp_path):
    with running_daemon(tmp_path, tiny_source) as daemon:
        stack = listening(daemon)
        listener = stack.__enter__()
        assert listener.status == 200
        began = time.monotonic()
    assert time.monotonic() - began < within(6)
    assert listener.file.read() is not None  # to its end
    stack.__exit__(None, None, None)
