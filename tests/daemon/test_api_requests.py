"""Requests that no honest program sends: too large, cut short, ambiguous, malformed."""

import socket

import pytest
from kit.daemon import form, read_all, running_daemon
from kit.pace import within
from kit.pictures import png

from antifake.daemon.web.guards import MAX_FILE_BYTES


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


def ask(daemon, *lines: str, body: bytes = b"", method: str = "POST", path: str = "/checks"):
    """Returns the status of a request with our host, a token and these lines; 0 if cut off."""
    head = [
        f"{method} /api/v1{path} HTTP/1.1",
        f"Host: 127.0.0.1:{daemon.port}",
        f"Authorization: Bearer {daemon.secret}",
        *lines,
        "Connection: close",
    ]
    found = daemon.raw("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
    return int(found.split(b" ", 2)[1]) if found else 0


KIND = "Content-Type: multipart/form-data; boundary=x"


@pytest.mark.parametrize("length", [MAX_FILE_BYTES + 4097, 10**10, 2**63, 10**30])
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(daemon, length):
    assert ask(daemon, KIND, f"Content-Length: {length}") == 413


def test_a_file_of_the_largest_size_is_read(daemon):
    body, kind = form({"file": bytes(MAX_FILE_BYTES)})
    assert daemon.ask("POST", "/checks", body, Content_Type=kind).status == 422


def test_a_body_without_a_length_is_refused(daemon):
    assert ask(daemon, KIND) == 411
    assert ask(daemon, "Content-Type: application/json", path="/labels:undo") == 411


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: -1"],
        ["Content-Length: 1e3"],
        ["Content-Length: 0x10"],
        ["Content-Length: +5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 5 5"],
        ["Content-Length: 3", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 3"],
        ["Content-Length: \xb2"],
        ["Content Length: 3"],
        ["Content-Length : 3"],
    ],
)
def test_an_ambiguous_length_is_refused(daemon, lines):
    assert ask(daemon, KIND, *lines, body=b"0\r\n\r\n") == 400


@pytest.mark.parametrize("encoding", ["gzip", "chunked, gzip", "identity", "xchunked"])
def test_other_ways_to_send_a_body_are_refused(daemon, encoding):
    assert ask(daemon, KIND, f"Transfer-Encoding: {encoding}") == 501


@pytest.mark.parametrize("pieces", [b"3\r\nabc\r\n0\r\n\r\n", b"fffffff\r\n", b"zz\r\n", b""])
def test_a_body_in_pieces_is_refused(daemon, pieces):
    assert ask(daemon, KIND, "Transfer-Encoding: chunked", body=pieces) == 411


def test_large_headers_are_refused(daemon):
    assert ask(daemon, "X-Large: " + "x" * 17_000, method="GET") == 431
    assert ask(daemon, "X-Large: " + "x" * 5_000_000, method="GET") in (431, 0)
    assert ask(daemon, *[f"X-{n}: x" for n in range(10_000)], method="GET") in (431, 0)
    assert ask(daemon, method="GET", path="/" + "x" * 100_000) in (414, 431, 0)


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nbroken\r\n\r\n",
        b"GET / SIP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 20_000,
        b"GET /\xff HTTP/1.1\r\nHost: x\xff\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_input_that_is_not_http_does_no_harm(daemon, request_):
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=within(20)) as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        found = read_all(connection, b"")
    assert not found or found.split(b" ", 2)[1] in (b"400", b"421", b"431")
    assert daemon.get("/health").status == 200


def test_a_form_with_many_parts_is_refused(daemon):
    body, kind = form({f"field{n}": "x" for n in range(10_000)})
    assert daemon.ask("POST", "/checks", body, Content_Type=kind).status == 413
    body, kind = form({"file": png(1), "page": "x" * 700_000})
    assert daemon.ask("POST", "/checks", body, Content_Type=kind).status == 413


@pytest.mark.parametrize("filling", [b"\r\n--", b"\r", b"\n", b"--", b"\r\n-"])
def test_a_large_file_may_contain_bytes_like_the_end_of_a_part(daemon, filling):
    """The file has bytes that could begin the next part at every place where reading may pause."""
    found = {daemon.check(b"x" * n + filling * 200_000).code for n in range(3)}
    assert found == {"unknown_format"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nnot a file\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="\xff"; filename="\xff"\r\n\r\nx\r\n--x--',
        b"--y\r\n" * 1000,
        b"\0" * 1000,
    ],
)
def test_a_broken_form_is_refused(daemon, body):
    for kind in (
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "multipart/form-data; boundary=",
    ):
        reply = daemon.ask("POST", "/checks", body, Content_Type=kind)
        assert reply.status in (400, 422)
        assert reply.code in ("bad_request", "invalid")


DEEP = b'{"ids": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"",
        b"{",
        b"\xff",
        b"nul",
        b"{'ids': []}",
        b'{"ids": [NaN]}',
        b'{"ids": [Infinity]}',
        b'{"ids": [-Infinity]}',
        b'{"ids": [' + b"9" * 5000 + b"]}",
        b'{"ids": [9223372036854775808]}',
        b'{"ids": ["\xed\xa0\x80"]}',
        '{"ids": ["x"]}'.encode("utf-16"),
        b'\xef\xbb\xbf{"ids": ["x"]}',
    ],
)
def test_invalid_json_is_refused(daemon, body):
    reply = daemon.ask("POST", "/labels:undo", body, Content_Type="application/json")
    assert reply.status in (400, 422)


def test_json_of_more_than_a_megabyte_is_refused(daemon):
    body = b'{"ids": ["' + b"x" * 5_000_000 + b'"]}'
    reply = daemon.ask("POST", "/labels:undo", body, Content_Type="application/json")
    assert (reply.status, reply.code) == (413, "too_large")


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        1,
        {},
        {"ids": []},
        {"ids": None},
        {"ids": [1]},
        {"ids": ["x"], "extra": 1},
        {"ids": ["x"] * 501},
        {"ids": [""]},
        {"ids": [None]},
        {"ids": {"a": 1}},
    ],
)
def test_json_of_another_structure_is_refused_with_the_place_of_the_error(daemon, value):
    reply = daemon.post("/labels:undo", value)
    assert (reply.status, reply.code) == (422, "invalid")
    assert all(error["detail"] for error in reply.json["errors"])


def test_no_address_is_ever_fetched(daemon):
    """The canary is a server that would see the request."""
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.3)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}/picture.png"
        for body in ({"url": url}, {"file": url}, {"ids": [url]}, {"path": url, "url": url}):
            for path in ("/checks", "/labels:batch", "/watches", "/checks:forget", "/hello"):
                assert 400 <= daemon.post(path, body).status < 500
        for field in ("url", "src", "image"):
            assert daemon.check(png(1), **{field: url}).status == 422
        assert daemon.check(png(11), page=url, path=url).status == 201
        assert daemon.get(f"/checks/{url.replace('/', '%2f')}").status == 404
        with pytest.raises(TimeoutError):
            canary.accept()


def test_a_path_in_a_request_is_recorded_and_never_opened(daemon, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(77))
    with_path = daemon.check(b"not a picture", path=str(secret))
    assert (with_path.status, with_path.code) == (422, "unknown_format")
