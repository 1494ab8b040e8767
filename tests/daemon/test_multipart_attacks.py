"""Forms as no browser would send them: judged rightly, or refused at once in a sentence."""

import sys
import tracemalloc

import pytest
from kit.bodies import bodies_on_disk
from kit.daemon import running_daemon
from kit.pictures import png
from kit.waiting import eventually

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(sys.platform != "linux", reason="asks /proc"),
]
KIND = "multipart/form-data; boundary=x"
PICTURE = png(1)
MOST_BYTES = 4_000_000
"""Of memory that the daemon may take for one form, however large it is."""
END = b"--x--\r\n"


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


def part(
    about: str = 'name="file"; filename="a.png"', data: bytes = PICTURE, more: str = ""
) -> bytes:
    lines = f"--x\r\nContent-Disposition: form-data; {about}\r\n{more}\r\n"
    return lines.encode("latin-1") + data + b"\r\n"


def field(name: str, value: str | bytes = b"") -> bytes:
    return part(f'name="{name}"', value.encode() if isinstance(value, str) else value)


def named(filename: str) -> bytes:
    return part(f'name="file"; {filename}') + END


GOOD = part() + END
INNER = b'--y\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + PICTURE + b"\r\n--y--\r\n"
CASES = {
    "as it should be": (KIND, GOOD, 201, "done"),
    "10,000 parts": (KIND, field("a") * 10_000 + GOOD, 413, "too_large"),
    "10,000 files": (KIND, part(data=b"x") * 10_000 + END, 413, "too_large"),
    "a header of 5 MB": (KIND, part(more=f"X-A: {'a' * 5_000_000}\r\n") + END, 413, "too_large"),
    "100,000 headers": (KIND, part(more="X-A: a\r\n" * 100_000) + END, 413, "too_large"),
    "a name of 100 KB": (KIND, named(f'filename="{"n" * 100_000}"'), 201, "done"),
    "a field's name of 100 KB": (KIND, field("n" * 100_000) + GOOD, 422, "invalid"),
    "a field of 5 MB": (KIND, field("name", b"n" * 5_000_000) + GOOD, 413, "too_large"),
    "a boundary of 10 KB": (f"{KIND}{'x' * 10_000}", GOOD, 422, "invalid"),
    "no boundary": ("multipart/form-data", GOOD, 422, "invalid"),
    "an empty boundary": ("multipart/form-data; boundary=", GOOD, 422, "invalid"),
    "a boundary of odd bytes": (
        'multipart/form-data; boundary="\xe4\x01([\'"',
        GOOD,
        400,
        "bad_request",
    ),
    "two boundaries": (f"{KIND}; boundary=y", GOOD, 422, "invalid"),
    "another form in a form": (
        KIND,
        part(more="Content-Type: multipart/mixed; boundary=y\r\n", data=INNER) + END,
        422,
        "unknown_format",
    ),
    "no end": (KIND, part(), 422, "invalid"),
    "cut in the picture": (KIND, part()[:-600], 422, "invalid"),
    "cut in a header": (KIND, b"--x\r\nContent-Disposition: form-da", 422, "invalid"),
    "nothing": (KIND, b"", 422, "invalid"),
    "only an end": (KIND, END, 422, "invalid"),
    "a preamble of 5 MB": (KIND, b"p" * 5_000_000 + b"\r\n" + GOOD, 413, "too_large"),
    "an epilogue of 5 MB": (KIND, GOOD + b"e" * 5_000_000, 413, "too_large"),
    "two pictures": (KIND, part() + part(data=png(2)) + END, 422, "invalid"),
    "a field twice": (KIND, field("name", "a") + field("name", "b") + GOOD, 422, "invalid"),
    "the picture as a field": (KIND, field("file", PICTURE) + END, 422, "invalid"),
    "no name": (KIND, part('filename="a.png"') + END, 422, "invalid"),
    "no disposition": (KIND, b"--x\r\n\r\n" + PICTURE + b"\r\n" + END, 422, "invalid"),
    "base64": (
        KIND,
        part(more="Content-Transfer-Encoding: base64\r\n") + END,
        201,
        "done",
    ),
    "RFC 5987": (KIND, named("filename*=UTF-8''%e2%82%ac.png"), 201, "done"),
    "invalid percent": (KIND, named("filename*=UTF-8''%zz%f.png"), 201, "done"),
    "invalid UTF-8": (KIND, named("filename*=UTF-8''%ff%fe.png"), 201, "done"),
    "another charset": (KIND, named("filename*=utf-7''+AC8-.png"), 201, "done"),
    "no such charset": (KIND, named("filename*=rot13''a.png"), 201, "done"),
    "a line end in a name": (KIND, named("filename*=UTF-8''a%0d%0aX-B:%20c.png"), 201, "done"),
    "a line end in a header": (KIND, named('filename="a\r\nX-B: c.png"'), 422, "invalid"),
    "a thousand continuations": (
        KIND,
        named("; ".join(f"filename*{n}=a" for n in range(1_000))),
        201,
        "done",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_any_form_is_judged_or_refused_in_a_sentence(daemon, case):
    kind, body, status, code = CASES[case]
    tracemalloc.start()
    try:
        reply = daemon.ask(
            "POST", "/checks", body, Content_Type=kind.encode("latin-1"), Prefer="wait=20"
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (reply.status, reply.code if reply.status >= 400 else reply.json["state"]) == (
        status,
        code,
    )
    assert b"X-B" not in str(reply.headers).encode()
    assert peak < MOST_BYTES
    eventually(lambda: bodies_on_disk(daemon) == [])
    assert list(daemon.places.spool.iterdir()) == []
