"""Large bodies: who may send one, what is kept of it, and how many at once."""

import json
import random
import socket
import sys
import threading
from contextlib import ExitStack

import pytest
from kit.bodies import bodies_on_disk
from kit.daemon import form, read_all, running_daemon
from kit.pace import within
from kit.pictures import png
from kit.waiting import eventually

from antifake.daemon.web import bodies, server
from antifake.daemon.web.bodies import BodyBudget
from antifake.daemon.web.errors import Problem
from antifake.daemon.web.guards import MAX_FILE_BYTES

pytestmark = pytest.mark.attack
LENGTH = 40_000_000
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


def head(
    daemon,
    *lines: str,
    path: str = "/api/v1/checks",
    kind: str = "multipart/form-data; boundary=x",
    length: int = LENGTH,
) -> bytes:
    known = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{daemon.port}",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*known, *lines]).encode() + b"\r\n\r\n"


def with_token(daemon) -> str:
    return f"Authorization: Bearer {daemon.secret}"


def sent(daemon, request: bytes) -> socket.socket:
    """Sends as much as is taken, and leaves the connection open."""
    one = socket.create_connection(("127.0.0.1", daemon.port), timeout=within(20))
    one.sendall(request)
    return one


def code_of(answer: bytes) -> str:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["code"]


# --- Who may send one -----------------------------------------------------------------------


@linux
def test_bodies_without_a_token_are_not_kept(daemon):
    """24 such connections had left 1.2 GB on the disk."""
    with ExitStack() as many:
        for _ in range(6):
            request = head(daemon, "Authorization: Bearer x") + bytes(LENGTH - 1)
            one = many.enter_context(sent(daemon, request))
        assert bodies_on_disk(daemon) == []
        assert read_all(one, b"x").startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ([], 415, "media_type"),
        (["Authorization: Bearer x"], 401, "unauthorized"),
        (["Authorization: Bearer "], 401, "unauthorized"),
        (["Authorization: Basic x"], 401, "unauthorized"),
        (["Origin: http://evil.test", "TOKEN"], 403, "wrong_origin"),
        (["Sec-Fetch-Site: cross-site", "TOKEN"], 403, "wrong_origin"),
        (["Content-Encoding: gzip", "TOKEN"], 415, "media_type"),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
def test_a_large_body_is_refused_by_its_headers_with_the_apps_own_answer(
    daemon, lines, status, code, waits
):
    lines = [with_token(daemon) if line == "TOKEN" else line for line in lines]
    if waits:
        answer = daemon.raw(head(daemon, "Expect: 100-continue", *lines))
    else:
        answer = daemon.raw(head(daemon, *lines, length=300_000) + bytes(300_000))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert code_of(answer) == code
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer


def test_a_foreign_host_is_refused_before_the_body(daemon):
    request = head(daemon, with_token(daemon), "Expect: 100-continue")
    answer = daemon.raw(request.replace(b"127.0.0.1:", b"evil.test:"))
    assert answer.startswith(b"HTTP/1.1 421 ")


def test_a_page_without_a_session_cannot_send_a_large_body(daemon):
    lines = ["X-Requested-By: antifake", "Expect: 100-continue"]
    answer = daemon.raw(
        head(daemon, *lines, path="/changes/check", kind="application/octet-stream")
    )
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/api/v1/hello", "/api/v1/pairings"])
def test_who_needs_no_token_sends_little(daemon, path):
    answer = daemon.raw(
        head(daemon, "Expect: 100-continue", path=path, kind="application/json", length=100_000)
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_who_may_send_it_is_told_to_go_on(daemon):
    body, kind = form({"file": png(1, 400)})
    assert len(body) > bodies.LARGE_BYTES
    lines = [with_token(daemon), "Expect: 100-continue"]
    with sent(daemon, head(daemon, *lines, kind=kind, length=len(body))) as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 20")


# --- How many at once -----------------------------------------------------------------------


def test_one_client_has_half_of_the_room_and_all_of_them_the_whole():
    budget, owners = BodyBudget(), [set() for _ in range(3)]
    half = bodies.CLIENT_BYTES
    give_back = budget.take(owners[0], "a", half)
    with pytest.raises(Problem) as refused:
        budget.take(owners[1], "a", 1)
    assert (refused.value.status, refused.value.code) == (429, "queue_full")
    budget.take(owners[1], "b", half)
    with pytest.raises(Problem) as refused:
        budget.take(owners[2], "c", 1)
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"]
    give_back()
    give_back()
    assert budget.taken == half
    owners.clear()  # those who had it are gone
    assert budget.taken == 0


def test_bodies_that_do_not_come_to_their_end_take_room_until_they_are_given_up(
    daemon, monkeypatch
):
    request = head(daemon, with_token(daemon))
    with ExitStack() as slow:
        for _ in range(bodies.CLIENT_BYTES // LENGTH):
            slow.enter_context(sent(daemon, request + b"x"))
        answer = eventually(lambda: refused_now(daemon, request))
        assert code_of(answer) == "queue_full"
        assert b"\r\nRetry-After: 2\r\n" in answer
        assert daemon.check(png(2)).status == 201  # a small one is taken
        monkeypatch.setattr(server, "RECEIVE_S", 0.0)
        eventually(lambda: not refused_now(daemon, request))


def refused_now(daemon, request: bytes) -> bytes:
    """Returns the refusal of a large body; empty if it would be taken."""
    waits = request[:-2] + b"Expect: 100-continue\r\n\r\n"
    with sent(daemon, waits) as connection:
        answer = connection.recv(65_536)
        return b"" if answer.startswith(b"HTTP/1.1 100 ") else answer + read_all(connection, b"")


# --- From the page ---------------------------------------------------------------------------


def from_page(daemon, *lines: str, length: int) -> bytes:
    """Returns the head of an upload by a page with a valid session."""
    page = daemon.page(daemon.access.login(daemon.access.mint_login()))
    del page["token"]
    about = [f"{name.replace('_', '-')}: {value}" for name, value in page.items()]
    kind = "application/octet-stream"
    return head(daemon, *about, *lines, path="/changes/check", kind=kind, length=length)


@linux
@pytest.mark.parametrize(
    ("n_bytes", "status", "sentence"),
    [
        (MAX_FILE_BYTES, 422, b"not a picture of a known kind"),
        (MAX_FILE_BYTES + 1, 413, b"At most 50,000,000 bytes are accepted here."),
    ],
)
def test_the_largest_upload_of_a_page_is_taken_and_a_larger_one_is_refused(
    daemon, n_bytes, status, sentence
):
    request = from_page(daemon, "Connection: close", length=n_bytes) + bytes(n_bytes)
    answer = daemon.raw(request, 30)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert sentence in answer
    eventually(lambda: left_over(daemon)[:2] == (0, 0))


@linux
def test_an_upload_of_a_page_that_is_broken_off_leaves_nothing(daemon):
    length = MAX_FILE_BYTES
    with sent(daemon, from_page(daemon, length=length) + bytes(length // 2)):
        eventually(lambda: bodies_on_disk(daemon))
        assert sum(bodies_on_disk(daemon)) <= length
    eventually(lambda: left_over(daemon)[:2] == (0, 0))
    whole = from_page(daemon, "Connection: close", length=length) + bytes(length)
    assert daemon.raw(whole, 30).startswith(b"HTTP/1.1 422 ")  # its part of the budget is back


# --- Clients that go away -------------------------------------------------------------------


def left_over(daemon) -> tuple[int, int, int]:
    """Bodies on the disk, files in the spool, and threads.

    Without those of pools: the schedule's first job, after half a minute, adds one that stays.
    """
    n_files = len(list(daemon.places.spool.iterdir()))
    names = [one.name for one in threading.enumerate()]
    threads = [name for name in names if not name.startswith("ThreadPoolExecutor")]
    return len(bodies_on_disk(daemon)), n_files, len(threads)


@linux
def test_500_clients_that_go_away_leave_nothing_behind(daemon):
    dice = random.Random(17)  # noqa: S311
    before, answered = left_over(daemon), []
    for n in range(500):
        body, kind = form({"file": png(1000 + n % 40, 96 if n % 5 else 700)})
        lines = [with_token(daemon), "Prefer: wait=2", "Connection: close"]
        request = head(daemon, *lines, kind=kind, length=len(body)) + body
        most = {0: 60, 1: len(request) - 1}.get(n % 4, len(request))
        part = request[: dice.randint(1, most)] if n % 4 < 2 else request
        with sent(daemon, part) as connection:
            if n % 20 == 3:
                connection.settimeout(within(30))
                answer = read_all(connection, b"")
                if answer.startswith((b"HTTP/1.1 201", b"HTTP/1.1 202")):
                    answered.append(json.loads(answer.partition(b"\r\n\r\n")[2])["id"])
    assert answered
    eventually(
        lambda: all(now <= then for now, then in zip(left_over(daemon), before, strict=True)), 60
    )
    for name in answered:
        assert daemon.get(f"/checks/{name}?wait=20").json["label"]
    assert daemon.check(png(7)).status == 201
    for _ in range(2 * bodies.CLIENT_BYTES // 50_000_000):  # so nothing of the budget is lost
        body, kind = form({"file": bytes(45_000_000)})
        assert daemon.ask("POST", "/checks", body, Content_Type=kind).status == 422
