"""The server: which port it takes, slow and many clients, and how it stops."""

import http.client
import os
import socket
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from flask import Flask
from kit.daemon import form, free_port, running_daemon
from kit.pace import within
from kit.pictures import png
from kit.waiting import eventually

from antifake.daemon.web import About
from antifake.daemon.web.context import NAME, Context
from antifake.daemon.web.server import MORE_PORTS, THREADS, NoPortError, Server, listen


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        yield daemon


def small_app(view) -> Flask:
    """A minimal app with one address."""
    app = Flask("small", root_path="/", instance_path="/", static_folder=None)
    app.extensions[NAME] = Context(None, None, About("0", lambda: None))
    app.add_url_rule("/", view_func=view)
    return app


def get(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within(20))
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


# --- The port -------------------------------------------------------------------------------


def test_if_another_program_has_the_port_the_next_one_is_used():
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        with Server(small_app(lambda: "here"), taken) as server:
            assert taken < server.port <= taken + MORE_PORTS
            assert get(server.port) == b"here"


def test_if_all_ports_are_taken_the_error_says_so():
    with ExitStack() as strangers:
        port = 65_530
        for one in range(port, 65_536):
            try:
                strangers.enter_context(socket.create_server(("127.0.0.1", one)))
            except OSError:
                continue  # another program has it, which is as good
        with pytest.raises(NoPortError, match="in use"):
            listen(port)


@pytest.mark.attack
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is nobody's address")
def test_the_server_does_not_listen_at_other_addresses_of_this_computer(daemon):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", daemon.port), timeout=2)


def test_the_same_port_can_be_used_again_at_once():
    port = free_port()
    for _ in range(3):
        with Server(small_app(lambda: "here"), port) as server:
            assert server.port == port
            assert get(port) == b"here"


# --- Stopping -------------------------------------------------------------------------------


def test_a_running_request_is_answered_while_it_stops_and_new_ones_are_not():
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        go_on.wait(within(20))
        return "done" * 100_000

    with ThreadPoolExecutor(2) as others:
        with Server(small_app(slow), free_port()) as server:
            answer = others.submit(get, server.port)
            assert inside.wait(within(20))

            def let_go_on() -> None:
                eventually(lambda: is_closed(server.port))
                go_on.set()

            others.submit(let_go_on)
        assert answer.result(within(20)) == b"done" * 100_000


def is_closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def test_a_request_that_never_ends_does_not_delay_the_stop(monkeypatch):
    monkeypatch.setattr("antifake.daemon.web.server.DRAIN_S", 0.5)
    inside, never = threading.Event(), threading.Event()

    def stuck() -> str:
        inside.set()
        never.wait(within(20))
        return ""

    with ThreadPoolExecutor(1) as others:
        with Server(small_app(stuck), free_port()) as server:
            answer = others.submit(get, server.port)
            assert inside.wait(within(20))
            began = time.monotonic()
        assert time.monotonic() - began < within(10)
        never.set()
        assert answer.exception(within(20)) is not None


def test_idle_connections_do_not_delay_the_stop():
    with ExitStack() as idle:
        with Server(small_app(lambda: "here"), free_port()) as server:
            for _ in range(20):
                idle.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=within(20))
            idle.callback(kept.close)
            kept.request("GET", "/")
            assert kept.getresponse().read() == b"here"
            began = time.monotonic()
        assert time.monotonic() - began < within(6)


def test_a_picture_that_is_being_judged_when_it_stops_is_answered(tiny_source, tmp_path):
    """The answer is the verdict or an id to ask for, and is never cut off."""
    with ThreadPoolExecutor(1) as others:
        with running_daemon(tmp_path, tiny_source) as daemon:
            body, kind = form({"file": png(1)})
            answer = others.submit(daemon.ask, "POST", "/checks", body, Content_Type=kind)
            eventually(lambda: any(daemon.places.spool.iterdir()))
        assert answer.result(within(30)).status in (201, 202)


# --- Slow and many clients ------------------------------------------------------------------


@pytest.mark.attack
def test_half_open_connections_block_no_other_client(daemon):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with ExitStack() as half_open:
        for _ in range(480):
            one = half_open.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
            one.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: 127")
        began = time.monotonic()
        assert daemon.get("/health").status == 200
        assert time.monotonic() - began < within(10)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.attack
def test_slow_bodies_block_no_other_client(daemon):
    head = (
        f"POST /api/v1/checks HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n--x"
    )
    with ExitStack() as slow:
        for _ in range(40):
            one = slow.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
            one.sendall(head.encode())
        began = time.monotonic()
        assert daemon.get("/health").status == 200
        assert time.monotonic() - began < within(10)


def test_clients_that_wait_for_a_verdict_block_no_other_client(tiny_source, tmp_path):
    """More clients than threads wait while the model loads."""
    with running_daemon(tmp_path, tiny_source) as daemon, ThreadPoolExecutor(40) as many:
        with daemon.model_paused():
            asked = [many.submit(daemon.check, png(n), prefer="wait=20") for n in range(40)]
            eventually(lambda: daemon.get("/state").json["waiting"]["person"] > THREADS)
            assert daemon.get("/health").status == 200
            assert not all(one.done() for one in asked)
        assert {one.result(within(60)).status for one in asked} <= {201, 202, 429, 503}


def test_a_waiting_client_that_disconnects_frees_its_seat(daemon):
    body, kind = form({"file": png(999), "priority": "batch"})
    head = (
        f"POST /api/v1/checks HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\nPrefer: wait=20\r\n"
        f"Authorization: Bearer {daemon.secret}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
        connection.sendall(head.encode() + body)
    assert daemon.check(png(999)).status == 201


def test_large_bodies_are_kept_in_a_folder_that_only_this_user_can_read(daemon):
    assert tempfile.tempdir == str(daemon.places.state)
    assert os.name == "nt" or daemon.places.state.stat().st_mode & 0o777 == 0o700


def test_many_clients_are_answered_at_once(daemon):
    with ThreadPoolExecutor(32) as many:
        found = list(many.map(lambda _: daemon.get("/checks?limit=1").status, range(200)))
    assert set(found) == {200}
