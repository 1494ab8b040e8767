"""A request within a request: refused and the connection closed, or read in the one right way."""

import pytest
from kit.daemon import running_daemon

pytestmark = pytest.mark.attack
CL = "Content-Length: "
TE = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        yield daemon


def hidden(daemon) -> bytes:
    """A request of a page that is hidden in another."""
    return f"GET /api/v1/health?hidden HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n\r\n".encode()


def statuses(daemon, first: bytes, *lines: str | bytes, body: bytes = b"") -> list[int]:
    """Returns the statuses of all answers, up to where the daemon closes the connection."""
    known = [
        f"Host: 127.0.0.1:{daemon.port}",
        f"Authorization: Bearer {daemon.secret}",
        "Content-Type: application/json",
    ]
    made = [one if isinstance(one, bytes) else one.encode("latin-1") for one in [*known, *lines]]
    answers = daemon.raw(b"\r\n".join([first, *made]) + b"\r\n\r\n" + body)
    return [int(one[:3]) for one in answers.split(b"HTTP/1.1 ")[1:]] or [
        int(one[:3]) for one in answers.split(b"HTTP/1.0 ")[1:]
    ]


POST = b"POST /api/v1/labels:undo HTTP/1.1"


@pytest.mark.parametrize(
    "lines",
    [
        [CL + "6", TE],
        [TE, CL + "6"],
        [TE, TE],
        [TE],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: identity, chunked"],
        ["Transfer-Encoding: CHUNKED"],
        ["Transfer-Encoding:\tchunked"],
        ["Transfer-Encoding:\x0bchunked", CL + "6"],
        ["Transfer-Encoding:\x85chunked", CL + "6"],
        ["Transfer-Encoding: chunked\0", CL + "6"],
        ['Transfer-Encoding: "chunked"', CL + "6"],
        ["Transfer-Encoding: x, chunked;q=1", CL + "6"],
        ["Transfer-Encoding:\r\n chunked", CL + "6"],
        ["Transfer-Encoding : chunked", CL + "6"],
        ["Transfer-Encoding\n: chunked", CL + "6"],
        ["X: x\nTransfer-Encoding: chunked", CL + "6"],
        ["X: x\rTransfer-Encoding: chunked", CL + "6"],
        ["Transfer-Encoding: chunked\rX: x", CL + "6"],
        [CL + "6", CL + "60"],
        [CL + "6", CL + "6"],
        [CL + "6, 6"],
        [CL + "+6"],
        [CL + "-6"],
        [CL + "0x6"],
        [CL + "6 6"],
        [CL + "6\0"],
        [CL + "6_0"],
        [CL + "\xb2"],
        [CL + "6\n" + CL + "60"],
        ["X\0: x"],
        ["X\xe9: x"],
        ["X Y: x"],
        [": x"],
        ["X: a\0b\n\n"],
    ],
    ids=repr,
)
def test_a_body_that_could_end_in_two_places_is_refused(daemon, lines):
    (status,) = statuses(daemon, POST, *lines, body=b"0\r\n\r\nX" + hidden(daemon))
    assert status in (400, 411, 501)


@pytest.mark.parametrize(
    "size",
    [b"0", b"+5", b"-5", b" 5", b"5 ", b"0x5", b"5;a=b", b"5;\n", b"5\n", b"00000005", b"5\r\rX"],
    ids=repr,
)
@pytest.mark.parametrize("trailer", [b"", b"Content-Length: 5\r\n", b"X: y\n"])
def test_pieces_are_refused_however_their_sizes_are_written(daemon, size, trailer):
    body = size + b"\r\nabcde\r\n0\r\n" + trailer + b"\r\n" + hidden(daemon)
    assert statuses(daemon, POST, TE, body=body) == [411]


@pytest.mark.parametrize(
    "lines",
    [[], ["X: a", " " + TE], ["X: a", "\t" + TE], ["Transfer_Encoding: chunked"], ["TE: trailers"]],
)
def test_a_request_within_a_body_is_a_part_of_the_body(daemon, lines):
    inner = hidden(daemon)
    length = [f"{CL}{len(inner)}", "Content_Length: 1", "Connection: close"]
    assert statuses(daemon, POST, *lines, *length, body=inner) == [400]  # no JSON


def test_two_requests_one_after_the_other_are_two(daemon):
    body = b'{"ids": []}'
    after = hidden(daemon)[:-2] + b"Connection: close\r\n\r\n"
    found = statuses(daemon, POST, f"{CL}{len(body)}", body=body + after)
    assert len(found) == 2
    assert found[1] == 200


@pytest.mark.parametrize(
    "first",
    [
        b"GET /api/v1/health",
        b"GET /api/v1/health HTTP/0.9",
        b"GET /api/v1/health HTTP/2.0",
        b"GET /api/v1/health HTTP/1.2",
        b"GET /api/v1/health HTTP/1.1 HTTP/1.1",
        b"GET  /api/v1/health  HTTP/1.1",
        b"GET\t/api/v1/health\tHTTP/1.1",
        b"GET /api/v1/health\0 HTTP/1.1",
        b"GET /api/v1/health\r HTTP/1.1",
        b"GET http://evil.test/api/v1/health HTTP/1.1",
        b"GET http://127.0.0.1/api/v1/health HTTP/1.1",
        b"GET http://127.0.0.1:1@evil/api/v1/health HTTP/1.1",
        b"CONNECT evil.test:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"G\0T /api/v1/health HTTP/1.1",
        b"G\xc9T /api/v1/health HTTP/1.1",
        b"TRACE /api/v1/health HTTP/1.1",
    ],
    ids=repr,
)
def test_other_first_lines_are_refused(daemon, first):
    (status,) = statuses(daemon, first, "Connection: close")
    assert 400 <= status < 500


def test_an_address_with_our_own_host_in_it_is_read(daemon):
    first = f"GET http://127.0.0.1:{daemon.port}/api/v1/health HTTP/1.1".encode()
    assert statuses(daemon, first, "Connection: close") == [200]
