"""`antifake check --show` in a real pseudo-terminal, whose other end is a terminal of the test."""

import os
import re
import select
import subprocess
import sys
import time
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from kit.pace import within
from kit.pages import scene
from PIL import Image

from antifake.core import terminal_pictures
from antifake.daemon.cli import main

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals of this kind")

CLEAR = {
    "kitty": b"\x1bP>|kitty(0.35.2)\x1b\\\x1b[?62;c",
    "ghostty": b"\x1bP>|ghostty 1.0.1\x1b\\\x1b[?62;22c",
    "iTerm2": b"\x1bP>|iTerm2 3.5.0\x1b\\\x1b[?62;4c",
    "foot": b"\x1bP>|foot(1.16.2)\x1b\\\x1b[?62;4;22c",
    "plain": b"\x1bP>|XTerm(390)\x1b\\\x1b[?64;1;2;6;9;15;22c",
    "old": b"\x1b[?6c",
    "silent": b"",
}
QUESTIONS = "\x1b[>q\x1b[c"
SORRY = "Pictures cannot be shown here"


def at_terminal(answer: bytes, *words: str, term: str = "xterm-256color") -> str:
    """Runs a command in a terminal that answers so. Returns all that was written to it."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    # The first terminal that the leader of a session opens is the one that controls it.
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" <"$0" >"$0" 2>"$0"', name, sys.executable, *words],
        env=os.environ | {"TERM": term, "COLUMNS": "80"},
        start_new_session=True,
    )
    written, end = b"", time.monotonic() + within(60)
    has_answered = False
    try:
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                written += os.read(ours, 65_536)
            elif process.poll() is not None:
                break
            if QUESTIONS.encode() in written and not has_answered:
                has_answered = True
                os.write(ours, answer)
        assert process.wait(within(10)) == 0, written
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
        os.close(ours)
    return written.decode().replace("\r\n", "\n")


@pytest.fixture
def picture(tmp_path, tiny_home):  # noqa: ARG001
    path = tmp_path / "a.png"
    scene(3, 320, 180).save(path)
    return path


def shown_in(answer: bytes, picture) -> str:
    words = ("-m", "antifake.daemon", "check", "--no-daemon", "--show", str(picture))
    return at_terminal(answer, *words)


def test_kitty_gets_the_picture_in_chunks_before_its_line(picture):
    written = shown_in(CLEAR["kitty"], picture)
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", written)
    assert chunks[0][0].startswith("a=T,f=100,q=2,m=")
    assert [keys[-3:] for keys, _ in chunks] == ["m=1"] * (len(chunks) - 1) + ["m=0"]
    assert all(len(data) <= 4096 for _, data in chunks)
    data = b64decode("".join(data for _, data in chunks))
    assert np.array_equal(np.array(Image.open(BytesIO(data))), np.array(scene(3, 320, 180)))
    assert written.index("\x1b_G") < written.index(str(picture))
    assert SORRY not in written


def test_iterm_gets_the_picture_inline(picture):
    written = shown_in(CLEAR["iTerm2"], picture)
    [(size, data)] = re.findall(
        r"\x1b\]1337;File=inline=1;size=(\d+);preserveAspectRatio=1:([^\x07]*)\x07", written
    )
    png = b64decode(data)
    assert len(png) == int(size)
    assert Image.open(BytesIO(png)).size == (320, 180)


def test_a_terminal_with_sixels_gets_the_picture_as_sixels(picture):
    written = shown_in(CLEAR["foot"], picture)
    [body] = re.findall(r"\x1bP0;1q(.*?)\x1b\\", written, re.DOTALL)
    painted = painted_by(body)
    wanted = np.array(scene(3, 320, 180), dtype=int)
    assert painted.shape == wanted.shape
    assert np.abs(painted - wanted).mean() < 6


@pytest.mark.parametrize("name", ["plain", "old", "silent"])
def test_a_terminal_that_cannot_gets_the_verdict_and_nothing_strange(picture, name):
    written = shown_in(CLEAR[name], picture)
    assert SORRY in written
    assert str(picture) in written
    rest = re.sub(r"\x1b\[[0-9;]*m", "", written.replace(QUESTIONS, "", 1))  # colours
    assert "\x1b" not in rest.replace("^[", "")


@pytest.mark.parametrize("term", ["dumb", "linux", ""])
def test_a_terminal_without_any_codes_is_not_even_asked(term):
    code = (
        "import os, sys; from antifake.core.terminal_pictures import protocol;"
        "print(protocol(sys.stdout, os.environ['TERM']))"
    )
    assert at_terminal(CLEAR["kitty"], "-c", code, term=term).strip() == "None"


def test_a_pipe_gets_no_codes(picture):
    done = subprocess.run(
        [sys.executable, "-m", "antifake.daemon", "check", "--no-daemon", "--show", str(picture)],
        env=os.environ | {"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"},
        capture_output=True,
        check=True,
    )
    assert b"\x1b" not in done.stdout + done.stderr
    assert SORRY.encode() in done.stderr


@pytest.mark.parametrize(
    ("name", "how"), [("kitty", "kitty"), ("ghostty", "kitty"), ("foot", "sixel"), ("plain", None)]
)
def test_the_answer_of_a_terminal_says_how(name, how):
    assert terminal_pictures.understood(CLEAR[name]) == how


def test_json_and_pictures_do_not_go_together(picture):
    done = CliRunner().invoke(main, ["check", "--show", "--json", str(picture)])
    assert done.exit_code == 2
    assert "--json" in done.output


def painted_by(body: str) -> np.ndarray:
    """Returns the picture [height, width, 3] that sixels paint."""
    width, height = map(int, re.match(r'"1;1;(\d+);(\d+)', body).groups())
    painted = np.zeros((height, width, 3), dtype=int)
    colours, colour, x, top = {}, 0, 0, 0
    for n, rgb, times, letter, move in re.findall(
        r"#(\d+)((?:;\d+){4})?|(?:!(\d+))?([?-~])|([$-])", body[body.index("#") :]
    ):
        if n:
            colour = int(n)
            if rgb:
                colours[colour] = [round(int(one) * 2.55) for one in rgb.split(";")[2:]]
        elif letter:
            run = int(times or 1)
            for row in range(6):
                if (ord(letter) - 63) >> row & 1:
                    painted[top + row, x : x + run] = colours[colour]
            x += run
        else:
            x, top = 0, top + (6 if move == "-" else 0)
    return painted
