"""Shows pictures in a terminal that can: by the protocols of kitty and iTerm2, or as sixels.

The terminal itself is asked, as variables of the environment are inherited by other terminals. Both
questions are ones that every terminal since the VT100 understands or ignores. Without an answer
nothing is shown.
"""

import os
import re
import sys
import time
from base64 import b64encode
from io import BytesIO
from typing import IO, Literal

import numpy as np
from PIL import Image

Protocol = Literal["kitty", "iterm2", "sixel"]

LONGEST = 400
"""Pixels of the longer side of a picture that is shown."""
ANSWER_S = 1.0
"""How long a terminal may take to answer, such as one at the other end of a slow line."""
_QUESTIONS = b"\x1b[>q\x1b[c"
"""XTVERSION, for its name, and then DA1, for what it can. DA1 is answered by all, so it ends the
wait where the other question is ignored."""
_NAME = re.compile(rb"\x1bP>\|([^\x1b]*)\x1b\\")
_ABILITIES = re.compile(rb"\x1b\[\?([0-9;]*)c")
_SIXEL = b"4"
_BY_NAME: dict[bytes, Protocol] = {
    b"kitty": "kitty",
    b"ghostty": "kitty",
    b"iTerm2": "iterm2",
    b"WezTerm": "iterm2",
}
_MUTE = {"", "dumb", "linux"}
"""Values of TERM for which nothing is asked."""
_CHUNK = 4096
_COLOURS = 255


def protocol(out: IO[str], term: str) -> Protocol | None:
    """Returns how the terminal behind `out` shows pictures, None if it does not or is none."""
    if not out.isatty() or term in _MUTE:
        return None
    return understood(_asked())


def understood(answer: bytes) -> Protocol | None:
    r"""Returns what an answer to both questions says.

    >>> understood(b"\x1bP>|kitty(0.35.2)\x1b\\\x1b[?62;c"), understood(b"\x1b[?62;4;22c")
    ('kitty', 'sixel')
    """
    if name := _NAME.search(answer):
        for known, how in _BY_NAME.items():
            if name[1].startswith(known):
                return how
    abilities = _ABILITIES.search(answer)
    return "sixel" if abilities and _SIXEL in abilities[1].split(b";") else None


def encoded(picture: Image.Image, how: Protocol) -> str:
    """Returns what makes a terminal show an RGB picture, with the line end after it."""
    if how == "kitty":
        return f"{_kitty(_png(picture))}\n"
    if how == "iterm2":
        png = _png(picture)
        data = b64encode(png).decode()
        return f"\x1b]1337;File=inline=1;size={len(png)};preserveAspectRatio=1:{data}\x07\n"
    return f"{_sixels(picture)}\n"


def _png(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _kitty(png: bytes) -> str:
    data = b64encode(png).decode()
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    # q=2: no answer, which would end up in the shell.
    heads = ["a=T,f=100,q=2,"] + [""] * (len(chunks) - 1)
    more = [1] * (len(chunks) - 1) + [0]
    return "".join(
        f"\x1b_G{head}m={m};{chunk}\x1b\\"
        for head, m, chunk in zip(heads, more, chunks, strict=True)
    )


def _sixels(picture: Image.Image) -> str:
    """Returns rows of six pixels; in each row every colour paints its own pixels."""
    palette = picture.quantize(_COLOURS)
    pixels = np.asarray(palette)  # [height, width]
    height, width = pixels.shape
    colours = np.asarray(palette.getpalette(), dtype=int).reshape(-1, 3) * 100 // 255
    out = [f'\x1bP0;1q"1;1;{width};{height}']
    out += [f"#{n};2;{r};{g};{b}" for n, (r, g, b) in enumerate(colours)]
    for top in range(0, height, 6):
        band = pixels[top : top + 6]
        weights = 1 << np.arange(len(band))[:, None]
        rows = [f"#{n}{_run_lengths(((band == n) * weights).sum(axis=0))}" for n in np.unique(band)]
        out.append("$".join(rows) + "-")
    return "".join(out) + "\x1b\\"


def _run_lengths(bits: "np.ndarray[tuple[int], np.dtype[np.int_]]") -> str:
    """Returns the letters of a row, with repeated ones counted."""
    ends = np.flatnonzero(np.diff(bits, append=-1)) + 1
    lengths = np.diff(ends, prepend=0)
    pairs = zip(lengths.tolist(), bits[ends - 1].tolist(), strict=True)
    return "".join(f"!{n}{chr(63 + one)}" if n > 3 else n * chr(63 + one) for n, one in pairs)


def _asked() -> bytes:
    """Returns the terminal's answer; empty where it cannot be asked, as on Windows."""
    if sys.platform == "win32":
        return b""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        return _answer_of(terminal)
    except OSError:
        return b""
    finally:
        os.close(terminal)


def _answer_of(terminal: int) -> bytes:
    if sys.platform == "win32":
        return b""
    import select  # noqa: PLC0415 - these three work with terminals of Unix only
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    former = termios.tcgetattr(terminal)
    answer, end = b"", time.monotonic() + ANSWER_S
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        os.write(terminal, _QUESTIONS)
        while not _ABILITIES.search(answer) and (left := end - time.monotonic()) > 0:
            if not select.select([terminal], [], [], left)[0]:
                break
            read = os.read(terminal, 1024)
            if not read:
                break
            answer += read
    finally:
        # With what came too late: it must not end up in the shell.
        termios.tcsetattr(terminal, termios.TCSAFLUSH, former)
    return answer
