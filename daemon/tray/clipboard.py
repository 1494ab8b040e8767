"""Reads the picture on the clipboard as bytes: a file as it is, pixels as PNG."""

import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from antifake.core.addresses import path_of
from antifake.core.errors import AntifakeError
from antifake.core.files import read_capped
from antifake.core.i18n import _

MAX_BYTES = 50_000_000
"""The largest picture that the daemon accepts."""
_PATIENCE_S = 10.0
"""How long to wait for the program that holds the clipboard, which may hang."""
_KINDS = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/avif",
    "image/heic",
    "image/gif",
    "image/tiff",
    "image/bmp",
)


class ClipboardError(AntifakeError):
    """There is no picture on the clipboard, or it cannot be read."""


@dataclass(frozen=True)
class Copied:
    data: bytes
    path: Path | None = None
    """The path, if a file was copied."""


def copied_picture() -> Copied:
    """Raises ClipboardError, and ModelError if a copied file cannot be read."""
    if sys.platform in ("win32", "darwin"):
        return _by_pillow()
    return _by_tool(_Tool.of_this_session())


def _by_pillow() -> Copied:
    from PIL import Image, ImageGrab  # noqa: PLC0415  # ImageGrab only where needed

    found = ImageGrab.grabclipboard()
    if isinstance(found, list) and found:
        return _file(Path(found[0]))
    if not isinstance(found, Image.Image):
        raise ClipboardError(_("There is no picture on the clipboard."))
    data = io.BytesIO()
    found.save(data, "PNG")
    return Copied(data.getvalue())


@dataclass(frozen=True)
class _Tool:
    """A program that reads the clipboard.

    Pillow runs the same programs, but asks for PNG only and so does not get the copied bytes.
    """

    kinds: list[str]
    take: list[str]

    @classmethod
    def of_this_session(cls) -> "_Tool":
        is_wayland = bool(os.environ.get("WAYLAND_DISPLAY"))
        if is_wayland and shutil.which("wl-paste"):
            return cls(["wl-paste", "--list-types"], ["wl-paste", "--no-newline", "--type"])
        if shutil.which("xclip"):
            read = ["xclip", "-selection", "clipboard", "-out", "-target"]
            return cls([*read, "TARGETS"], read)
        missing = "wl-clipboard" if is_wayland else "xclip"
        raise ClipboardError(
            _("Reading the clipboard needs the program {program}; install it.", program=missing)
        )

    def offered(self) -> list[str]:
        return self._ask(self.kinds).decode(errors="replace").split()

    def get(self, kind: str) -> bytes:
        return self._ask([*self.take, kind])

    def _ask(self, command: list[str]) -> bytes:
        """Returns the program's output, which is empty if the clipboard is empty."""
        try:
            done = subprocess.run(  # noqa: S603  # one of the two programs above, no shell
                command, capture_output=True, timeout=_PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise ClipboardError(
                _("The program that holds the clipboard does not answer.")
            ) from None
        except OSError as error:
            raise ClipboardError(_("The clipboard cannot be read: {why}.", why=error)) from error
        return done.stdout if done.returncode == 0 else b""


def _by_tool(tool: _Tool) -> Copied:
    offered = tool.offered()
    if "text/uri-list" in offered and (path := _first_file(tool.get("text/uri-list"))):
        return _file(path)
    for kind in _KINDS:
        if kind in offered and (data := tool.get(kind)):
            return Copied(data)
    raise ClipboardError(_("There is no picture on the clipboard."))


def _first_file(uris: bytes) -> Path | None:
    for line in os.fsdecode(uris).splitlines():
        if line.lower().startswith("file:"):
            return path_of(line)
    return None


def _file(path: Path) -> Copied:
    return Copied(read_capped(path, MAX_BYTES, "picture"), path)
